"""Tokenbooth turns any AI model into a paid, reliable, measured developer API."""
