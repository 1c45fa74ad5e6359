"""The record of every call, as it goes to the ledger."""
