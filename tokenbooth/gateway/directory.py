"""Who calls, what is offered and at which price, kept for a moment.

So a call reads nothing from the database, and a server goes on while the database is away. Money
is never kept here: what may be spent is known to leases alone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tokenbooth.access.keys import service as keys
from tokenbooth.catalog.models import service as catalog
from tokenbooth.core.caller import Caller
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Store, Tx
from tokenbooth.core.problem import Problem
from tokenbooth.launch.cohorts import service as cohorts
from tokenbooth.launch.stages import service as stages
from tokenbooth.money.prices import service as prices

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")

ENTRIES_MAX = 10_000
PROBE_PAUSE_US = 250_000
AWAY_US = 10_000_000

Read = Callable[[], Awaitable[V]]
NowUs = Callable[[], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryBounds:
    """``fresh_us`` is how old an answer may be, ``stale_max_us`` while the database is away;
    ``entries_max`` is of each kind."""

    fresh_us: int
    stale_max_us: int
    entries_max: int = ENTRIES_MAX


class Line:
    """Whether the database answered the newest read; one for all shelves of a directory."""

    def __init__(self) -> None:
        self._failed_us: int | None = None

    def failed(self, now_us: int) -> None:
        self._failed_us = now_us

    def answered(self) -> None:
        self._failed_us = None

    def away(self, now_us: int) -> bool:
        """Whether it failed last, and not so long ago that nobody knows any more."""
        return self._failed_within(AWAY_US, now_us)

    def rests(self, now_us: int) -> bool:
        """Whether it failed so lately that nobody who can do without asks again."""
        return self._failed_within(PROBE_PAUSE_US, now_us)

    def _failed_within(self, span_us: int, now_us: int) -> bool:
        return self._failed_us is not None and now_us - self._failed_us < span_us


@dataclass(frozen=True, slots=True)
class _Kept(Generic[V]):
    """``asked_us``: when its read was begun, so that nothing later than that is claimed."""

    value: V
    asked_us: int


@dataclass(slots=True, eq=False)
class _Flight(Generic[V]):
    """One read on its way, shared by everybody who came for the same in time."""

    asked_us: int
    task: "asyncio.Task[V]" = field(init=False)


class Shelf(Generic[K, V]):
    """Answers by key, each read once for all who ask at the same time.

    Whoever asks gets what was true at most ``fresh_us`` before. Only while the database is away an
    older answer is given, up to ``stale_max_us`` old. A refusal is never kept, and takes away what
    was kept before it. The entry that was read longest ago makes room for a new one.
    """

    def __init__(self, bounds: DirectoryBounds, line: Line, now_us: NowUs) -> None:
        """``now_us`` is a clock that never runs backwards."""
        self._bounds = bounds
        self._line = line
        self._now_us = now_us
        self._kept: dict[K, _Kept[V]] = {}
        self._flights: dict[K, _Flight[V]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def fresh(self, key: K) -> V | None:
        """What ``get`` gives without a read, where it needs none."""
        kept = self._kept.get(key)
        if kept is None or self._now_us() - kept.asked_us >= self._bounds.fresh_us:
            return None
        return kept.value

    async def get(self, key: K, read: Read[V]) -> V:
        """Raises what ``read`` raises; LEDGER_UNAVAILABLE only without a usable older answer."""
        now_us = self._now_us()
        kept = self._kept.get(key)
        if kept is not None and now_us - kept.asked_us < self._bounds.fresh_us:
            return kept.value
        if kept is not None and self._line.away(now_us) and self._usable(kept, now_us):
            if not self._line.rests(now_us):
                self._flight(key, read, now_us)
            return kept.value
        try:
            return await asyncio.shield(self._flight(key, read, now_us).task)
        except Problem as problem:
            kept = self._kept.get(key)
            if problem.code is not Code.LEDGER_UNAVAILABLE or kept is None:
                raise
            if not self._usable(kept, self._now_us()):
                raise
            return kept.value

    def _usable(self, kept: _Kept[V], now_us: int) -> bool:
        return now_us - kept.asked_us <= self._bounds.stale_max_us

    def _flight(self, key: K, read: Read[V], now_us: int) -> _Flight[V]:
        """The one on its way, unless it was begun too long ago to tell what is true now."""
        flight = self._flights.get(key)
        if flight is None or now_us - flight.asked_us > self._bounds.fresh_us:
            flight = self._flights[key] = _Flight(now_us)
            flight.task = asyncio.create_task(self._fly(key, read, flight))
            flight.task.add_done_callback(_heard)
        return flight

    async def _fly(self, key: K, read: Read[V], flight: _Flight[V]) -> V:
        try:
            value = await read()
        except Problem as problem:
            if problem.code is Code.LEDGER_UNAVAILABLE:
                self._line.failed(self._now_us())
            else:
                self._line.answered()
                if self._is_newest(key, flight):
                    self._kept.pop(key, None)
            raise
        else:
            self._line.answered()
            if self._is_newest(key, flight):
                self._keep(key, _Kept(value, flight.asked_us))
            return value
        finally:
            if self._is_newest(key, flight):
                del self._flights[key]

    def _is_newest(self, key: K, flight: _Flight[V]) -> bool:
        return self._flights.get(key) is flight

    def _keep(self, key: K, kept: _Kept[V]) -> None:
        self._kept.pop(key, None)
        while len(self._kept) >= self._bounds.entries_max:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = kept


def _heard(task: "asyncio.Task[V]") -> None:
    """Nobody may be waiting for a read any more; its failure is told to those who are."""
    if not task.cancelled():
        task.exception()


@dataclass(frozen=True, slots=True)
class Offered:
    """A model, and what its stage asks of a caller; ``None`` where it is open to all."""

    model: catalog.Model
    door: stages.Door | None


class Directory:
    """The four kinds of things that every call asks for. Money is not among them."""

    def __init__(
        self, store: Store, now_us: NowUs, *, pepper: bytes, bounds: DirectoryBounds
    ) -> None:
        self._store = store
        self._pepper = pepper
        line = Line()
        self._callers = Shelf[bytes, keys.Found](bounds, line, now_us)
        self._models = Shelf[str, Offered](bounds, line, now_us)
        self._places = Shelf[tuple[str, str], cohorts.Place](bounds, line, now_us)
        self._prices = Shelf[tuple[str, str], prices.PriceVersion](bounds, line, now_us)

    async def caller(self, op: Op, secret: str) -> Caller:
        """Whose secret it is, which was offered; its expiry is looked at each time.

        Raises INVALID_KEY, REVOKED_KEY or EXPIRED_KEY.
        """
        hmac = keys.secret_hmac(secret, self._pepper)
        found = self._callers.fresh(hmac)
        if found is None:
            keys.checked_secret(secret)
            found = await self._callers.get(hmac, self._reading(lambda tx: keys.find(op, tx, hmac)))
        return keys.caller_of(found, op.now())

    async def model(self, op: Op, name: str) -> Offered:
        """Raises MODEL_NOT_FOUND."""
        found = self._models.fresh(name)
        if found is None:
            read = self._reading(
                lambda tx: Offered(catalog.model_by(op, tx, name), stages.door(op, tx, name))
            )
            found = await self._models.get(name, read)
        return found

    async def place(self, op: Op, model: str, org_id: str) -> cohorts.Place:
        """Whether the organization is let in to a model that is not open to all."""
        found = self._places.fresh((org_id, model))
        if found is None:
            read = self._reading(lambda tx: cohorts.place(op, tx, model, org_id))
            found = await self._places.get((org_id, model), read)
        return found

    async def price(self, op: Op, question: prices.PriceQuestion) -> prices.Price:
        """What a call costs now on these terms. Raises PRICE_UNKNOWN, PRICE_NOT_OFFERED."""
        org_id, model = question.org_id, question.model
        version = self._prices.fresh((org_id, model))
        if version is None:
            read = self._reading(lambda tx: prices.offered(op, tx, org_id, model))
            version = await self._prices.get((org_id, model), read)
        return prices.price_in(version, question.tier, question.data_terms, question.uses)

    def _reading(self, verb: Callable[[Tx], T]) -> Read[T]:
        return lambda: self._store.read(verb)
