"""A server with continuous batching, on a clock that its driver moves; steps of the same batch are
taken together."""

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Protocol

from tokenbooth.core.terms import ServiceTier
from tokenbooth.proving.serving.shape import ServerShape

NEVER_US = -1
_NS_PER_US = 1_000
# A call is let in beside others only if the cache lasts this many steps more.
_ROOM_STEPS = 16


@dataclass(slots=True, eq=False)
class Call:
    """One call; times are those of the clock in microseconds, -1 for what never happened.

    ``batch_max`` and ``batch_mean`` are of the batches in which its tokens were made, the first
    token apart. ``output_tokens_max`` is what the caller allows, and no less than what it gets.
    """

    sent_us: int
    input_tokens: int
    output_tokens: int
    output_tokens_max: int
    tenant: str = ""
    tier: ServiceTier = ServiceTier.STANDARD
    first_party: bool = False
    first_us: int = NEVER_US
    end_us: int = NEVER_US
    cancelled: bool = False
    preemptions: int = 0
    batch_max: int = 1
    batch_mean: int = 1
    produced: int = 0
    unread: int = field(default=0, repr=False)
    born_step: int = field(default=0, repr=False)
    born_batches: int = field(default=0, repr=False)
    from_step: int = field(default=0, repr=False)
    last_step: int = field(default=-1, repr=False)


class Watcher(Protocol):
    """Hears of each call at the moment it happens; may submit and cancel calls from there."""

    def first(self, call: Call) -> None: ...

    def ended(self, call: Call) -> None: ...


class Batches:
    """How many calls decoded in each step."""

    def __init__(self) -> None:
        self._changes: list[tuple[int, int]] = [(0, 0)]
        self.total = 0

    def now(self, step: int, decoding: int) -> None:
        """From this step on."""
        if self._changes[-1][1] != decoding:
            self._changes.append((step, decoding))

    def noted(self, call: Call, step: int) -> None:
        """What the call saw of them from its first token to this step."""
        steps = step - call.born_step
        if steps:
            since = bisect_right(self._changes, (call.born_step, 1 << 30)) - 1
            call.batch_max = max(batch for _, batch in self._changes[max(0, since) :])
            call.batch_mean = max(1, (self.total - call.born_batches) // steps)


class Ends:
    """The steps at which the calls in the batch end; a call that left it has another last step."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Call]] = []
        self._entered = 0

    def add(self, call: Call) -> None:
        self._entered += 1
        heappush(self._heap, (call.last_step, self._entered, call))

    def first_step(self) -> int:
        """Of a batch that is not empty."""
        while self._heap[0][0] != self._heap[0][2].last_step:
            heappop(self._heap)
        return self._heap[0][0]

    def due(self, step: int) -> list[Call]:
        """Who ends at this step; no more asked for after that."""
        found: list[Call] = []
        while self._heap and self._heap[0][0] <= step:
            last_step, _, call = heappop(self._heap)
            if last_step == call.last_step:
                found.append(call)
        return found


class Server:
    """``submit``, ``cancel`` and ``advance``; nothing happens but in ``advance``.

    ``preemptions`` counts calls thrown out, ``shortages`` steps at which one had to wait for the
    cache: what an engine's own metrics tell of its pressure.
    """

    def __init__(self, shape: ServerShape, watcher: Watcher) -> None:
        self.shape = shape
        self._watcher = watcher
        self._now_ns = self._kv_tokens = self._step = 0
        self._waiting: deque[Call] = deque()
        self._reading: dict[Call, None] = {}
        self._decoding: dict[Call, None] = {}
        self._ends = Ends()
        self._batches = Batches()
        self._step_ends_ns = NEVER_US
        self._read: list[Call] = []
        self.preemptions = self.shortages = 0

    @property
    def now_us(self) -> int:
        return self._now_ns // _NS_PER_US

    @property
    def inside(self) -> int:
        """Calls in slots."""
        return len(self._reading) + len(self._decoding)

    @property
    def waiting(self) -> int:
        """Calls that the engine has taken and not begun."""
        return len(self._waiting)

    @property
    def kv_milli(self) -> int:
        """Thousandths of the cache in use, or promised."""
        return 1000 * self._kv_tokens // self.shape.kv_tokens

    def produced(self, call: Call) -> int:
        """Tokens of the call that are out by now."""
        if call in self._decoding:
            return call.produced + self._step - call.from_step
        return call.produced

    def submit(self, call: Call) -> None:
        """Taken from the next step on."""
        self._waiting.append(call)

    def cancel(self, call: Call) -> None:
        """Its slot and its part of the cache are free from the next step on."""
        if call.end_us != NEVER_US or call.cancelled:
            return
        call.cancelled = True
        if call in self._decoding:
            self._out(call)
        elif call in self._reading:
            del self._reading[call]
            self._kv_tokens -= self._need(call)
        else:
            self._waiting.remove(call)

    def advance(self, until_us: int) -> None:
        """Move the clock; tells the watcher all that happens up to then."""
        until_ns = until_us * _NS_PER_US
        while True:
            if self._step_ends_ns != NEVER_US:
                if self._step_ends_ns > until_ns:
                    return
                self._now_ns, self._step_ends_ns = self._step_ends_ns, NEVER_US
                self._made(1)
            elif not self._begin(until_ns):
                self._now_ns = max(self._now_ns, until_ns)
                return

    def _begin(self, until_ns: int) -> bool:
        """Start a step, or take many at once; False when there is nothing to do."""
        self._make_room()
        read_tokens = self._read_prompts()
        decoding = len(self._decoding)
        if not decoding and not read_tokens:
            return False
        self._batches.now(self._step, decoding)
        step_ns = self.shape.decode_ns(decoding) + read_tokens * self.shape.prefill_token_ns
        steps = 0 if read_tokens else self._steps_alike((until_ns - self._now_ns) // step_ns)
        if steps > 0:
            self._now_ns += steps * step_ns
            self._made(steps)
        else:
            self._step_ends_ns = self._now_ns + step_ns
        return True

    def _steps_alike(self, most: int) -> int:
        steps = min(most, self._ends.first_step() - self._step)
        if self.shape.preempts:
            room_tokens = self.shape.kv_tokens - self._kv_tokens
            steps = min(steps, room_tokens // len(self._decoding))
        return steps

    def _made(self, steps: int) -> None:
        """These steps are over: tokens are out, calls end, prompts are read."""
        decoding = len(self._decoding)
        self._step += steps
        self._batches.total += steps * decoding
        if self.shape.preempts:
            self._kv_tokens += steps * decoding
        ended = self._ends.due(self._step)
        for call in ended:
            self._out(call)
        firsts: list[Call] = []
        for call in self._read:
            if not call.cancelled:
                if not call.produced:
                    firsts.append(call)
                self._answer(call)
                if call.produced == call.output_tokens:
                    ended.append(call)
        self._read = []
        self._tell(firsts, ended)

    def _tell(self, firsts: list[Call], ended: list[Call]) -> None:
        now_us = self.now_us
        for call in firsts:
            call.first_us = now_us
        for call in ended:
            call.end_us = now_us
            self._batches.noted(call, self._step)
        for call in firsts:
            self._watcher.first(call)
        for call in ended:
            self._watcher.ended(call)

    def _answer(self, call: Call) -> None:
        """The prompt is read, and one token out."""
        del self._reading[call]
        if not call.produced:
            call.born_step, call.born_batches = self._step, self._batches.total
        self._kv_tokens -= self._need(call)
        call.produced += 1
        if call.produced == call.output_tokens:
            return
        self._kv_tokens += self._need(call)
        call.from_step = self._step
        call.last_step = self._step + call.output_tokens - call.produced
        self._decoding[call] = None
        self._ends.add(call)

    def _out(self, call: Call) -> None:
        """Out of the batch, with its part of the cache."""
        call.produced += self._step - call.from_step
        call.last_step = -1
        del self._decoding[call]
        self._kv_tokens -= self._need(call)

    def _need(self, call: Call) -> int:
        output_tokens = call.produced if self.shape.preempts else call.output_tokens_max
        return call.input_tokens + output_tokens

    def _make_room(self) -> None:
        if not self.shape.preempts:
            return
        while (
            len(self._decoding) > 1 and self._kv_tokens + len(self._decoding) > self.shape.kv_tokens
        ):
            youngest = next(reversed(self._decoding))
            self._out(youngest)
            youngest.preemptions += 1
            self.preemptions += 1
            self._waiting.appendleft(youngest)

    def _read_prompts(self) -> int:
        """Give the step its part of the prompts; how many tokens it reads."""
        budget = most = max(1, self.shape.chunk_tokens - len(self._decoding))
        for call in self._reading:
            if not budget:
                break
            budget -= self._read_part(call, budget)
        while budget and self._waiting and self.inside < self.shape.slots:
            call = self._waiting[0]
            if self.inside and not self._fits(call):
                self.shortages += 1
                break
            self._waiting.popleft()
            self._reading[call] = None
            self._kv_tokens += self._need(call)
            call.unread = call.input_tokens + call.produced
            budget -= self._read_part(call, budget)
        return most - budget

    def _read_part(self, call: Call, budget: int) -> int:
        part = min(call.unread, budget)
        if part:
            call.unread -= part
            if not call.unread:
                self._read.append(call)
        return part

    def _fits(self, call: Call) -> bool:
        reserve = _ROOM_STEPS * (self.inside + 1) if self.shape.preempts else 0
        return self._kv_tokens + self._need(call) + reserve <= self.shape.kv_tokens
