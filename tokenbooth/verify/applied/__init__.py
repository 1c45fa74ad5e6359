"""Certificates that an operator put in force here."""
