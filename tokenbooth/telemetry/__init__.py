"""What an operator sees of a running instance: one log line per event, and metrics."""
