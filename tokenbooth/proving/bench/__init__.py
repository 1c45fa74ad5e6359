"""Measurements of what exact money costs, each against something else in the same run."""
