"""How often each loop runs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """Periods in milliseconds, of the reconciler in seconds."""

    revocation_every_ms: int = 400
    catalog_every_ms: int = 1000
    beat_every_ms: int = 2000
    receipts_every_ms: int = 1000
    replays_every_ms: int = 10_000
    reconcile_every_s: int = 3600
