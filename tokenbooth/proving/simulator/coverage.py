"""The listed places that a run has to reach, and how often it did."""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum


class Way(StrEnum):
    """How a process ends without being asked."""

    KILL = "kill -9"
    POWER = "power cut"


class Moment(StrEnum):
    """How far a call had come when its process ended."""

    WAITING = "waiting for money"
    OPEN_BUFFERED = "held, its opening in memory"
    OPEN_WRITTEN = "held, its opening written out"
    OPEN_SYNCED = "held, its opening synced"
    PROGRESS_WRITTEN = "streaming, progress written out"
    PROGRESS_SYNCED = "streaming, progress synced"
    EXTENDING = "waiting for more money"
    SETTLE_BUFFERED = "settled, in memory"
    SETTLE_WRITTEN = "settled, written out"
    SETTLE_SYNCED = "settled and synced, nobody told"
    TOLD = "told, not shipped"
    ROUND_ASKED = "in a round that was not booked"
    ROUND_BOOKED = "in a booked round without answer"
    BOOKED = "booked, its segment still there"


class Cut(StrEnum):
    """Where inside a step of the disk, or of recovery, a process ended."""

    APPEND_HALF = "half of an append written"
    APPEND_BEFORE = "before an append"
    APPEND_AFTER = "after an append"
    SYNC_BEFORE = "before a sync"
    SYNC_AFTER = "after a sync"
    OPEN_AFTER = "a segment made, nothing in it"
    REMOVE_BEFORE = "before a segment's removal"
    REMOVE_AFTER = "a segment removed, its directory not synced"
    DIRECTORY_AFTER = "after a sync of the directory"
    ENROLLED = "enrolled, nothing replayed"
    REPLAYED = "replayed, some calls not booked"
    RECOVERED = "replay booked, leases not closed"
    CLOSED = "leases closed, not serving yet"


class Turn(StrEnum):
    """What money, replicas and operators may do."""

    HELD_AT_ONCE = "held without a wait"
    HELD_LATER = "held after a round"
    LOWERED = "output limit lowered"
    REFUSED_BALANCE = "refused by the balance"
    REFUSED_CAP = "refused by a cap"
    REFUSED_STRICT = "refused as asked by strictness"
    REFUSED_AWAY = "refused while the ledger is away"
    EXTENDED_AT_ONCE = "extended without a wait"
    EXTENDED_LATER = "extended after a round"
    EXTENSION_FAILED = "extension failed"
    ABOVE_HOLD = "usage above the hold"
    BELOW_PROGRESS = "settled below the last progress"
    NOT_CHARGED = "settled without charge"
    HUNG_UP = "hung up while waiting for money"
    INTERRUPTED_PAID = "interrupted, charged by progress"
    INTERRUPTED_FREE = "interrupted, free"
    SETTLED_BY_RECOVERY = "settled before the crash, booked after it"
    ROUND_LOST = "a round's answer lost"
    ROUND_REFUSED = "a round refused"
    ROUND_ROLLED_BACK = "a round rolled back"
    DATABASE_AWAY = "database away for a while"
    WINDOW_ROLLED = "a window rolled while a call ran"
    CREDITED = "credit added"
    CAP_RAISED = "cap raised"
    CAP_LOWERED = "cap lowered"
    CAP_NOT_LOWERED = "cap not lowered below what is leased"
    RECALLED = "leases recalled by an operator"
    FORFEITED = "leases of a lost disk forfeited"
    FENCED = "a living process fenced"
    CHARGE_FORFEITED = "a charge on forfeited money"
    STOPPED = "stopped in good order"
    SEGMENT_ROTATED = "a segment rotated"
    SEGMENT_PRUNED = "a segment removed"
    DISK_FAILED = "a disk that failed"
    DISK_FULL = "a disk that was full"
    QUIET_EXACT = "the last of a cap spent, exactly"


CRASHES = tuple(f"{way}: {moment}" for way in Way for moment in Moment)
LISTED: tuple[str, ...] = (*CRASHES, *Cut, *Turn)


class Coverage:
    """Counts of listed places; anything else is a mistake of the simulator."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def reach(self, place: Turn | Cut) -> None:
        self.counts[place.value] += 1

    def crash(self, way: Way, moment: Moment) -> None:
        self.counts[f"{way}: {moment}"] += 1

    def add(self, counts: Mapping[str, int]) -> None:
        self.counts.update(counts)


def missing(counts: Mapping[str, int], listed: Iterable[str] = LISTED) -> tuple[str, ...]:
    """What was listed and never reached."""
    return tuple(str(place) for place in listed if not counts.get(place))
