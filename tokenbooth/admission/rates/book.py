"""The memory of rate limiting: windows and running calls of each owner.

All of it runs on the event loop and never waits, so checking and counting are one step.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator

from tokenbooth.admission.rates.rules import (
    CEILING_PER_MINUTE,
    PARALLEL_WAIT_S,
    check_fits,
    refusal,
    tighter,
    whole_seconds,
)
from tokenbooth.admission.rates.values import Breach, RateFigure, RateState
from tokenbooth.admission.rates.window import SLOTS, SlidingWindow
from tokenbooth.core.caller import Caller, CallLimits

_US_PER_S = 1_000_000
# Each call adds at most three owners, so looking at four lets the book shrink.
_EVICTIONS_PER_CALL = 4

KEY, ORG, COHORT = "key", "organization", "cohort"
REQUESTS, TOKENS = "requests_per_minute", "tokens_per_minute"
OwnerKey = tuple[str, str]


class _Owner:
    """A key, an organization, or one in a cohort; ``called_s`` is the second of its last call."""

    __slots__ = ("called_s", "parallel", "requests", "tokens")

    def __init__(self, now_s: int) -> None:
        self.requests = SlidingWindow(now_s)
        self.tokens = SlidingWindow(now_s)
        self.parallel = 0
        self.called_s = now_s

    def advance(self, now_s: int) -> None:
        self.requests.advance(now_s)
        self.tokens.advance(now_s)


class RateTicket:
    """An admitted call. The first ``close`` or ``void`` acts; later ones do nothing."""

    __slots__ = ("_open", "_owners", "_second", "_tokens_max")

    def __init__(self, owners: tuple[_Owner, ...], second: int, tokens_max: int) -> None:
        self._owners = owners
        self._second = second
        self._tokens_max = tokens_max
        self._open = True

    def close(self, tokens_used: int) -> None:
        """The call is over: its place is free, and the tokens it did not use are given back.

        More used than admitted changes nothing: the limit is one of admission.
        """
        self._give_back(requests=0, tokens=max(0, self._tokens_max - max(0, tokens_used)))

    def void(self) -> None:
        """The call was refused after all and never counted."""
        self._give_back(requests=1, tokens=self._tokens_max)

    def _give_back(self, *, requests: int, tokens: int) -> None:
        if not self._open:
            return
        self._open = False
        for owner in self._owners:
            owner.parallel -= 1
            owner.requests.take_back(self._second, requests)
            owner.tokens.take_back(self._second, tokens)


class RateBook:
    """Exact in one process; ``monotonic_us`` is the injected clock."""

    def __init__(self, monotonic_us: Callable[[], int]) -> None:
        self._monotonic_us = monotonic_us
        self._owners: OrderedDict[OwnerKey, _Owner] = OrderedDict()
        # How much of a limit other processes have: by its name, its owner and itself.
        self.elsewhere: Callable[[str, OwnerKey, int], int] = _nowhere

    def __len__(self) -> int:
        """How many owners are remembered."""
        return len(self._owners)

    def admit(self, caller: Caller, tokens_max: int) -> RateTicket:
        """Count a call of at most ``tokens_max`` tokens (input and allowed output) at all levels.

        Raises Problem RATE_LIMITED naming the limit and the wait, or INVALID_VALUE when no wait can
        help; nothing is counted then.
        """
        if tokens_max < 0:
            raise ValueError("tokens_max must not be negative")
        check_fits(caller, tokens_max)
        now_us = self._monotonic_us()
        owners = self._passing(caller, tokens_max, now_us)
        second = now_us // _US_PER_S
        for owner in owners:
            owner.parallel += 1
            owner.tokens.add(tokens_max)
            second = owner.requests.add(1)
        return RateTicket(owners, second, tokens_max)

    def check(self, caller: Caller) -> None:
        """Raises RATE_LIMITED where not even the smallest call would pass now; counts nothing."""
        self._passing(caller, 0, self._monotonic_us())

    def _passing(self, caller: Caller, tokens_max: int, now_us: int) -> tuple[_Owner, ...]:
        """Who would count a call. Raises RATE_LIMITED."""
        now_s = now_us // _US_PER_S
        self._evict(now_s)
        key = self._owner((KEY, caller.key_id), now_s)
        org = self._owner((ORG, caller.org_id), now_s)
        breaches = [
            *_breaches(KEY, caller.key_limits, key, tokens_max, now_us),
            *_breaches(ORG, caller.org_limits, org, tokens_max, now_us),
        ]
        owners: tuple[_Owner, ...] = (key, org)
        if caller.invitation is not None:
            name = f"{caller.org_id} {caller.invitation.model}"
            invited = self._owner((COHORT, name), now_s)
            breaches += _breaches(COHORT, caller.invitation.limits, invited, tokens_max, now_us)
            owners = (key, org, invited)
        if breaches:
            raise refusal(breaches)
        return owners

    def used(self, owner_key: OwnerKey) -> tuple[int, int, int]:
        """Calls and tokens of the last minute, and calls at once, of one owner."""
        owner = self._owners.get(owner_key)
        if owner is None:
            return 0, 0, 0
        owner.advance(self._monotonic_us() // _US_PER_S)
        return owner.requests.total, owner.tokens.total, owner.parallel

    def free_in_s(self, owner_key: OwnerKey, limit: str, amount: int) -> int:
        """Whole seconds until so much of what is counted has left; 0 where that is too much."""
        owner = self._owners.get(owner_key)
        if owner is None:
            return 0
        window = owner.requests if limit == REQUESTS else owner.tokens
        if amount > window.total:
            return 0
        return whole_seconds(window.free_at_s(amount) * _US_PER_S - self._monotonic_us())

    def state(self, caller: Caller) -> RateState:
        """What the caller has left now; counts nothing and remembers nobody."""
        now_us = self._monotonic_us()
        key = self._state((KEY, caller.key_id), caller.key_limits, now_us)
        org = self._state((ORG, caller.org_id), caller.org_limits, now_us)
        return RateState(tighter(key.requests, org.requests), tighter(key.tokens, org.tokens))

    def _state(self, name: OwnerKey, limits: CallLimits, now_us: int) -> RateState:
        owner = self._owners.get(name)
        if owner is None:
            counted = used = None
        else:
            owner.advance(now_us // _US_PER_S)
            counted, used = owner.requests, owner.tokens
        return RateState(
            self._figure(REQUESTS, name, limits.requests_per_minute, (counted, now_us)),
            self._figure(TOKENS, name, limits.tokens_per_minute, (used, now_us)),
        )

    def _figure(
        self, name: str, owner: OwnerKey, limit: int | None, seen: tuple[SlidingWindow | None, int]
    ) -> RateFigure:
        if limit is None:
            return _figure(CEILING_PER_MINUTE, 0, *seen)
        return _figure(limit, self.elsewhere(name, owner, limit), *seen)

    def _owner(self, key: OwnerKey, now_s: int) -> _Owner:
        owner = self._owners.get(key)
        if owner is None:
            owner = self._owners[key] = _Owner(now_s)
        self._owners.move_to_end(key)
        owner.called_s = now_s
        owner.advance(now_s)
        return owner

    def _evict(self, now_s: int) -> None:
        """Forget owners without a running call and without one in the window; oldest first."""
        for _ in range(min(_EVICTIONS_PER_CALL, len(self._owners))):
            key = next(iter(self._owners))
            owner = self._owners[key]
            if owner.parallel > 0:
                self._owners.move_to_end(key)
            elif owner.called_s <= now_s - SLOTS:
                del self._owners[key]
            else:
                return


def _breaches(
    word: str, limits: CallLimits, owner: _Owner, tokens_max: int, now_us: int
) -> Iterator[Breach]:
    for name, limit, window, amount in (
        (REQUESTS, limits.requests_per_minute, owner.requests, 1),
        (TOKENS, limits.tokens_per_minute, owner.tokens, tokens_max),
    ):
        if limit is not None and window.total + amount > limit:
            free_at_s = window.free_at_s(window.total + amount - limit)
            wait_s = whole_seconds(free_at_s * _US_PER_S - now_us)
            yield Breach(word, name, limit, wait_s)
    if limits.parallel_calls is not None and owner.parallel >= limits.parallel_calls:
        yield Breach(word, "parallel_calls", limits.parallel_calls, PARALLEL_WAIT_S)


def _figure(limit: int, elsewhere: int, window: SlidingWindow | None, now_us: int) -> RateFigure:
    if window is None or window.total == 0:
        return RateFigure(limit, limit - elsewhere, 0)
    reset_s = whole_seconds(window.empty_at_s() * _US_PER_S - now_us)
    return RateFigure(limit, max(0, limit - elsewhere - window.total), reset_s)


def _nowhere(_limit_name: str, _owner: OwnerKey, _limit: int) -> int:
    return 0
