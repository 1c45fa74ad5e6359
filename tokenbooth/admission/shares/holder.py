"""The part of each limit that this process may admit by itself, and how it gets more.

While its parts are enough, a call asks nobody.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, Protocol

from tokenbooth.admission.entry.service import GateBook, Gated
from tokenbooth.admission.rates.service import KEY, ORG, Breach, RateBook, check_fits, refusal
from tokenbooth.admission.shares.values import OF_A_MINUTE, Answer, Grant, Kind, Limited
from tokenbooth.core.caller import Caller
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

# How long a refusal is believed; a call that comes meanwhile asks nobody.
REFUSED_US = 20_000
ROUNDS_MAX = 50
DEPLOYMENT = "deployment"
OF_OWNERS = (Kind.REQUESTS, Kind.TOKENS, Kind.PARALLEL)


class Owner(Protocol):
    """Where limits are shared out."""

    async def ask(self, limited: Limited, limit: int, need: int) -> Answer:
        """Raises Problem where nobody answers."""

    def give(self, limited: Limited, amount: int) -> None: ...


class _Part:
    """``owed`` goes to others when it comes free; ``urgent``, before anybody here gets it.

    ``promised`` are calls that are about to be admitted, which others cannot have. ``needy``: the
    owner knows that more is wanted, and gives it when there is some. ``wishing``: it
    is being asked to.
    """

    __slots__ = (
        "amount", "asking", "limit", "needy", "owed", "promised", "refused_us", "urgent", "wait_s",
        "wishing",
    )  # fmt: skip

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.amount = self.promised = 0
        self.asking: asyncio.Future[Answer] | None = None
        self.refused_us = 0
        self.wait_s = 1
        self.owed = self.urgent = self.needy = self.wishing = False


class _Lack(NamedTuple):
    """``total`` is what this process would have admitted with the call, ``more`` the call alone."""

    limited: Limited
    limit: int
    total: int
    more: int


class _Promises:
    """What one call is promised until it is admitted or refused; once of each part."""

    def __init__(self) -> None:
        self._made: dict[_Part, int] = {}

    def __enter__(self) -> "_Promises":
        return self

    def __exit__(self, *ignored: object) -> None:
        for part, amount in self._made.items():
            part.promised -= amount

    def make(self, part: _Part, amount: int) -> None:
        if part not in self._made:
            self._made[part] = amount
            part.promised += amount


class Shares:
    """Lives on one event loop; ``gates`` are told how many places they have."""

    def __init__(
        self,
        rates: RateBook,
        gates: GateBook,
        owner: Owner,
        *,
        monotonic_us: Callable[[], int],
        queue_share: Callable[[int], int],
    ) -> None:
        """``queue_share`` is how many of so many may wait in this process."""
        self._rates = rates
        self._gates = gates
        self._owner = owner
        self._monotonic_us = monotonic_us
        self._parts: dict[Limited, _Part] = {}
        self._queue_share = queue_share
        rates.elsewhere = self._elsewhere
        gates.bounds = self._bounds
        gates.leaves = self._leaves
        gates.hungry = self._hungry
        self._wishes: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._parts)

    @property
    def held(self) -> dict[Limited, tuple[int, int]]:
        """Limit and part of everything that this process has some of."""
        return {limited: (part.limit, part.amount) for limited, part in self._parts.items()}

    async def cover(self, caller: Caller, tokens_max: int) -> None:
        """Have parts in which a call of that caller can be admitted, which is then to be done at
        once. Raises RATE_LIMITED, INVALID_VALUE as ``RateBook.admit``, or ENGINE_BUSY."""
        check_fits(caller, tokens_max)
        with _Promises() as promises:
            for _ in range(ROUNDS_MAX):
                lack = next(_lacks(self._rates, self._parts, caller, tokens_max), None)
                if lack is None:
                    return
                if not await self._got(lack, promises):
                    part = self._parts[lack.limited]
                    breach = Breach(lack.limited.owner, lack.limited.kind, lack.limit, part.wait_s)
                    raise refusal((breach,))
        raise Problem(Code.ENGINE_BUSY, "Too many calls of this key at once.", retry_after_s=1)

    async def cover_place(self, deployment: Gated) -> None:
        """Have a place for one more call, if there is one; else one comes when it is free."""
        limited = Limited(Kind.PLACES, DEPLOYMENT, deployment.id)
        limit = deployment.concurrency_max
        with _Promises() as promises:
            for _ in range(ROUNDS_MAX):
                total = self._gates.taken(deployment.id) + 1
                part = self._parts.get(limited)
                enough = part is not None and part.limit == limit and total <= part.amount
                if enough or not await self._got(_Lack(limited, limit, total, 1), promises):
                    return

    # What the owner tells.

    def granted(self, limited: Limited, limit: int, grant: Grant) -> None:
        part = self._parts.setdefault(limited, _Part(limit))
        part.amount += grant.amount
        part.needy = grant.needy
        if grant.owed:
            part.owed = part.urgent = True
        if limited.kind is Kind.PLACES:
            self._gates.resize(limited.owner_id, part.amount)
            self._wish(limited)

    def recalled(self, limited: Limited, need: int, *, urgent: bool) -> Answer:
        """Give away what can be spared, at least ``need``, or say when that would be free."""
        part = self._parts.get(limited)
        if part is None:
            return Answer(0, 0)
        spare = max(0, part.amount - self._used(limited) - part.promised)
        amount = min(spare, max(need, spare // 2))
        self._drop(limited, part, amount)
        if amount < need and limited.kind is Kind.PLACES:
            part.owed, part.urgent = True, urgent
        if amount >= need or limited.kind not in OF_A_MINUTE:
            return Answer(amount, 0)
        return Answer(amount, self._rates.free_in_s(limited[1:], limited.kind, need - amount))

    def tidy(self) -> None:
        """Give back what nobody here uses now."""
        for limited, part in tuple(self._parts.items()):
            unused = part.asking is None and not part.promised and not self._used(limited)
            if unused and not self._wants_more(limited):
                del self._parts[limited]
                if part.amount:
                    self._owner.give(limited, part.amount)
                    if limited.kind is Kind.PLACES:
                        self._gates.resize(limited.owner_id, 0)

    def reborn(self) -> None:
        """The owner is another one, and knows of no needs."""
        for limited, part in self._parts.items():
            part.needy = False
            self._wish(limited)

    # How it goes.

    async def _got(self, lack: _Lack, promises: "_Promises") -> bool:
        """False where the owner refused."""
        part = self._parts.setdefault(lack.limited, _Part(lack.limit))
        promises.make(part, lack.more)
        if part.asking is not None:
            await asyncio.shield(part.asking)
            return True
        if part.limit != lack.limit:
            # It was changed: what is free is shared out anew.
            spare = max(0, part.amount - self._used(lack.limited))
            self._drop(lack.limited, part, spare)
            self._owner.give(lack.limited, spare)
            part.limit, part.refused_us = lack.limit, 0
        elif self._monotonic_us() < part.refused_us:
            return False
        need = lack.total - part.amount
        if need <= 0:
            return True
        part.asking = asyncio.ensure_future(self._owner.ask(lack.limited, lack.limit, need))
        try:
            answer = await asyncio.shield(part.asking)
        finally:
            part.asking = None
        if answer.amount >= need:
            return True
        part.refused_us = self._monotonic_us() + REFUSED_US
        here_s = 0
        if lack.limited.kind in OF_A_MINUTE:
            here_s = self._rates.free_in_s(lack.limited[1:], lack.limited.kind, need)
        part.wait_s = max(1, min(here_s or answer.wait_s, answer.wait_s))
        return False

    def _wants_more(self, limited: Limited) -> bool:
        """Whether calls wait here that a further place would help."""
        part = self._parts.get(limited)
        waiting = limited.kind is Kind.PLACES and self._gates.waiting_at(limited.owner_id) > 0
        return part is not None and waiting and part.amount < part.limit

    def _used(self, limited: Limited) -> int:
        if limited.kind is Kind.PLACES:
            return self._gates.taken(limited.owner_id)
        return self._rates.used(limited[1:])[OF_OWNERS.index(limited.kind)]

    def _drop(self, limited: Limited, part: _Part, amount: int) -> None:
        part.amount -= amount
        if amount and limited.kind is Kind.PLACES:
            self._gates.resize(limited.owner_id, part.amount)

    def _elsewhere(self, kind: str, owner: tuple[str, str], limit: int) -> int:
        """How much of a limit others have, as far as this process knows."""
        part = self._parts.get(Limited(Kind(kind), *owner))
        return 0 if part is None else max(0, limit - part.amount)

    def _bounds(self, deployment: Gated) -> tuple[int, int]:
        part = self._parts.get(Limited(Kind.PLACES, DEPLOYMENT, deployment.id))
        places = 0 if part is None else min(part.amount, deployment.concurrency_max)
        return places, self._queue_share(deployment.queue_max)

    def _hungry(self, deployment_id: str) -> None:
        """A call begins to wait."""
        self._wish(Limited(Kind.PLACES, DEPLOYMENT, deployment_id))

    def _wish(self, limited: Limited) -> None:
        """Where calls wait for a place, have the owner know."""
        part = self._parts.get(limited)
        if part is None or part.needy or part.wishing or not self._wants_more(limited):
            return
        part.wishing = True
        task = asyncio.get_running_loop().create_task(self._wished(limited, part))
        self._wishes.add(task)
        task.add_done_callback(self._wishes.discard)

    async def _wished(self, limited: Limited, part: _Part) -> None:
        try:
            await self._owner.ask(limited, part.limit, 1)
        except Problem:
            return  # who waits goes on waiting, and is refused in time
        finally:
            part.wishing = False

    def _leaves(self, deployment_id: str, waiting: bool) -> bool:
        """Whether a place that comes free goes to another process."""
        limited = Limited(Kind.PLACES, DEPLOYMENT, deployment_id)
        part = self._parts.get(limited)
        if part is None or not part.owed or (waiting and not part.urgent) or part.amount <= 0:
            return False
        part.owed = part.urgent = False
        part.amount -= 1
        self._owner.give(limited, 1)
        self._wish(limited)
        return True


def _lacks(
    rates: RateBook, parts: Mapping[Limited, _Part], caller: Caller, tokens_max: int
) -> Iterator[_Lack]:
    for word, owner_id, limits in (
        (KEY, caller.key_id, caller.key_limits),
        (ORG, caller.org_id, caller.org_limits),
    ):
        used = rates.used((word, owner_id))
        asked = (limits.requests_per_minute, limits.tokens_per_minute, limits.parallel_calls)
        for kind, limit, now, more in zip(OF_OWNERS, asked, used, (1, tokens_max, 1), strict=True):
            if limit is None:
                continue
            limited = Limited(kind, word, owner_id)
            part = parts.get(limited)
            if part is None or part.limit != limit or now + more > part.amount:
                yield _Lack(limited, limit, now + more, more)
