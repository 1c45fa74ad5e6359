"""How often each loop runs."""

from dataclasses import dataclass

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

BEATS_MISSED_MAX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """Periods in milliseconds; a replica silent for ``replica_silent_max_s`` counts as dead.

    Raises Problem INVALID_VALUE when a replica that lives could be taken for dead.
    """

    revocation_every_ms: int = 400
    catalog_every_ms: int = 1000
    beat_every_ms: int = 5000
    settle_every_ms: int = 1000
    replica_silent_max_s: int = 60

    def __post_init__(self) -> None:
        if self.replica_silent_max_s * 1000 < BEATS_MISSED_MAX * self.beat_every_ms:
            raise Problem(
                Code.INVALID_VALUE,
                f"workers.replica_silent_max_s must be at least {BEATS_MISSED_MAX} times"
                " workers.beat_every_ms, or the holds of living replicas are voided.",
                param="workers.replica_silent_max_s",
            )
