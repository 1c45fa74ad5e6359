"""The calls that are running in this replica, so that others can end them."""

from collections.abc import Collection
from typing import Protocol

from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome


class Stoppable(Protocol):
    """A running call."""

    def stop(self, outcome: Outcome, problem: Problem) -> None:
        """End the call now; idempotent, the first stop wins."""


class LiveCalls:
    """Bounded by admission: a call is here from its hold to its settlement."""

    def __init__(self) -> None:
        self._calls: dict[str, tuple[str, Stoppable]] = {}
        self._closing: Problem | None = None

    def __len__(self) -> int:
        return len(self._calls)

    def check_open(self) -> None:
        """Raises the problem that ``stop_all`` gave: after it nothing begins to run."""
        if self._closing is not None:
            raise self._closing

    def enter(self, request_id: str, key_id: str, call: Stoppable) -> None:
        """After ``stop_all`` the call is stopped as it enters."""
        self._calls[request_id] = (key_id, call)
        if self._closing is not None:
            call.stop(Outcome.INTERRUPTED, self._closing)

    def leave(self, request_id: str) -> None:
        self._calls.pop(request_id, None)

    def key_ids(self) -> frozenset[str]:
        return frozenset(key_id for key_id, _ in self._calls.values())

    def stop_keys(self, key_ids: Collection[str], problem: Problem) -> int:
        """End every call of these keys; returns how many."""
        hit = [call for key_id, call in self._calls.values() if key_id in key_ids]
        for call in hit:
            call.stop(Outcome.KEY_REVOKED, problem)
        return len(hit)

    def stop_all(self, problem: Problem) -> int:
        """End every call, charging nothing, and every one to come; returns how many."""
        self._closing = problem
        hit = [call for _, call in self._calls.values()]
        for call in hit:
            call.stop(Outcome.INTERRUPTED, problem)
        return len(hit)
