"""A load against a server behind a policy, with callers that may come back when they are told to."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush

from tokenbooth.proving.serving.open_loop import good, ttft_us
from tokenbooth.proving.serving.policies import MakePolicy
from tokenbooth.proving.serving.server import NEVER_US, Call, Server
from tokenbooth.proving.serving.shape import SimulatedServing

_US_PER_S = 1_000_000
_MILLI = 1_000


@dataclass(slots=True)
class Seen:
    """What became of every call; ``retried`` and ``served_at_first_retry`` count callers who obeyed."""

    calls: list[Call] = field(default_factory=list)
    refused: int = 0
    retried: int = 0
    served_at_first_retry: int = 0


class Offered:
    """One run. ``returns`` callers come back when they are told to, up to so many times."""

    def __init__(self, serving: SimulatedServing, make: MakePolicy, *, returns: int = 0) -> None:
        self._serving = serving
        self._returns = returns
        self._server = Server(serving.shape, self)
        self._policy = make(serving, self._server, self._refused)
        self._coming: list[tuple[int, int, Call]] = []
        self._numbers = 0
        self._tries: dict[Call, int] = {}
        self.seen = Seen()

    def run(self, calls: Iterable[Call], until_us: int) -> Seen:
        """Play what comes before ``until_us``; what is inside then is left as it is."""
        self._coming = [(call.sent_us, number, call) for number, call in enumerate(calls)]
        heapify(self._coming)
        self._numbers = len(self._coming)
        while self._coming and self._coming[0][0] < until_us:
            at_us, _, call = heappop(self._coming)
            self._server.advance(at_us)
            self.seen.calls.append(call)
            self._policy.arrived(call, at_us)
        self._server.advance(until_us)
        return self.seen

    # What the server says.

    def first(self, call: Call) -> None:
        if self._tries.get(call) == 1:
            self.seen.served_at_first_retry += 1
        self._policy.first(call, self._server.now_us)

    def ended(self, call: Call) -> None:
        self._policy.ended(call, self._server.now_us)

    def _refused(self, call: Call, now_us: int, retry_after_s: int) -> None:
        self.seen.refused += 1
        tries = self._tries.pop(call, 0)
        if tries >= self._returns:
            return
        again = replace(call, sent_us=now_us + retry_after_s * _US_PER_S)
        self._tries[again] = tries + 1
        self._numbers += 1
        self.seen.retried += tries == 0
        heappush(self._coming, (again.sent_us, self._numbers, again))


@dataclass(frozen=True, slots=True)
class Figures:
    """Of the calls sent in a window: good ones in 1,000 seconds, the thousandths of each tenant's
    that were good, and the 99th percentile of the time to the first token of those let in."""

    goodput_per_ks: int
    good_milli: dict[str, int]
    ttft_p99_us: int
    admitted_milli: int


def figures(serving: SimulatedServing, calls: Iterable[Call], from_us: int, to_us: int) -> Figures:
    sent: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    firsts: list[int] = []
    for call in calls:
        if from_us <= call.sent_us < to_us:
            sent[call.tenant] += 1
            if call.first_us != NEVER_US:
                firsts.append(ttft_us(call))
            if good(call, serving.slo):
                kept[call.tenant] += 1
    firsts.sort()
    total = max(1, sum(sent.values()))
    return Figures(
        goodput_per_ks=sum(kept.values()) * 1_000_000_000 // (to_us - from_us),
        good_milli={tenant: _MILLI * kept[tenant] // count for tenant, count in sent.items()},
        ttft_p99_us=firsts[len(firsts) * 99 // 100] if firsts else 0,
        admitted_milli=_MILLI * len(firsts) // total,
    )
