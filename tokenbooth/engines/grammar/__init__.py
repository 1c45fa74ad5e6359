"""Grammars that hold a model's output to a JSON schema."""
