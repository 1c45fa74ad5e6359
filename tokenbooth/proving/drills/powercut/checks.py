"""What must hold after power cuts, beside what must hold after kills. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tokenbooth.proving.drills.kill.checks import CHECKS as KILL_CHECKS
from tokenbooth.proving.drills.kill.checks import KillSaw, delivered_calls_are_recorded
from tokenbooth.proving.drills.laws import Law
from tokenbooth.proving.observations import Evidence


@dataclass(frozen=True, slots=True)
class TearSeen:
    """How the newest file of one journal was torn."""

    replica: int
    removed_bytes: int
    garbage_bytes: int
    lost_records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PowercutSaw(KillSaw):
    """Every kill came with a tear."""

    tears: tuple[TearSeen, ...]


def power_was_cut(seen: Evidence[PowercutSaw]) -> Iterator[str]:
    """Each kill tore a journal; records were torn off, and garbage was left behind."""
    tears = seen.saw.tears
    if len(tears) != len(seen.saw.kills):
        yield f"{len(tears)} tears at {len(seen.saw.kills)} kills"
    if not any(tear.lost_records for tear in tears):
        yield "no record was ever torn off"
    if not any(tear.garbage_bytes for tear in tears):
        yield "no garbage was ever left behind"


# A call may lose its record with the power; then nothing of it was ever charged.
CHECKS: Sequence[Law[PowercutSaw]] = (
    *(law for law in KILL_CHECKS if law is not delivered_calls_are_recorded),
    power_was_cut,
)
