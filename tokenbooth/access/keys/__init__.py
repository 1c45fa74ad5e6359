"""API keys and their secrets."""
