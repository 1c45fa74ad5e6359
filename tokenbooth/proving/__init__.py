"""Sees an instance from outside, over HTTP."""
