"""Composes the domains for account and operator verbs."""
