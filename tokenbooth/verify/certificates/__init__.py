"""Capacity certificates: what was measured, computed from raw samples and from nothing else."""
