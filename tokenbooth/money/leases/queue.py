"""Who waits for money: running calls before new ones, each until the ledger has really said no.

A waiter is refused only after a round that asked for its need, in which every other living replica
gave back what it does not use.
"""

from collections.abc import Iterator
from enum import Enum

from tokenbooth.money.leases import rules
from tokenbooth.money.leases.level import Level
from tokenbooth.money.leases.pool import Pool
from tokenbooth.money.leases.values import LevelKey, RoundAsk, Want


class Verdict(Enum):
    """What a waiter can be told."""

    FITS = "fits"
    SHORT = "short"
    WAIT = "wait"


class Waiter:
    """Waits for ``amount_nano`` at each level of ``chain``."""

    __slots__ = ("amount_nano", "asked_in", "chain", "runs")

    def __init__(self, chain: tuple[LevelKey, ...], amount_nano: int, *, runs: bool) -> None:
        """``runs``: the money is for a call that runs already."""
        self.chain = chain
        self.amount_nano = amount_nano
        self.runs = runs
        self.asked_in: int | None = None


class MoneyQueue:
    """The waiters of one process, in the order in which they are served."""

    def __init__(self, pool: Pool, *, block_nano_max: int) -> None:
        self._pool = pool
        self._block_nano_max = block_nano_max
        self._running: dict[Waiter, None] = {}
        self._new: dict[Waiter, None] = {}
        self._rates: dict[LevelKey, int] = {}

    def __len__(self) -> int:
        return len(self._running) + len(self._new)

    def __iter__(self) -> Iterator[Waiter]:
        yield from tuple(self._running)
        yield from tuple(self._new)

    @property
    def levels(self) -> frozenset[LevelKey]:
        """The levels of all who wait."""
        return frozenset(key for waiter in self for key in waiter.chain)

    @property
    def for_running(self) -> int:
        """How many waiters stand for calls that run already."""
        return len(self._running)

    @property
    def unasked(self) -> bool:
        """Whether somebody waits for whom no round has asked yet."""
        return any(waiter.asked_in is None for waiter in self)

    def add(self, waiter: Waiter) -> None:
        (self._running if waiter.runs else self._new)[waiter] = None

    def remove(self, waiter: Waiter) -> None:
        self._running.pop(waiter, None)
        self._new.pop(waiter, None)

    def wants(self, now_us: int) -> tuple[Want, ...]:
        """What all waiters lack, level by level."""
        needed: dict[LevelKey, int] = {}
        largest: dict[LevelKey, int] = {}
        fresh: set[LevelKey] = set()
        for waiter in self:
            for key in waiter.chain:
                needed[key] = needed.get(key, 0) + waiter.amount_nano
                largest[key] = max(largest.get(key, 0), waiter.amount_nano)
                if waiter.asked_in is None:
                    fresh.add(key)
        wants = []
        for key, amount_nano in needed.items():
            (level,) = self._pool.levels((key,), now_us)
            missing_nano = amount_nano - (0 if level is None else level.free_nano)
            if level is None or missing_nano > 0:
                rate_nano = 0 if level is None else level.rate_nano
                block_nano = rules.block_nano(largest[key], rate_nano, self._block_nano_max)
                wants.append(
                    Want(
                        level=key,
                        needed_nano=missing_nano,
                        block_nano=block_nano,
                        recall=key in fresh,
                    )
                )
        return (*wants, *self._advances(needed, now_us))

    def _advances(self, needed: dict[LevelKey, int], now_us: int) -> Iterator[Want]:
        """More for levels that would run dry soon, so that no call has to wait for it."""
        for level in self._pool.running_low(now_us):
            if level.key not in needed:
                block_nano = rules.block_nano(0, level.rate_nano, self._block_nano_max)
                yield Want(
                    level=level.key,
                    needed_nano=0,
                    block_nano=max(0, block_nano - level.free_nano),
                    recall=False,
                )

    def asked(self, ask: RoundAsk) -> None:
        """Note that this round asks for everybody who waits now."""
        if ask.wants:
            for waiter in self:
                if waiter.asked_in is None:
                    waiter.asked_in = ask.number

    def verdict(self, waiter: Waiter, levels: tuple[Level | None, ...], done: int) -> Verdict:
        """What to tell the waiter after round ``done``, by the levels as they are now."""
        if self._pool.fits(levels, waiter.amount_nano):
            return Verdict.FITS
        if waiter.asked_in is None or waiter.asked_in > done:
            return Verdict.WAIT
        for level in levels:
            if level is None:
                return Verdict.WAIT
            asked = level.unmet_in >= waiter.asked_in  # others may have taken what was free before
            if level.free_nano < waiter.amount_nano and asked and not level.behind:
                return Verdict.SHORT
        return Verdict.WAIT
