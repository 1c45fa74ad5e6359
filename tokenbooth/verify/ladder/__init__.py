"""Whether answers stay as good under load: the same probes at every level of it."""
