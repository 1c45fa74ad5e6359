"""How often each loop runs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """Periods in milliseconds; a replica silent for ``replica_silent_max_s`` counts as dead."""

    revocation_every_ms: int = 400
    catalog_every_ms: int = 1000
    beat_every_ms: int = 5000
    settle_every_ms: int = 1000
    replica_silent_max_s: int = 60
