"""Idempotency keys: who holds one, and the answer that is given again."""
