"""Who may admit how much of each limit; in the one process that shares them out.

What all holders have together, and what the dead may have admitted, is never more than the limit.
So no 60 seconds hold more than the limit either: who gives a part away has admitted no more than
the rest of it, and counts what it admitted for as long as any window does.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping

from tokenbooth.admission.shares.values import OF_A_MINUTE, Limited

# What a dead holder admitted may stand in a window for so long.
GHOST_US = 61_000_000


class _Account:
    """One limit; ``ghosts`` are parts of dead holders and when they end, ``needy`` wait in turn."""

    __slots__ = ("ghosts", "limit", "needy", "parts")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.parts: dict[str, int] = {}
        self.ghosts: list[tuple[int, int]] = []
        self.needy: OrderedDict[str, None] = OrderedDict()

    def free(self, now_us: int) -> int:
        """Negative after a limit was lowered."""
        self.ghosts = [each for each in self.ghosts if each[0] > now_us]
        gone = sum(amount for _, amount in self.ghosts)
        return self.limit - gone - sum(self.parts.values())


class ShareLedger:
    """Times are of a monotonic clock, in microseconds."""

    def __init__(self) -> None:
        self._accounts: dict[Limited, _Account] = {}

    def __len__(self) -> int:
        return len(self._accounts)

    def missing(self, limited: Limited, limit: int, need: int, now_us: int) -> int:
        """How much less than ``need`` is free; the limit is what the asker says it is."""
        account = self._accounts.setdefault(limited, _Account(limit))
        account.limit = limit
        return max(0, need - account.free(now_us))

    def limit(self, limited: Limited) -> int:
        """As the last asker knew it."""
        return self._accounts[limited].limit

    def grant(self, holder: str, limited: Limited, limit: int, now_us: int) -> int:
        """All that is free: whoever else needs some of it will ask for it."""
        account = self._accounts.setdefault(limited, _Account(limit))
        amount = max(0, account.free(now_us))
        if amount:
            account.parts[holder] = account.parts.get(holder, 0) + amount
        account.needy.pop(holder, None)
        return amount

    def others(self, limited: Limited, holder: str) -> tuple[str, ...]:
        """Who else has some of it."""
        parts = self._accounts[limited].parts
        return tuple(each for each, amount in parts.items() if amount > 0 and each != holder)

    def is_short(self, limited: Limited, holder: str, holders: int) -> bool:
        """Whether it has less than an even part."""
        account = self._accounts[limited]
        return account.parts.get(holder, 0) < max(1, account.limit // holders)

    def given_back(self, holder: str, limited: Limited, amount: int) -> None:
        account = self._accounts.get(limited)
        if account is None:
            return
        left = account.parts.pop(holder, 0) - amount
        if left > 0:
            account.parts[holder] = left
        self._tidy(limited, account)

    def wait_for(self, limited: Limited, holder: str) -> None:
        """It gets the next of it that is given back."""
        self._accounts[limited].needy[holder] = None

    def next_needy(self, limited: Limited, holders: int, now_us: int) -> str | None:
        """Who gets what is free: of those that wait, the first with less than an even part, or
        else the first."""
        account = self._accounts.get(limited)
        if account is None or not account.needy or account.free(now_us) <= 0:
            return None
        short = (each for each in account.needy if self.is_short(limited, each, holders))
        return next(short, next(iter(account.needy)))

    def is_needy(self, limited: Limited, holder: str) -> bool:
        account = self._accounts.get(limited)
        return account is not None and holder in account.needy

    def is_owed(self, limited: Limited, holder: str) -> bool:
        """Whether others wait for some of it too."""
        account = self._accounts.get(limited)
        return account is not None and any(each != holder for each in account.needy)

    def joined(self, holder: str, parts: Mapping[Limited, tuple[int, int]]) -> None:
        """What a holder says that it has: limit and part of each."""
        for limited, (limit, amount) in parts.items():
            self._accounts.setdefault(limited, _Account(limit)).parts[holder] = amount

    def left(self, holder: str, now_us: int) -> Iterable[Limited]:
        """It is dead; of what there may be some for others now."""
        for limited, account in tuple(self._accounts.items()):
            amount = account.parts.pop(holder, 0)
            account.needy.pop(holder, None)
            if amount and limited.kind in OF_A_MINUTE:
                account.ghosts.append((now_us + GHOST_US, amount))
            self._tidy(limited, account)
            yield limited

    def ghosts_end_us(self, limited: Limited) -> int | None:
        """When the first part of a dead holder is free."""
        account = self._accounts.get(limited)
        ghosts = () if account is None else account.ghosts
        return min((ends_us for ends_us, _ in ghosts), default=None)

    def tidy(self, now_us: int) -> None:
        """Forget what nobody has any more."""
        for limited, account in tuple(self._accounts.items()):
            account.free(now_us)
            self._tidy(limited, account)

    def _tidy(self, limited: Limited, account: _Account) -> None:
        if not (account.parts or account.ghosts or account.needy):
            del self._accounts[limited]
