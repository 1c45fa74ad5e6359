"""Screening of turns before they run."""
