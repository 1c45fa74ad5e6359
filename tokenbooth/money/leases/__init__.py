"""Leased money: what one gateway process may spend from memory, and how it comes back."""
