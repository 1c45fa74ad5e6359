"""What is kept of what callers said and heard, and for how long."""
