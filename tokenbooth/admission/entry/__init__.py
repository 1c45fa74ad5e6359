"""Who may start at a deployment now, who waits, and who is told to come back when."""
