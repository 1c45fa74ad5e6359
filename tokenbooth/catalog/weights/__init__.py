"""Weights that can be pulled from the package index, pinned by SHA-256."""
