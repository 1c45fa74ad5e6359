"""Connections, transactions, tables and migrations for SQLite and PostgreSQL."""
