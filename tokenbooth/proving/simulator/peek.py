"""What an examiner may see of a process from inside: where a call's records are, and what of a
limit is taken in its memory. The laws of money do not rest on it."""

from tokenbooth.money.journal.service import read_replay
from tokenbooth.proving.simulated_disk import SimulatedDisk
from tokenbooth.proving.simulator.call import Call, Stage
from tokenbooth.proving.simulator.coverage import Moment
from tokenbooth.proving.simulator.machine import Gateway


class Records:
    """How far each call's records have come, at the moment when their process ends."""

    def __init__(self, gateway: Gateway, booked: frozenset[str]) -> None:
        disk = gateway.machine.disk
        journal_id = gateway.journal_id
        self._booked = booked
        self._live = frozenset(gateway.journal.unshipped)
        asked = gateway.pool._asked
        self._asked = frozenset(c.facts.request_id for c in asked.settled) if asked else frozenset()
        self._written = _seen(disk, journal_id)
        self._synced = _seen(disk.platter(), journal_id)

    def moment(self, call: Call) -> Moment | None:
        """``None`` where nothing is left that could go wrong."""
        match call.stage:
            case Stage.ASKING:
                return Moment.WAITING
            case Stage.EXTENDING:
                return Moment.EXTENDING
            case Stage.RUNNING:
                return self._running(call.request_id)
            case Stage.SETTLING | Stage.TOLD:
                return self._settled(call)
            case _:
                return None

    def _running(self, name: str) -> Moment:
        if name not in self._written:
            return Moment.OPEN_BUFFERED
        if self._synced.get(name, 0) >= 2:
            return Moment.PROGRESS_SYNCED
        if self._written[name] >= 2:
            return Moment.PROGRESS_WRITTEN
        return Moment.OPEN_SYNCED if name in self._synced else Moment.OPEN_WRITTEN

    def _settled(self, call: Call) -> Moment | None:
        name = call.request_id
        if name in self._booked:
            if name in self._live:
                return Moment.ROUND_BOOKED
            return Moment.BOOKED if name in self._written else None
        if name in self._asked:
            return Moment.ROUND_ASKED
        if call.stage is Stage.TOLD:
            return Moment.TOLD
        if self._synced.get(name, 0) == 3:
            return Moment.SETTLE_SYNCED
        if self._written.get(name, 0) == 3:
            return Moment.SETTLE_WRITTEN
        return Moment.SETTLE_BUFFERED


def _seen(disk: SimulatedDisk, journal_id: bytes) -> dict[str, int]:
    """1: opened, 2: with progress, 3: settled."""
    return {
        call.facts.request_id: 3 if call.settlement else 2 if call.progress else 1
        for call in read_replay(disk, journal_id).calls
    }


def journaled(gateway: Gateway) -> frozenset[str]:
    """The calls that the journal of a starting process knows."""
    return frozenset(_seen(gateway.machine.disk, gateway.journal_id))


def taken_nano(gateway: Gateway) -> dict[str, int]:
    """What running calls hold and what was spent and not booked, by limit id."""
    levels = gateway.pool._book.by_limit
    return {name: level.held_nano + level.unbooked_nano for name, level in levels.items()}
