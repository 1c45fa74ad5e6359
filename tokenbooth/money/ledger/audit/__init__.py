"""The ledger proved against itself."""
