"""The leased money of one gateway process, in memory: spent without a wait, told in rounds.

Everything runs on one thread. ``granted - held`` of a level is free; a hold takes from every level
of its chain or from none. What memory says never exceeds what the ledger granted: a return leaves
memory before the ledger hears of it, and a grant enters it after.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from tokenbooth.core.receipt import LimitState
from tokenbooth.money.leases import rules
from tokenbooth.money.leases.level import Level
from tokenbooth.money.leases.values import (
    CallFacts,
    Giving,
    LevelKey,
    PoolOptions,
    RoundAsk,
    RoundDone,
    SettledCall,
    Wants,
)
from tokenbooth.money.windows import limit_id

Levels = tuple[Level, ...]


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
    ``next_round`` the same ask is booked until ``apply`` hears of it.
    """

    def __init__(
        self, replica_id: str, epoch: int, options: PoolOptions, *, rounds: int = 0
    ) -> None:
        """``rounds`` of this epoch were booked before."""
        self._replica_id = replica_id
        self._epoch = epoch
        self._options = options
        self._round = rounds
        self._calls_max = options.round_calls_max
        self._asked: RoundAsk | None = None
        self._asked_us = 0
        self._levels: dict[str, Level] = {}
        self._current: dict[LevelKey, Level] = {}
        self._calls: dict[str, HeldMoney] = {}
        self._chains: dict[tuple[LevelKey, ...], tuple[Levels, int | None]] = {}
        self._settled: deque[SettledCall] = deque()
        self._recalled: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def replica_id(self) -> str:
        return self._replica_id

    @property
    def epoch(self) -> int:
        return self._epoch

    @property
    def unanswered(self) -> bool:
        """Whether a round was asked of which nobody knows yet whether it was booked."""
        return self._asked is not None

    @property
    def waiting(self) -> int:
        """Settled calls that the ledger has not heard of yet."""
        flying = 0 if self._asked is None else len(self._asked.settled)
        return len(self._settled) + flying

    @property
    def granted_nano(self) -> int:
        """What is leased at the balances."""
        return sum(v.granted_nano for v in self._levels.values() if v.key.scope.value == "balance")

    def levels(self, chain: Sequence[LevelKey], now_us: int) -> tuple[Level | None, ...]:
        """The levels of a chain as known now; ``None`` for one never leased, or whose window is
        over though the window of the moment was asked for."""
        return tuple(self._level(key, now_us) for key in chain)

    def leased_levels(self, chain: tuple[LevelKey, ...], now_us: int) -> Levels | None:
        """The same where all of them are leased; remembered until a level comes or goes."""
        known = self._chains.get(chain)
        if known is None:
            levels = self.levels(chain, now_us)
            found = tuple(level for level in levels if level is not None)
            if len(found) < len(levels):
                return None
            ends_us = min((v.ends_us for v in found if v.ends_us is not None), default=None)
            known = self._chains[chain] = (found, ends_us)
        found, ends_us = known
        if ends_us is not None and now_us >= ends_us:
            del self._chains[chain]
            return None
        return found

    def _level(self, key: LevelKey, now_us: int) -> Level | None:
        if key.window_id is not None:
            return self._levels.get(limit_id(key.scope, key.owner_id, key.window_id))
        level = self._current.get(key)
        return None if level is None or level.over(now_us) else level

    def fits(self, levels: Sequence[Level | None], amount_nano: int) -> bool:
        return all(level is not None and level.free_nano >= amount_nano for level in levels)

    def hold(self, facts: CallFacts, levels: Levels, now_us: int) -> HeldMoney:
        """Take ``facts.held_nano`` at each level; ask ``fits`` first."""
        amount_nano = facts.held_nano
        for level in levels:
            level.take(amount_nano, now_us)
            level.calls += 1
        held = self._calls[facts.request_id] = HeldMoney(facts, levels, now_us)
        return held

    def extend(self, held: HeldMoney, amount_nano: int, now_us: int) -> bool:
        """Hold more for a running call, or nothing when it does not fit."""
        if not self.fits(held.levels, amount_nano):
            return False
        for level in held.levels:
            level.take(amount_nano, now_us)
        held.held_nano += amount_nano
        return True

    def release(self, held: HeldMoney, cost_nano: int, now_us: int) -> None:
        """End a hold: the cost is spent, the rest is free again. Exactly once for each call."""
        assert 0 <= cost_nano <= held.held_nano, "a charge is never above its hold"
        del self._calls[held.facts.request_id]
        for level in held.levels:
            level.settle(held.held_nano, cost_nano, now_us)
            level.calls -= 1

    def tell(self, call: SettledCall) -> None:
        """Queue a settled call for the ledger; its hold was released before."""
        self._settled.append(call)

    def is_running(self, request_id: str) -> bool:
        return request_id in self._calls

    def recalled(self, asked: Mapping[str, int]) -> bool:
        """Answer recalls in the next round; True when there are any."""
        self._recalled.update(asked)
        return bool(self._recalled)

    def limits(self, levels: Sequence[Level]) -> tuple[LimitState, ...]:
        """The limits as the newest round and what happened since make them."""
        return tuple(level.state() for level in levels)

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
        givings = self._givings(wants, settled, seen, now_us, close=close)
        ask = RoundAsk(
            replica_id=self._replica_id,
            epoch=self._epoch,
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

    def _givings(
        self,
        wants: Wants,
        settled: Sequence[SettledCall],
        seen: Mapping[str, int],
        now_us: int,
        *,
        close: bool,
    ) -> dict[str, Giving]:
        """Idle, recalled and outlived remainders, and what is held, wherever something changed."""
        charged = {name for call in settled for name in call.facts.chain}
        keys = {key for want in wants.calls for key in want.chain}
        keys |= {advance.level for advance in wants.advances}
        wanted = {self._level(key, now_us) for key in keys}
        givings: dict[str, Giving] = {}
        for name, level in self._levels.items():
            recalled = name in seen
            wants_more = level in wanted
            returned_nano = 0
            if close or recalled or (not wants_more and level.idle(now_us, self._options)):
                returned_nano = level.give_back()
            if recalled:
                level.recalled(now_us)
            changed = returned_nano or level.held_nano != level.told_held_nano
            if changed or recalled or wants_more or name in charged:
                givings[name] = Giving(returned_nano, level.held_nano)
        return givings

    def refused(self) -> SettledCall | None:
        """Take back a round that the ledger did not book, for a reason that will not pass.

        The next one tells less; a call that is refused alone is set aside, with its money held,
        and returned.
        """
        asked, self._asked = self._asked, None
        assert asked is not None
        for name, giving in asked.givings.items():
            self._levels[name].take_back(giving.returned_nano)
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
        """Take in what a round brought; levels that are empty and unused are forgotten."""
        asked = self._asked
        assert asked is not None
        assert done.number == asked.number
        self._asked = None
        self._round = done.number
        self._calls_max = self._options.round_calls_max
        for key, name in done.wanted.items():
            if name not in self._levels:
                self._levels[name] = Level(name, key)
            if key.window_id is None and self._current.get(key) is not self._levels[name]:
                self._current[key] = self._levels[name]
                self._chains.clear()
        costs = rules.spent_by_limit(asked.settled)
        for name, line in done.lines.items():
            level = self._levels.get(name)
            if level is not None:
                told_held_nano = asked.givings[name].held_nano if name in asked.givings else None
                level.renew(line, costs[name], told_held_nano, self._asked_us)
                if not line.current:
                    self._leave(level)
        wanted = frozenset(done.wanted.values())  # whoever waits there has to see it empty
        for name in [n for n, v in self._levels.items() if v.unused() and n not in wanted]:
            self._leave(self._levels.pop(name))

    def _leave(self, level: Level) -> None:
        """New calls have to ask which limit it is that they count under."""
        self._chains.clear()
        for key in [k for k, found in self._current.items() if found is level]:
            del self._current[key]

    @property
    def untold(self) -> bool:
        """Whether the ledger shows anything else than what is true here."""
        if self._settled or self._asked is not None:
            return True
        if any(not held.announced for held in self._calls.values()):
            return True
        return any(level.held_nano != level.told_held_nano for level in self._levels.values())

    @property
    def leased(self) -> bool:
        """Whether any money is leased that no call holds."""
        return any(level.free_nano for level in self._levels.values())

    def running_low(self, now_us: int) -> tuple[Level, ...]:
        """Levels of the moment that will need more soon."""
        return tuple(v for v in self._current.values() if v.running_low(now_us))

    def idle_left(self, now_us: int) -> bool:
        """Whether the next round would give something back by itself, or announce a call."""
        if any(level.idle(now_us, self._options) for level in self._levels.values()):
            return True
        old_us = now_us - self._options.announce_after_us
        return any(not h.announced and h.since_us <= old_us for h in self._calls.values())
