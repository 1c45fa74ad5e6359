"""The gateway beside nginx in the same run: CPU, latency, memory, start."""
