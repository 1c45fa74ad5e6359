"""Limits, holds, settlements and the double-entry postings behind them."""
