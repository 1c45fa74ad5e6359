"""The calls that the ledger does not have yet, and the segments that hold their records."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tokenbooth.money.journal.values import CallFacts, Progress, Settlement


@dataclass(slots=True)
class Live:
    """``segment`` holds the oldest record that recovery would need.

    ``facts`` is ``None`` for a call of an earlier run.
    """

    segment: int
    facts: CallFacts | None
    progress: Progress | None = None
    settlement: Settlement | None = None


class Unshipped:
    """By request id, from a call's opening until it is forgotten."""

    def __init__(self) -> None:
        self._calls: dict[str, Live] = {}
        self._pins: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[str]:
        return iter(self._calls)

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._calls

    def __getitem__(self, request_id: str) -> Live:
        return self._calls[request_id]

    def add(self, request_id: str, live: Live) -> None:
        assert request_id not in self._calls, "a call opens once"
        self._calls[request_id] = live
        self._pins[live.segment] += 1

    def forget(self, request_ids: tuple[str, ...]) -> None:
        """Unknown ones are let pass."""
        for request_id in request_ids:
            live = self._calls.pop(request_id, None)
            if live is not None:
                self._pins[live.segment] -= 1

    def needs(self, segment: int) -> bool:
        """Whether a call has its oldest record there."""
        return self._pins[segment] > 0

    def removed(self, segment: int) -> None:
        del self._pins[segment]

    def moved(self, segment: int, target: int) -> Iterator[Live]:
        """The calls of this run in ``segment``; each counts as in ``target`` when the next is
        asked for."""
        for live in self._calls.values():
            if live.segment == segment and live.facts is not None:
                yield live
                live.segment = target
                self._pins[segment] -= 1
                self._pins[target] += 1
