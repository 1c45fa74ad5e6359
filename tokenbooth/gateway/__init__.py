"""Composes the domains for inference: the ten steps."""
