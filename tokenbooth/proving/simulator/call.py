"""One call as its caller sees it, played against the real till."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from tokenbooth.core.caller import Caller
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Usage
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome, Receipt
from tokenbooth.money.leases.service import Ending, Hold, HoldAsk
from tokenbooth.money.prices.service import Price
from tokenbooth.proving.simulator.coverage import Coverage, Turn
from tokenbooth.proving.simulator.machine import Gateway

INPUT_NANO = 1_000
OUTPUT_NANO = 3_000
STEP_TOKENS = 8
HEARD_US = 1_000_000
REFUSALS = {
    Code.BALANCE_EXHAUSTED: Turn.REFUSED_BALANCE,
    Code.CAP_REACHED: Turn.REFUSED_CAP,
    Code.OUTPUT_UNAFFORDABLE: Turn.REFUSED_STRICT,
}
FREE = frozenset({Outcome.ENGINE_FAILED, Outcome.REFUSED})


class Stage(Enum):
    """``LOST``: its process ended. ``GONE``: hung up before anything was held."""

    ASKING = "asking"
    RUNNING = "running"
    EXTENDING = "extending"
    SETTLING = "settling"
    TOLD = "told"
    REFUSED = "refused"
    LOST = "lost"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked; ``output_tokens`` is the limit of one choice."""

    request_id: str
    caller: Caller
    input_tokens: int
    output_tokens: int
    choices: int
    stream: bool
    stated: bool
    strict: bool

    @property
    def wished_nano(self) -> int:
        """What is held at first where there is plenty."""
        tokens = self.output_tokens if self.stated else min(self.output_tokens, STEP_TOKENS)
        return worth_nano(self.input_tokens, self.choices * tokens)

    @property
    def least_nano(self) -> int:
        """The least with which the call can start."""
        return worth_nano(self.input_tokens, self.choices * min(1, self.output_tokens))


def worth_nano(input_tokens: int, output_tokens: int) -> int:
    """The price of a call by the simulation's own arithmetic."""
    return INPUT_NANO * input_tokens + OUTPUT_NANO * output_tokens


@dataclass(slots=True)
class RoomWatch:
    """What was there for a waiting call: ``floor_nano`` of it all the time.

    What others let go of meanwhile counts after a second only, in which they had time to hear that
    somebody needs it: they may have answered a recall just before.
    """

    floor_nano: int | None = None
    _room_nano: int | None = None
    _rises: list[tuple[int, int]] = field(default_factory=list)

    def note(self, room_nano: int, now_us: int) -> None:
        """So much is there now."""
        if self._room_nano is not None and room_nano > self._room_nano:
            self._rises.append((now_us, room_nano - self._room_nano))
        self._room_nano = room_nano
        sure_nano = room_nano - sum(
            nano for at_us, nano in self._rises if now_us - at_us < HEARD_US
        )
        if self.floor_nano is None or sure_nano < self.floor_nano:
            self.floor_nano = sure_nano


@dataclass(slots=True, eq=False)
class Call:
    """What the caller knows. All amounts are in nano-units.

    ``delivered`` tokens have left; ``noted_nano`` is the newest progress that was written down.
    ``expected_nano`` is the price of the usage with which the end is asked for.
    """

    plan: Plan
    gateway: Gateway
    began_us: int
    stage: Stage = Stage.ASKING
    hold: Hold | None = None
    held_us: int = 0
    answered_us: int = 0
    delivered: int = 0
    noted_nano: int = 0
    highest_noted_nano: int = 0
    expected_nano: int = 0
    outcome: Outcome | None = None
    receipt: Receipt | None = None
    problem: Problem | None = None
    watch: "RoomWatch" = field(default_factory=RoomWatch)
    ready: bool = False
    task: "asyncio.Task[None] | None" = None

    @property
    def request_id(self) -> str:
        return self.plan.request_id

    @property
    def idle(self) -> bool:
        """Whether it waits for what its caller or its engine does next."""
        return self.stage is Stage.RUNNING and self.ready

    @property
    def over(self) -> bool:
        return self.stage in (Stage.TOLD, Stage.REFUSED, Stage.LOST, Stage.GONE)

    @property
    def lost(self) -> bool:
        """Whether its process ended before its caller knew how it ended."""
        return self.stage is Stage.LOST

    @property
    def ceiling_tokens(self) -> int:
        """The most that its engine may send: the limit that it was given."""
        limit = self.plan.output_tokens if self.hold is None else self.hold.output_tokens_max
        return limit * self.plan.choices


@dataclass(frozen=True, slots=True)
class End:
    """How the engine or the caller ends it; ``usage`` is the last word of the engine."""

    outcome: Outcome
    input_tokens: int
    output_tokens: int


class Actor:
    """Plays one call; each ``order`` moves it by one step."""

    def __init__(
        self, call: Call, price: Price, coverage: Coverage, true_us: Callable[[], int]
    ) -> None:
        self._call = call
        self._price = price
        self._coverage = coverage
        self._true_us = true_us
        self._order: asyncio.Future[int | End] | None = None

    def begin(self) -> None:
        self._call.task = self._call.gateway.loop.spawn(self._live())
        self._call.task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task that is cancelled before its first step never says so itself."""
        if task.cancelled() and self._call.stage is Stage.ASKING:
            self._call.stage = Stage.GONE

    def order(self, step: int | End) -> None:
        """So many more tokens (0: note progress), or the end."""
        assert self._order is not None, "the call waits for an order"
        self._call.ready = False
        self._order.set_result(step)

    async def _live(self) -> None:
        call, till = self._call, self._call.gateway.till
        op, turn = call.gateway.op(call.request_id), call.gateway.loop.turns
        try:
            call.hold = await till.hold(op, self._ask())
        except Problem as problem:
            call.problem, call.stage = problem, Stage.REFUSED
            call.answered_us = self._true_us()
            self._coverage.reach(REFUSALS.get(problem.code, Turn.REFUSED_AWAY))
            return
        call.held_us = call.answered_us = self._true_us()
        call.stage = Stage.RUNNING
        at_once = turn == call.gateway.loop.turns
        self._coverage.reach(Turn.HELD_AT_ONCE if at_once else Turn.HELD_LATER)
        if call.hold.amount_nano < call.plan.wished_nano:
            self._coverage.reach(Turn.LOWERED)
        end = await self._stream()
        await self._settle(end)

    async def _stream(self) -> End:
        call = self._call
        while True:
            self._order = asyncio.get_running_loop().create_future()
            call.ready = True
            step = await self._order
            if isinstance(step, End):
                return step
            if step == 0:
                self._note()
            elif not await self._deliver(call.delivered + step):
                return End(Outcome.CAP_REACHED, call.plan.input_tokens, call.delivered)

    async def _deliver(self, tokens: int) -> bool:
        call, till = self._call, self._call.gateway.till
        if not call.plan.stated and till.running.covered(call.request_id, tokens) < tokens:
            call.stage = Stage.EXTENDING
            extended = await till.running.extend(call.request_id, tokens)
            call.stage = Stage.RUNNING
            if not extended:
                self._coverage.reach(Turn.EXTENSION_FAILED)
                return False
            self._coverage.reach(Turn.EXTENDED_LATER)
        elif not call.plan.stated and call.hold and tokens > call.hold.held_output_tokens:
            self._coverage.reach(Turn.EXTENDED_AT_ONCE)
        call.delivered = tokens
        return True

    def _note(self) -> None:
        call = self._call
        usage = Usage(call.plan.input_tokens, call.delivered)
        call.gateway.till.running.progress(call.request_id, usage, call.held_us)
        call.noted_nano = worth_nano(call.plan.input_tokens, call.delivered)
        call.highest_noted_nano = max(call.highest_noted_nano, call.noted_nano)

    async def _settle(self, end: End) -> None:
        call = self._call
        charge = end.outcome not in FREE
        call.stage, call.outcome = Stage.SETTLING, end.outcome
        call.expected_nano = worth_nano(end.input_tokens, end.output_tokens) if charge else 0
        if not charge:
            self._coverage.reach(Turn.NOT_CHARGED)
        if call.expected_nano < call.noted_nano:
            self._coverage.reach(Turn.BELOW_PROGRESS)
        gateway = call.gateway
        try:
            call.receipt = await gateway.till.settle(
                gateway.op(call.request_id), self._ending(end, charge=charge)
            )
        except Problem as problem:
            call.problem = problem
            call.stage = Stage.LOST if problem.code is Code.LEDGER_UNAVAILABLE else Stage.REFUSED
            return
        call.stage = Stage.TOLD
        if call.receipt.cost_nano < call.expected_nano:
            self._coverage.reach(Turn.ABOVE_HOLD)

    def _ask(self) -> HoldAsk:
        plan = self._call.plan
        return HoldAsk(
            request_id=plan.request_id,
            caller=plan.caller,
            model="parrot",
            price=self._price,
            input_tokens=plan.input_tokens,
            output_tokens_max=plan.output_tokens,
            choices=plan.choices,
            stream=plan.stream,
            stated=plan.stated,
            strict=plan.strict,
            step_tokens=STEP_TOKENS,
        )

    def _ending(self, end: End, *, charge: bool) -> Ending:
        call = self._call
        return Ending(
            request_id=call.request_id,
            outcome=end.outcome,
            reason="The simulated call ended.",
            usage=Usage(end.input_tokens, end.output_tokens),
            charge=charge,
            started_us=call.held_us,
            first_output_us=call.held_us if call.delivered else None,
            ended_us=call.gateway.clock.now_us(),
            fingerprint=None,
            deployment_id=None,
        )
