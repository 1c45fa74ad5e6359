"""Ways to stand in front of an engine: those that are usual, and the one of the product."""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from tokenbooth.admission.entry.service import Desk, Limits, Pace, Refusal, Visit, rank_of
from tokenbooth.core.terms import ServiceTier
from tokenbooth.proving.serving.open_loop import good
from tokenbooth.proving.serving.server import Call, Server
from tokenbooth.proving.serving.shape import SimulatedServing

QUEUE_MAX = 64
DESK_QUEUE_MAX = 256
WAIT_MAX_US = 30_000_000


class Policy(Protocol):
    """Decides when a call goes to the server; ``refused`` of its maker hears who does not."""

    def arrived(self, call: Call, now_us: int) -> None: ...

    def first(self, call: Call, now_us: int) -> None: ...

    def ended(self, call: Call, now_us: int) -> None: ...


Refused = Callable[[Call, int, int], None]
MakePolicy = Callable[[SimulatedServing, Server, Refused], Policy]


class EngineDefault:
    """All calls go to the engine, which queues without a bound."""

    def __init__(self, serving: SimulatedServing, server: Server, refused: Refused) -> None:
        self._server = server

    def arrived(self, call: Call, now_us: int) -> None:
        self._server.submit(call)

    def first(self, call: Call, now_us: int) -> None:
        """Nothing depends on it."""

    def ended(self, call: Call, now_us: int) -> None:
        """Nothing depends on it."""


class Fifo:
    """A fixed number inside, a bounded queue, and 1 s as the answer to everybody else."""

    def __init__(self, serving: SimulatedServing, server: Server, refused: Refused) -> None:
        self._serving = serving
        self._server = server
        self._refused = refused
        self._waiting: deque[Call] = deque()
        self.inside = 0
        self.limit = serving.shape.slots

    def arrived(self, call: Call, now_us: int) -> None:
        if self.inside < self.limit:
            self.inside += 1
            self._server.submit(call)
        elif len(self._waiting) < QUEUE_MAX:
            self._waiting.append(call)
        else:
            self._refused(call, now_us, 1)

    def first(self, call: Call, now_us: int) -> None:
        """Nothing depends on it."""

    def ended(self, call: Call, now_us: int) -> None:
        self.inside -= 1
        while self._waiting and self.inside < self.limit:
            self.inside += 1
            self._server.submit(self._waiting.popleft())


class AimdOnMisses(Fifo):
    """The limit grows by one in a round of good calls, and falls by a tenth when one misses."""

    def __init__(self, serving: SimulatedServing, server: Server, refused: Refused) -> None:
        super().__init__(serving, server, refused)
        self._limit_milli = self.limit * 1000

    def ended(self, call: Call, now_us: int) -> None:
        if good(call, self._serving.slo):
            self._limit_milli += 1_000_000 // self._limit_milli
        else:
            self._limit_milli -= self._limit_milli // 10
        most = self._serving.shape.slots * 1000
        self._limit_milli = min(most, max(1000, self._limit_milli))
        self.limit = self._limit_milli // 1000
        super().ended(call, now_us)


class AtTheDesk:
    """The product's own desk; ``ceiling`` is what a certificate allows, or all slots."""

    def __init__(
        self, serving: SimulatedServing, server: Server, refused: Refused, ceiling: int | None = None
    ) -> None:
        slots = serving.shape.slots
        pace = Pace(serving.slo.ttft_us, serving.slo.tpot_us, 1, ceiling or slots)
        self.desk = Desk(Limits(slots, DESK_QUEUE_MAX, pace), self)
        self._server = server
        self._tell = refused
        self._troubles = 0
        self._now_us = 0
        self._visits: dict[Call, Visit] = {}
        self._calls: dict[Visit, Call] = {}
        self._mean_output = serving.workload.output.mean_tokens()

    def arrived(self, call: Call, now_us: int) -> None:
        self._now_us = now_us
        visit = Visit(
            call.tenant,
            rank_of(call.tier, first_party=call.first_party),
            call.input_tokens,
            self._mean_output,
            WAIT_MAX_US,
        )
        visit.progress = lambda: self._server.produced(call)
        self._visits[call], self._calls[visit] = visit, call
        refusal = self.desk.ask(visit, now_us)
        if refusal is not None:
            self.refused(visit, refusal)
        elif not visit.waits:
            self.entered(visit)

    def first(self, call: Call, now_us: int) -> None:
        self._now_us = now_us
        self.desk.first(self._visits[call], now_us)

    def ended(self, call: Call, now_us: int) -> None:
        self._now_us = now_us
        visit = self._visits.pop(call)
        self._calls.pop(visit, None)
        troubles = self._server.preemptions + self._server.shortages
        if troubles > self._troubles:
            self._troubles = troubles
            self.desk.pressed()
        self.desk.leave(visit, now_us)

    # What the desk says.

    def entered(self, visit: Visit) -> None:
        self._server.submit(self._calls[visit])

    def refused(self, visit: Visit, refusal: Refusal) -> None:
        call = self._calls.pop(visit)
        del self._visits[call]
        self._tell(call, self._now_us, refusal.retry_after_s)
