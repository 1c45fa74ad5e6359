"""Who waits for money: running calls before new ones, each until the ledger has really said no."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.leases import rules
from tokenbooth.money.leases.level import Level
from tokenbooth.money.leases.pool import Pool
from tokenbooth.money.leases.values import (
    Advance,
    Answer,
    LevelKey,
    RoundAsk,
    RoundDone,
    Verdict,
    Want,
    Wants,
)

_Owner = tuple[LimitScope, str]


class Waiter:
    """Waits for ``amount_nano`` at each level of ``chain``."""

    __slots__ = ("amount_nano", "answer", "asked", "chain", "least_nano", "runs")

    def __init__(
        self,
        chain: tuple[LevelKey, ...],
        amount_nano: int,
        *,
        runs: bool,
        least_nano: int | None = None,
    ) -> None:
        """``runs``: the money is for a call that runs already. ``least_nano`` is of use too, where
        there is no more; only all of it without."""
        self.chain = chain
        self.amount_nano = amount_nano
        self.least_nano = amount_nano if least_nano is None else least_nano
        self.runs = runs
        self.asked = False
        self.answer: Answer | None = None

    def want(self) -> Want:
        return Want(
            chain=self.chain,
            amount_nano=self.amount_nano,
            least_nano=self.least_nano,
            runs=self.runs,
            recalls={} if self.answer is None else self.answer.recalls,
        )


class MoneyQueue:
    """The waiters of one process, in the order in which they are served; ``running`` are those
    whose calls run already."""

    def __init__(self, pool: Pool, *, block_nano_max: int) -> None:
        self._pool = pool
        self._block_nano_max = block_nano_max
        self.running: dict[Waiter, None] = {}
        self._new: dict[Waiter, None] = {}
        self._running_at: Counter[_Owner] = Counter()
        self._asking: tuple[Waiter, ...] = ()

    def __len__(self) -> int:
        return len(self.running) + len(self._new)

    def __iter__(self) -> Iterator[Waiter]:
        yield from tuple(self.running)
        yield from tuple(self._new)

    def running_waits_at(self, levels: Iterable[LevelKey]) -> bool:
        """Whether a call that runs already waits for money at one of them, in whatever window; who
        has no level in common with it need not wait for it."""
        return bool(self.running) and any(_owner(key) in self._running_at for key in levels)

    @property
    def unasked(self) -> bool:
        """Whether somebody waits for whom no round has asked yet."""
        return any(not waiter.asked for waiter in self)

    def add(self, waiter: Waiter) -> None:
        (self.running if waiter.runs else self._new)[waiter] = None
        if waiter.runs:
            self._running_at.update(map(_owner, waiter.chain))

    def remove(self, waiter: Waiter) -> None:
        self._new.pop(waiter, None)
        if waiter in self.running:
            del self.running[waiter]
            self._running_at.subtract(map(_owner, waiter.chain))
            self._running_at = +self._running_at

    def wants(self, now_us: int, *, close: bool = False) -> Wants:
        """What everybody waits for, and advances where calls would have to wait soon; none for one
        who gives everything back."""
        calls = tuple(waiter.want() for waiter in self)
        return Wants(calls, () if close else tuple(self._advances(now_us)))

    def _advances(self, now_us: int) -> Iterator[Advance]:
        largest: dict[LevelKey, int] = {}
        for waiter in self:
            for key in waiter.chain:
                largest[key] = max(largest.get(key, 0), waiter.amount_nano)
        for level in self._pool.running_low(now_us):
            largest.setdefault(level.key, 0)
        for key, amount_nano in largest.items():
            (known,) = self._pool.levels((key,), now_us)
            pace_nano = 0 if known is None else known.pace_nano(now_us)
            if known is None or now_us >= known.quiet_until_us:
                block_nano = rules.block_nano(amount_nano, pace_nano, self._block_nano_max)
                yield Advance(key, block_nano)

    def asked(self, ask: RoundAsk) -> None:
        """Note that this round, made of the newest wants, asks for everybody who waits now."""
        self._asking = tuple(self)[: len(ask.wants.calls)]
        for waiter in self._asking:
            waiter.asked = True

    def heard(self, done: RoundDone) -> None:
        """Keep what the round decided about each of them; none when it was booked before."""
        for waiter, answer in zip(self._asking, done.answers, strict=False):
            waiter.answer = answer
        self._asking = ()

    def verdict(self, waiter: Waiter, levels: Sequence[Level | None]) -> Verdict:
        """What to tell the waiter, by the newest answer and by the levels as they are now.

        Others may have taken what was granted for it meanwhile, or have freed what it needs since
        the round decided: then it asks again. A new call takes nothing that a running one waits
        for.
        """
        if not waiter.runs and self.running_waits_at(waiter.chain):
            return Verdict.WAIT
        if self._pool.fits(levels, waiter.amount_nano):
            return Verdict.FITS
        answer = waiter.answer
        if answer is None or answer.verdict is not Verdict.SHORT:
            return Verdict.WAIT
        needed_nano = waiter.amount_nano if answer.bought_nano else waiter.least_nano
        left_nano = min(0 if level is None else level.left_nano for level in levels)
        if left_nano >= needed_nano or not self._pool.fits(levels, answer.bought_nano):
            return Verdict.WAIT
        return Verdict.SHORT


def _owner(key: LevelKey) -> _Owner:
    return key.scope, key.owner_id
