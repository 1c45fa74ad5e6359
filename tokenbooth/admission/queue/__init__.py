"""A bounded first-come-first-served queue for work beside the engines."""
