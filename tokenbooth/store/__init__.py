"""Connections, transactions, tables and migrations; SQLite and PostgreSQL under one schema."""
