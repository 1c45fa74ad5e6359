"""What leased money must come to, in a few lines: the model that histories are compared with."""

from collections import Counter
from dataclasses import dataclass, field

from tokenbooth.core.caller import Caller
from tokenbooth.core.money import NANO_MAX
from tokenbooth.core.receipt import LimitScope, Period
from tokenbooth.money.ledger import service as ledger
from tokenbooth.money.prices.service import Price
from tokenbooth.money.windows import limit_id, window_of

Level = tuple[LimitScope, str]


@dataclass
class ModelCall:
    """A call that holds money at the limits ``ids``; ``sent_nano`` is what its crash would cost."""

    replica: str
    ids: tuple[str, ...]
    price: Price
    input_tokens: int
    held_nano: int
    stream: bool
    sent_nano: int = 0


@dataclass
class Model:
    """Caps by limit id, and everything that counts against them."""

    now_us: int
    caps: dict[Level, tuple[int | None, Period]] = field(default_factory=dict)
    limits: dict[str, int | None] = field(default_factory=dict)
    spent: Counter[str] = field(default_factory=Counter)
    frozen: dict[str, Counter[str]] = field(default_factory=dict)
    calls: dict[str, ModelCall] = field(default_factory=dict)
    ended: dict[str, tuple[str, tuple[str, ...], int]] = field(default_factory=dict)

    def current(self, level: Level) -> str:
        """The limit that new calls count under."""
        cap, period = self.caps.get(level, (None, Period.NONE))
        name = limit_id(*level, window_of(period, self.now_us))
        self.limits.setdefault(name, 0 if level[0] is LimitScope.BALANCE else cap)
        return name

    def chain(self, caller: Caller) -> tuple[str, ...]:
        return tuple(self.current(level) for level in ledger.chain_of(caller))

    def held(self, name: str) -> int:
        return sum(c.held_nano for c in self.calls.values() if name in c.ids)

    def used(self, name: str) -> int:
        frozen = sum(each[name] for each in self.frozen.values())
        return self.spent[name] + self.held(name) + frozen

    def short_of(self, ids: tuple[str, ...], amount_nano: int) -> list[str]:
        """Those of the limits that have no room for so much more, 0 always having it."""
        return [name for name in ids if amount_nano > max(0, self._left(name))]

    def is_past(self, name: str) -> bool:
        """Whether no call begins under it any more, because its cap got another rhythm: what is
        leased of it may still be used by those that did begin under it."""
        return "@" not in name and any(
            period is not Period.NONE and limit_id(*level) == name
            for level, (_, period) in self.caps.items()
        )

    def room(self, ids: tuple[str, ...]) -> int:
        """What one more hold could have, were every unused lease at hand."""
        return max(0, min(self._left(name) for name in ids))

    def _left(self, name: str) -> int:
        limit = self.limits[name]
        return (NANO_MAX if limit is None else limit) - self.used(name)

    def set_cap(self, level: Level, cap: int | None, period: Period) -> None:
        self.caps[level] = (cap, period)
        self.limits[limit_id(*level)] = cap
        self.limits[self.current(level)] = cap

    def end(self, request_id: str, cost_nano: int) -> None:
        call = self.calls.pop(request_id)
        self.ended[request_id] = (call.replica, call.ids, cost_nano)
        self.spend(call.ids, cost_nano)

    def spend(self, ids: tuple[str, ...], cost_nano: int) -> None:
        for name in ids:
            self.spent[name] += cost_nano
