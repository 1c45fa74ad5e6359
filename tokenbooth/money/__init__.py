"""Prices, the ledger and meter events."""
