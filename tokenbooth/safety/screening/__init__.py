"""Whether a turn may run."""
