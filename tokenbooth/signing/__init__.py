"""Signatures: canonical JSON, Ed25519 keys and Merkle trees, pure functions all of them."""
