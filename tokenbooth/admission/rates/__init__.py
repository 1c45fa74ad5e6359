"""Rate limits of keys and organizations."""
