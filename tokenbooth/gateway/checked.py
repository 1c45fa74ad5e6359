"""Looks at a whole answer before it leaves, and asks once more for one of a better form."""

import asyncio
from dataclasses import replace

from tokenbooth.core.delta import Delta, RunEnd, Usage, UsageSource
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import Turn
from tokenbooth.engines.bounds import delta_tokens_max
from tokenbooth.engines.port import Engine, Run
from tokenbooth.gateway.covered import Cover, CoveredRun
from tokenbooth.gateway.relay import Relay
from tokenbooth.gateway.rules import is_possible
from tokenbooth.gateway.shaped import Gathered, Kept, Shape, asked_again
from tokenbooth.money.leases.service import Hold
from tokenbooth.money.prices import service as prices


class Checked:
    """Stands between the money and the relay of one run, and of the one that repairs it.

    While a form may have to be repaired nothing goes on; otherwise it only listens. Both runs are
    paid for out of the hold of the one call.
    """

    def __init__(self, relay: Relay, cover: Cover, shape: Shape, hold: Hold) -> None:
        self._relay = relay
        self._cover = cover
        self._shape = shape
        self._hold = hold
        self._holds_back = shape.schema_json is not None and not shape.constrained
        self._heard = Gathered()
        self._held: list[Delta] = []
        self._held_tokens = 0
        self._first: tuple[list[Delta], RunEnd] | None = None
        self._first_usage: Usage | None = None
        self._again: asyncio.Task[None] | None = None
        self._run: Run | None = None
        self._engine: Engine | None = None
        self._turn: Turn | None = None
        self._kept: Kept | None = None
        self._arguments: Kept | None = None

    def start(self, engine: Engine, turn: Turn) -> None:
        self._engine, self._turn = engine, turn
        CoveredRun(self, self._cover).start(engine, turn)

    # What the run asks of a relay.

    @property
    def output_tokens(self) -> int:
        before = 0 if self._first_usage is None else self._first_usage.output_tokens
        return before + self._relay.output_tokens + self._held_tokens

    @property
    def result(self) -> object | None:
        return self._relay.result

    def attach(self, run: Run) -> None:
        self._run = run
        self._relay.attach(run)

    def delta(self, delta: Delta) -> None:
        self._heard.add(delta)
        if not self._holds_back:
            self._relay.delta(delta)
            return
        self._held.append(delta)
        self._held_tokens += delta.output_tokens or delta_tokens_max(delta)

    def ended(self, end: RunEnd) -> None:
        if self._shape.tools and not self._shape.tools_constrained:
            self._arguments = self._heard.arguments_kept(self._shape.tools)
        if not self._holds_back or end.cancelled:
            self._let_out(end)
            return
        why = self._heard.broken_form(self._shape.schema_json or "{}")
        if self._first is not None:
            self._kept = Kept.INVALID if why else Kept.REPAIRED
            self._let_out(replace(end, usage=self._both(end)))
            return
        self._kept = Kept.INVALID if why else Kept.VALIDATED
        if why is None or end.usage is None or not is_possible(end.usage):
            self._let_out(end)
            return
        self._first, self._first_usage = (self._held, end), end.usage
        self._again = asyncio.get_running_loop().create_task(self._repair(why, end.usage))

    def failed(self, problem: Problem) -> None:
        if self._first is None:
            self._relay.failed(problem)
        else:
            self._fall_back()

    def cut_by_money(self) -> None:
        if self._first is None:
            self._flush()
            self._relay.cut_by_money()
        else:
            self._fall_back()
            if self._run is not None:
                self._run.cancel()

    async def _repair(self, why: str, used: Usage) -> None:
        assert self._engine is not None
        assert self._turn is not None
        try:
            room = await self._room(asked_again(self._turn, self._heard.text, why, 1), used)
        except Problem:
            room = 0
        if self._relay.result is not None or self._turn.choices > 1 or room < used.output_tokens:
            self._fall_back()
            return
        turn = asked_again(self._turn, self._heard.text, why, room)
        self._heard, self._held, self._held_tokens = Gathered(), [], 0
        CoveredRun(self, self._cover).start(self._engine, turn)

    async def _room(self, turn: Turn, used: Usage) -> int:
        """The output tokens that the hold bears for a second run beside what the first took."""
        assert self._engine is not None
        count = await self._engine.count_input_tokens(turn)
        input_tokens = used.input_tokens + count.tokens
        price, held_nano = self._hold.price, self._hold.amount_nano
        bought = prices.affordable_output_tokens(price, input_tokens, held_nano)
        return min(bought, self._hold.output_tokens_max) - used.output_tokens

    def _both(self, end: RunEnd) -> Usage:
        """What both runs took, the second by its bound where the engine told nothing."""
        first, second = self._first_usage, end.usage
        assert first is not None
        if second is None or not is_possible(second):
            second = Usage(first.input_tokens, self._held_tokens, source=UsageSource.BOUND)
        cached = (first.cached_input_tokens, second.cached_input_tokens)
        return Usage(
            first.input_tokens + second.input_tokens,
            first.output_tokens + second.output_tokens,
            None if None in cached else sum(one or 0 for one in cached),
            first.reasoning_tokens + second.reasoning_tokens,
            second.source,
            first.cache_write_tokens + second.cache_write_tokens,
            first.images + second.images,
        )

    def _fall_back(self) -> None:
        """The first answer stands, with its own usage."""
        assert self._first is not None
        self._held, end = self._first
        self._first_usage = None
        self._let_out(end)

    def _let_out(self, end: RunEnd) -> None:
        self._relay.shape_headers = self._shape.headers(self._kept, self._arguments)
        self._flush()
        self._relay.ended(end)

    def _flush(self) -> None:
        held, self._held, self._held_tokens = self._held, [], 0
        for delta in held:
            self._relay.delta(delta)
