"""Which waiting calls get money in a round, on integers alone.

Decided under the locks of the limits, call by call: each gets its money at every level of its chain
or at none, so nothing lies idle where another level refused. A call is refused only when there was
too little after every other living replica had given back what no call of its own held.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from tokenbooth.money.leases.values import Answer, LeaseRow, LimitRow, Others, Verdict, Want

SHARE_OF_ROOM = 20

Elsewhere = Callable[[str], Others | None]
"""The other living replicas with a lease on that limit; ``None`` where there is none."""


class Grants:
    """What one replica may still take at each limit in this round, and what it was given."""

    def __init__(
        self,
        limits: Mapping[str, LimitRow],
        leases: Mapping[str, LeaseRow],
        elsewhere: Elsewhere,
    ) -> None:
        """``leases`` are the replica's own, with what its running calls hold at this moment."""
        self._limits = limits
        self._free = dict.fromkeys(limits, 0)
        self._free.update({n: v.granted_nano - v.held_nano for n, v in leases.items()})
        self._room = {name: row.room_nano for name, row in limits.items()}
        self._elsewhere = elsewhere
        self._kept: set[str] = set()
        self._unmet: set[str] = set()
        self.granted_nano: Counter[str] = Counter()
        self.recalls: dict[str, int] = {}

    def answer(self, want: Want, names: tuple[str, ...]) -> Answer:
        """Grant what is missing for the call at all ``names``, or say why not."""
        if not want.runs and not self._kept.isdisjoint(names):
            return Answer(Verdict.WAIT, 0, want.recalls)
        at_nano = {name: self._free[name] + self._room[name] for name in names}
        if min(at_nano.values()) >= want.amount_nano:
            self._take(names, want.amount_nano)
            return Answer(Verdict.FITS, want.amount_nano, {})
        return self._short(want, at_nano)

    def _short(self, want: Want, at_nano: Mapping[str, int]) -> Answer:
        """Too little in some places: refuse, lower, or wait for what others give back."""
        short = [name for name, nano in at_nano.items() if nano < want.amount_nano]
        self._unmet.update(short)
        asks = [name for name in short if self._has_to_ask(name, want, at_nano[name])]
        waits = [name for name in short if name in asks or self._is_awaited(name, want.recalls)]
        if any(at_nano[name] < want.least_nano for name in short if name not in waits):
            return Answer(Verdict.SHORT, 0, {})
        if not waits:
            bought_nano = min(at_nano.values())
            self._take(at_nano, bought_nano)
            return Answer(Verdict.SHORT, bought_nano, {})
        if want.runs:
            self._kept.update(short)
        return Answer(Verdict.WAIT, 0, {**want.recalls, **{n: self._recall(n) for n in asks}})

    def _has_to_ask(self, name: str, want: Want, at_nano: int) -> bool:
        """Whether others were not asked yet, or have freed since what the call needs to start, or
        to get all that it wishes."""
        others = self._elsewhere(name)
        if others is None:
            return False
        if name not in want.recalls:
            return True
        goals_nano = (want.least_nano, want.amount_nano)
        helps = any(at_nano < goal <= at_nano + others.idle_nano for goal in goals_nano)
        return helps and not self._is_awaited(name, want.recalls)

    def _is_awaited(self, name: str, recalls: Mapping[str, int]) -> bool:
        others = self._elsewhere(name)
        return others is not None and name in recalls and others.answered < recalls[name]

    def _recall(self, name: str) -> int:
        """Ask everybody once in a round; all calls that find too little there share it."""
        return self.recalls.setdefault(name, self._limits[name].recall + 1)

    def _take(self, names: Iterable[str], amount_nano: int) -> None:
        for name in names:
            missing_nano = max(0, amount_nano - self._free[name])
            self._grant(name, missing_nano)
            self._free[name] -= amount_nano

    def advance(self, name: str, block_nano: int) -> None:
        """Top the free money up to ``block_nano``, and to a twentieth of the room at most, so that
        others find something too. Nothing where a call got less than it asked for."""
        if name not in self._unmet:
            top_nano = min(self._room[name] // SHARE_OF_ROOM, block_nano)
            self._grant(name, max(0, top_nano - self._free[name]))

    def _grant(self, name: str, amount_nano: int) -> None:
        self._room[name] -= amount_nano
        self._free[name] += amount_nano
        self.granted_nano[name] += amount_nano
