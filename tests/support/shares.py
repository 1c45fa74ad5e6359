"""Several processes with shares of limits, and the one that shares them out, in one."""

from collections.abc import Callable

from tokenbooth.admission.entry.service import GateBook
from tokenbooth.admission.rates.service import RateBook
from tokenbooth.admission.shares.service import Answer, Grant, Kind, Limited, ShareLedger, Shares


class Clock:
    def __init__(self) -> None:
        self.us = 5_000_000_000

    def __call__(self) -> int:
        return self.us


class Town:
    """``holders`` by name; one that dies is removed and tells nobody."""

    def __init__(self, names: str) -> None:
        self.clock = Clock()
        self.ledger = ShareLedger()
        self.asked = 0
        self.away = False
        self.count = len(names)
        self.holders: dict[str, Holder] = {}
        for name in names:
            self.born(name)

    def born(self, name: str) -> "Holder":
        self.holders[name] = Holder(self, name)
        return self.holders[name]

    def tell(self, name: str, limited: Limited, limit: int, amount: int) -> None:
        needy, owed = self.ledger.is_needy(limited, name), self.ledger.is_owed(limited, name)
        self.holders[name].shares.granted(limited, limit, Grant(amount, needy, owed))

    def dies(self, name: str) -> None:
        del self.holders[name]
        list(self.ledger.left(name, self.clock()))


class Holder:
    """One process, and its way to the ledger."""

    def __init__(self, town: Town, name: str) -> None:
        self.town = town
        self.name = name
        self.rates = RateBook(town.clock)
        self.gates = GateBook(town.clock)
        queue_share: Callable[[int], int] = lambda queue_max: queue_max  # noqa: E731
        self.shares = Shares(
            self.rates, self.gates, self, monotonic_us=town.clock, queue_share=queue_share
        )

    async def ask(self, limited: Limited, limit: int, need: int) -> Answer:
        town, ledger, now_us = self.town, self.town.ledger, self.town.clock()
        town.asked += 1
        if town.away:
            return Answer(0, 7)
        missing = ledger.missing(limited, limit, need, now_us)
        waits = []
        if missing:
            urgent = ledger.is_short(limited, self.name, town.count)
            for other in ledger.others(limited, self.name):
                spared = town.holders[other].shares.recalled(limited, missing, urgent=urgent)
                ledger.given_back(other, limited, spared.amount)
                waits.append(spared.wait_s)
        amount = ledger.grant(self.name, limited, limit, now_us)
        if amount < need and limited.kind is Kind.PLACES:
            ledger.wait_for(limited, self.name)
        town.tell(self.name, limited, limit, amount)
        return Answer(amount, min([wait for wait in waits if wait] or [60]))

    def give(self, limited: Limited, amount: int) -> None:
        town = self.town
        town.ledger.given_back(self.name, limited, amount)
        needy = town.ledger.next_needy(limited, town.count, town.clock())
        if needy is not None:
            limit = town.ledger.limit(limited)
            more = town.ledger.grant(needy, limited, limit, town.clock())
            town.tell(needy, limited, limit, more)
