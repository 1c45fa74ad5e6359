"""Dates that were promised, and what became of them."""
