"""Private instances under attack, and the proof from outside that their books are right."""
