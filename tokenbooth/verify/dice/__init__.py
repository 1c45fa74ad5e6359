"""Chance that follows from a seed."""
