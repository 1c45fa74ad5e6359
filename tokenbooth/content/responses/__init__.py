"""Stored responses: what was asked, what was answered, and for how long both are kept."""
