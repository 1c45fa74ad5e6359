"""Fetching what a caller's URL names, from public addresses only."""
