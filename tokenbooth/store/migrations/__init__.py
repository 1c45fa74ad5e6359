"""Schema revisions, applied in order by ``tokenbooth migrate``."""
