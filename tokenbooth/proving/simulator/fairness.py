"""Whether somebody was refused, or got less, though the money was there all the time."""

from collections.abc import Iterator, Mapping

from tokenbooth.core.caller import Caller
from tokenbooth.core.codes import Code
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.ledger import service as ledger
from tokenbooth.proving.simulator import laws, peek
from tokenbooth.proving.simulator.call import OUTPUT_NANO, Call, Stage
from tokenbooth.proving.simulator.world import World

MONEY_REFUSALS = (Code.BALANCE_EXHAUSTED, Code.CAP_REACHED, Code.OUTPUT_UNAFFORDABLE)
WAITING = (Stage.ASKING, Stage.EXTENDING)
# Nobody waits for a process that gave no sign of life for longer, or for money longer than this.
SILENT_US = 9_000_000
PATIENCE_US = 5_000_000
PLENTY_NANO = 2**62


class Fairness:
    """Watches everybody who asks, until the answer is there."""

    def __init__(self, world: World) -> None:
        self._world = world

    def verdicts(self) -> Iterator[str]:
        """Whoever was refused must have met a moment in which the money was not there."""
        world = self._world
        self.sample()
        answered = [call for call in world.watched if call.stage is not Stage.ASKING]
        if answered:
            world.watched = [call for call in world.watched if call.stage is Stage.ASKING]
            for call in answered:
                yield from judged(call)

    def sample(self) -> None:
        """Note for everybody who waits what is there now."""
        world = self._world
        if not world.watched:
            return
        world.books.read_limits(world.database)
        if self.somebody_silent():
            world.disturb()
            return
        leases = self._leases_nano()
        for call in world.watched:
            room_nano = self._room_nano(call.plan.caller, self._taken_nano(leases, call))
            call.watch.note(room_nano, world.now_us)

    def room_nano(self, caller: Caller) -> int:
        """What the caller could hold now, were all else returned."""
        return self._room_nano(caller, self._taken_nano(self._leases_nano(), None))

    def _taken_nano(
        self, leases: Mapping[str, Mapping[str, int]], asking: Call | None
    ) -> list[Mapping[str, int]]:
        """What is held or spent in each process.

        All of its leases where somebody else waits, for whom they may have come; and all of those
        whose process does not serve now, or lost its name to a newer one.
        """
        world = self._world
        waiting = {c.gateway for c in world.unbooked if c.stage in WAITING and c is not asking}
        newest = [each for each in world.serving if each.machine.gateway is each]
        idle = {each.machine.replica: each for each in newest if each not in waiting}
        frozen = [lease for replica, lease in leases.items() if replica not in idle]
        return [*frozen, *map(peek.taken_nano, idle.values())]

    def somebody_silent(self) -> bool:
        """Whether a living process gave no sign of life for so long that nobody waits for it."""
        world = self._world
        names = {gateway.machine.replica for gateway in world.serving}
        silent_us = world.now_us - SILENT_US
        seen = world.database.rows("SELECT id, seen_us FROM replica")
        return any(name in names and seen_us < silent_us for name, seen_us in seen)

    def _leases_nano(self) -> dict[str, dict[str, int]]:
        """What each replica has leased, by limit id."""
        leases: dict[str, dict[str, int]] = {}
        rows = self._world.database.rows("SELECT replica_id, limit_id, granted_nano FROM lease")
        for replica, name, granted_nano in rows:
            leases.setdefault(replica, {})[name] = granted_nano
        return leases

    def _room_nano(self, caller: Caller, taken: list[Mapping[str, int]]) -> int:
        """What could still be held for the caller if every idle lease were back in its place."""
        world, room_nano = self._world, PLENTY_NANO
        for scope, owner in ledger.chain_of(caller):
            name = f"{scope.value}:{owner}"
            row = world.books.limits.get(name)
            if row is None:
                room_nano = 0 if scope is LimitScope.BALANCE else room_nano
                continue
            if row.period != "none":
                name = f"{name}@{laws.day_of(world.now_us)}"
                row = world.books.limits.get(name, row)
            if row.limit_nano is None:
                continue
            used_nano = row.spent_nano + sum(each.get(name, 0) for each in taken)
            room_nano = min(room_nano, row.limit_nano - used_nano)
        return room_nano


def judged(call: Call) -> Iterator[str]:
    """A refusal, or a lowered limit, of a call whose money was there all the time."""
    floor_nano, plan = call.watch.floor_nano or 0, call.plan
    waited_us = call.answered_us - call.began_us
    if call.stage in (Stage.LOST, Stage.GONE) or waited_us >= PATIENCE_US:
        return
    if call.hold is not None:
        if call.hold.amount_nano < min(plan.wished_nano, floor_nano - OUTPUT_NANO * plan.choices):
            yield (
                f"{plan.request_id}: held {call.hold.amount_nano} of {plan.wished_nano},"
                f" though {floor_nano} was there"
            )
        return
    assert call.problem is not None, "refused with a reason"
    if call.problem.code not in MONEY_REFUSALS:
        return
    strict = call.problem.code is Code.OUTPUT_UNAFFORDABLE
    needed_nano = plan.wished_nano if strict else plan.least_nano
    if floor_nano >= needed_nano:
        yield (
            f"{plan.request_id}: refused ({call.problem.code.name}) though {floor_nano} was there"
            f" and {needed_nano} was needed"
        )
