"""Shares of limits that several processes keep together."""
