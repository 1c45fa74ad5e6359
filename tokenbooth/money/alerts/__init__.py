"""Warnings on the way to a limit: one event for each threshold that spending crosses."""
