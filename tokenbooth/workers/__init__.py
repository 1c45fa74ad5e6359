"""Bounded loops over service verbs."""
