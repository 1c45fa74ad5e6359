"""The levels of one gateway process, by limit and as new calls ask for them."""

from collections import Counter
from collections.abc import Mapping, Sequence

from tokenbooth.core.noun import noun
from tokenbooth.money.leases.level import Level, Levels
from tokenbooth.money.leases.values import (
    Giving,
    LeaseLine,
    LevelKey,
    PoolOptions,
    RoundAsk,
    RoundDone,
    SettledCall,
    Wants,
)
from tokenbooth.money.windows import limit_id


@noun
class Leased:
    """The levels of a chain while all of them are leased.

    It is as good as new in the same ``generation`` of the book, before the first of its windows
    ends at ``ends_us``.
    """

    levels: Levels
    ends_us: int | None
    generation: int


class LevelBook:
    """``by_limit`` has every level that anything is leased, held or still to be told at;
    ``generation`` rises when a level comes or goes."""

    def __init__(self, options: PoolOptions) -> None:
        self._options = options
        self._current: dict[LevelKey, Level] = {}
        self.generation = 0
        self.by_limit: dict[str, Level] = {}

    def levels(self, chain: Sequence[LevelKey], now_us: int) -> tuple[Level | None, ...]:
        """The levels of a chain as known now; ``None`` for one never leased, or whose window is
        over though the window of the moment was asked for."""
        return tuple(self._level(key, now_us) for key in chain)

    def leased_at(self, chain: Sequence[LevelKey], now_us: int) -> Leased | None:
        """The same where all of them are leased."""
        levels = self.levels(chain, now_us)
        found = tuple(level for level in levels if level is not None)
        if len(found) < len(levels):
            return None
        ends_us = min((v.ends_us for v in found if v.ends_us is not None), default=None)
        return Leased(found, ends_us, self.generation)

    def _level(self, key: LevelKey, now_us: int) -> Level | None:
        if key.window_id is not None:
            return self.by_limit.get(limit_id(key.scope, key.owner_id, key.window_id))
        level = self._current.get(key)
        return None if level is None or level.over(now_us) else level

    def givings(
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
        for name, level in self.by_limit.items():
            recalled = name in seen
            wants_more = level in wanted
            returned_nano = 0
            if close or recalled or (not wants_more and level.idle(now_us, self._options)):
                returned_nano = level.give_back()
            if recalled:
                level.take_no_advance(now_us)
            changed = returned_nano or level.held_nano != level.told_held_nano
            if changed or recalled or wants_more or name in charged:
                givings[name] = Giving(returned_nano, level.held_nano)
        return givings

    def renew(
        self, done: RoundDone, asked: RoundAsk, costs_nano: Counter[str], asked_us: int
    ) -> None:
        """Take in the limits of a round; levels that are empty and unused are forgotten."""
        for key, name in done.wanted.items():
            if name not in self.by_limit:
                self.by_limit[name] = Level(name, key)
            if key.window_id is None and self._current.get(key) is not self.by_limit[name]:
                self._current[key] = self.by_limit[name]
                self.generation += 1
        fed = set()
        for name, line in done.lines.items():
            level = self.by_limit.get(name) or self._late(line)
            if level is not None:
                before_nano = level.free_nano
                told_held_nano = asked.givings[name].held_nano if name in asked.givings else None
                level.renew(line, costs_nano[name], told_held_nano, asked_us)
                if level.free_nano > before_nano:
                    fed.add(name)
                if not line.current:
                    self._leave(level)
        for advance in asked.wants.advances:
            name = done.wanted[advance.level]
            if name not in fed:  # there is no more to be had for now: asking on would be idle work
                self.by_limit[name].take_no_advance(asked_us)
        wanted = frozenset(done.wanted.values())  # whoever waits there has to see it empty
        for name in [n for n, v in self.by_limit.items() if v.unused() and n not in wanted]:
            self._leave(self.by_limit.pop(name))

    def _late(self, line: LeaseLine) -> Level | None:
        """A level that a round had leased whose answer was lost, in a window that is over now."""
        row = line.row
        if not line.granted_nano:
            return None
        level = Level(row.id, LevelKey(row.scope, row.owner_id, row.window_id or None))
        self.by_limit[row.id] = level
        return level

    def _leave(self, level: Level) -> None:
        """New calls have to ask which limit it is that they count under."""
        self.generation += 1
        for key in [k for k, found in self._current.items() if found is level]:
            del self._current[key]

    def running_low(self, now_us: int) -> tuple[Level, ...]:
        """Levels of the moment that will need more soon; none that rests: what it got would go
        back at once."""
        return tuple(
            level
            for level in self._current.values()
            if level.running_low(now_us) and not level.rests(now_us, self._options)
        )

    def any_idle(self, now_us: int) -> bool:
        """Whether free money lies somewhere unused, or in a window that is over."""
        return any(level.idle(now_us, self._options) for level in self.by_limit.values())
