"""Signed evidence of measurements, kept forever, and what was revoked of it."""
