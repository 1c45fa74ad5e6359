"""The leased money of one gateway process, in memory: spent without a wait, told in rounds.

Everything runs on one thread. ``granted - held`` of a level is free; a hold takes from every level
of its chain or from none. What memory says never exceeds what the ledger granted: a return leaves
memory before the ledger hears of it, and a grant enters it after.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from tokenbooth.core.receipt import LimitState
from tokenbooth.money.leases import rules
from tokenbooth.money.leases.level import Level, Levels, begin, end, take, uncharge
from tokenbooth.money.leases.level_book import Leased, LevelBook
from tokenbooth.money.leases.values import (
    CallFacts,
    LevelKey,
    PoolOptions,
    RoundAsk,
    RoundDone,
    SettledCall,
    Wants,
)


class HeldMoney:
    """What one running call holds at each of its levels."""

    __slots__ = ("announced", "facts", "held_nano", "levels", "since_us")

    def __init__(self, facts: CallFacts, levels: Levels, since_us: int) -> None:
        self.facts = facts
        self.levels = levels
        self.held_nano = facts.held_nano
        self.since_us = since_us
        self.announced = False


class Pool:
    """Levels, holds, and what has to be told in the next round.

    ``now_us`` everywhere is the monotonic clock of the process. One round at a time: after
    ``next_round`` the same ask is booked until ``apply`` hears of it. ``told`` counts settled calls
    so far; the ledger hears of them in this order, so it knows all but the newest ``waiting``.
    """

    def __init__(
        self, replica_id: str, epoch: int, options: PoolOptions, *, rounds: int = 0
    ) -> None:
        """``rounds`` of this epoch were booked before."""
        self.replica_id = replica_id
        self.epoch = epoch
        self._options = options
        self._round = rounds
        self._calls_max = options.round_calls_max
        self._asked: RoundAsk | None = None
        self._asked_us = 0
        self._book = LevelBook(options)
        self._calls: dict[str, HeldMoney] = {}
        self._settled: deque[SettledCall] = deque()
        self.told = 0
        self._recalled: dict[str, int] = {}

    @property
    def unanswered(self) -> bool:
        """Whether a round was asked of which nobody knows yet whether it was booked."""
        return self._asked is not None

    @property
    def waiting(self) -> int:
        """Settled calls that the ledger has not heard of yet."""
        flying = 0 if self._asked is None else len(self._asked.settled)
        return len(self._settled) + flying

    def levels(self, chain: Sequence[LevelKey], now_us: int) -> tuple[Level | None, ...]:
        """The levels of a chain as known now; ``None`` for one never leased, or whose window is
        over though the window of the moment was asked for."""
        return self._book.levels(chain, now_us)

    def leased_at(self, chain: Sequence[LevelKey], now_us: int) -> Leased | None:
        """The same where all of them are leased; good as long as ``stands`` says so."""
        return self._book.leased_at(chain, now_us)

    def stands(self, leased: Leased, now_us: int) -> bool:
        """Whether they are still the levels of their chain."""
        ends_us = leased.ends_us
        return leased.generation == self._book.generation and (ends_us is None or now_us < ends_us)

    def fits(self, levels: Sequence[Level | None], amount_nano: int) -> bool:
        return all(level is not None and level.free_nano >= amount_nano for level in levels)

    def hold(self, facts: CallFacts, levels: Levels, now_us: int) -> HeldMoney:
        """Take ``facts.held_nano`` at each level; ask ``fits`` first."""
        begin(levels, facts.held_nano, now_us)
        held = self._calls[facts.request_id] = HeldMoney(facts, levels, now_us)
        return held

    def extend(self, held: HeldMoney, amount_nano: int, now_us: int) -> bool:
        """Hold more for a running call; nothing when it does not fit, or when the call has ended
        while it waited for this."""
        runs = held.facts.request_id in self._calls
        if not runs or not self.fits(held.levels, amount_nano):
            return False
        take(held.levels, amount_nano, now_us)
        held.held_nano += amount_nano
        return True

    def release(self, held: HeldMoney, cost_nano: int, now_us: int) -> None:
        """End a hold: the cost is spent, the rest is free again. Exactly once for each call."""
        assert 0 <= cost_nano <= held.held_nano, "a charge is never above its hold"
        del self._calls[held.facts.request_id]
        end(held.levels, held.held_nano, cost_nano, now_us)

    def uncharge(self, held: HeldMoney, cost_nano: int) -> None:
        """Take back the charge of a released hold, before anybody is told of it."""
        uncharge(held.levels, cost_nano)

    def tell(self, call: SettledCall) -> None:
        """Queue a settled call for the ledger; its hold was released before."""
        self._settled.append(call)
        self.told += 1

    def recalled(self, asked: Mapping[str, int]) -> bool:
        """Answer recalls in the next round; True when there are any."""
        self._recalled.update(asked)
        return bool(self._recalled)

    def limits(self, levels: Sequence[Level]) -> tuple[LimitState, ...]:
        """The limits as the newest round and what happened since make them."""
        return tuple([level.shown or level.state() for level in levels])

    def next_round(
        self, wants: Wants, now_us: int, *, close: bool = False, announce: bool = False
    ) -> RoundAsk:
        """Everything there is to tell; an unanswered round is asked again, word for word.

        ``close`` gives back all that no running call holds; ``announce`` shows even young calls.
        """
        if self._asked is not None:
            return self._asked
        settled = tuple(self._take_settled())
        announced = tuple(self._take_announced(now_us, all_calls=announce))
        seen, self._recalled = self._recalled, {}
        givings = self._book.givings(wants, settled, seen, now_us, close=close)
        ask = RoundAsk(
            replica_id=self.replica_id,
            epoch=self.epoch,
            number=self._round + 1,
            settled=settled,
            announced=announced,
            wants=wants,
            givings=givings,
            seen=seen,
        )
        if not ask.empty:
            self._asked, self._asked_us = ask, now_us
        return ask

    def _take_settled(self) -> Iterator[SettledCall]:
        for _ in range(min(len(self._settled), self._calls_max)):
            yield self._settled.popleft()

    def _take_announced(self, now_us: int, *, all_calls: bool) -> Iterator[CallFacts]:
        old_us = now_us if all_calls else now_us - self._options.announce_after_us
        count = 0
        for held in self._calls.values():  # in the order of their holds
            if held.since_us > old_us or count == self._options.round_calls_max:
                return
            if not held.announced:
                held.announced = True
                count += 1
                yield held.facts

    def refused(self) -> SettledCall | None:
        """Take back a round that the ledger did not book, for a reason that will not pass.

        The next one tells less; a call that is refused alone is set aside, with its money held,
        and returned.
        """
        asked, self._asked = self._asked, None
        assert asked is not None
        for name, giving in asked.givings.items():
            self._book.by_limit[name].take_back(giving.returned_nano)
        for facts in asked.announced:
            if facts.request_id in self._calls:
                self._calls[facts.request_id].announced = False
        if len(asked.settled) == 1:
            self._calls_max = self._options.round_calls_max
            return asked.settled[0]
        self._settled.extendleft(reversed(asked.settled))
        self._calls_max = max(1, len(asked.settled) // 2)
        return None

    def apply(self, done: RoundDone) -> None:
        """Take in what a round brought."""
        asked = self._asked
        assert asked is not None
        assert done.number == asked.number
        self._asked = None
        self._round = done.number
        self._calls_max = self._options.round_calls_max
        costs_nano = rules.spent_by_limit(asked.settled)
        self._book.renew(done, asked, costs_nano, self._asked_us)

    @property
    def untold(self) -> bool:
        """Whether the ledger shows anything else than what is true here."""
        if self._settled or self._asked is not None:
            return True
        if any(not held.announced for held in self._calls.values()):
            return True
        return any(
            level.held_nano != level.told_held_nano for level in self._book.by_limit.values()
        )

    @property
    def leased(self) -> bool:
        """Whether any money is leased that no call holds."""
        return any(level.free_nano for level in self._book.by_limit.values())

    @property
    def has_leases(self) -> bool:
        """Whether any money is leased, held by calls or not: others may ask for it."""
        return any(level.granted_nano for level in self._book.by_limit.values())

    def running_low(self, now_us: int) -> tuple[Level, ...]:
        """Levels of the moment that will need more soon."""
        return self._book.running_low(now_us)

    def idle_left(self, now_us: int) -> bool:
        """Whether the next round would give something back by itself, or announce a call."""
        if self._book.any_idle(now_us):
            return True
        old_us = now_us - self._options.announce_after_us
        return any(not h.announced and h.since_us <= old_us for h in self._calls.values())
