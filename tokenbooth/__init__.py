"""Tokenbooth turns any AI model into a paid, reliable, measured developer API."""

__version__ = "0.1.0"
