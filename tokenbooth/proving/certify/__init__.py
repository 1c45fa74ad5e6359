"""Measures an endpoint for a capacity certificate, as its callers see it."""
