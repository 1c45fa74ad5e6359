"""The calls of one process that hold money: how much output is paid for, and how more gets paid."""

from dataclasses import dataclass

from tokenbooth.core.delta import Usage
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Clock
from tokenbooth.core.problem import Problem
from tokenbooth.gateway.waiting import WaitingRoom
from tokenbooth.money.journal.service import JournalDriver
from tokenbooth.money.leases import service as leases
from tokenbooth.money.leases.service import (
    Ending,
    HeldMoney,
    HoldAsk,
    Levels,
    Pool,
    Progress,
)


@dataclass(slots=True)
class Running:
    """A call that holds money; ``covered_tokens`` of output are paid for, all choices together."""

    ask: HoldAsk
    held: HeldMoney
    covered_tokens: int


class RunningCalls:
    """``calls`` by request id, from a call's hold to its settlement."""

    def __init__(
        self, pool: Pool, waiting: WaitingRoom, journal: JournalDriver, clock: Clock
    ) -> None:
        self._pool = pool
        self._waiting = waiting
        self._journal = journal
        self._clock = clock
        self.calls: dict[str, Running] = {}

    def covered(self, request_id: str, output_tokens: int) -> int:
        """Hold for ``output_tokens`` of output at least, if that is possible without a wait.

        Returns how many tokens are covered then, which may be more, or fewer.
        """
        running = self.calls[request_id]
        step = running.ask.step_tokens * running.ask.choices
        ceiling = running.ask.output_tokens_max * running.ask.choices
        for tokens in (min(output_tokens + step, max(ceiling, output_tokens)), output_tokens):
            if tokens <= running.covered_tokens:
                break
            missing_nano = self._missing_nano(running, tokens)
            if missing_nano and self._others_wait(running):
                break
            if self._pool.extend(running.held, missing_nano, self._clock.monotonic_us()):
                running.covered_tokens = tokens
                break
        return running.covered_tokens

    def _others_wait(self, running: Running) -> bool:
        levels = running.held.levels
        return self._waiting.queue.running_waits_at(level.key for level in levels)

    async def extend(self, request_id: str, output_tokens: int) -> bool:
        """Wait for the money for ``output_tokens``; running calls go before new ones.

        False when there is none, or when the ledger cannot be asked.
        """
        running = self.calls.get(request_id)
        if running is None:
            return False
        missing_nano = self._missing_nano(running, output_tokens)
        if not await self.more(running, missing_nano):
            return False
        running.covered_tokens = max(running.covered_tokens, output_tokens)
        return True

    async def more(self, running: Running, missing_nano: int) -> bool:
        """Hold that much more, after a wait if need be; False when there is no more."""
        held = running.held

        def take(levels: Levels) -> bool:
            return self._pool.extend(held, missing_nano, self._clock.monotonic_us())

        if missing_nano == 0 or take(held.levels):
            return True
        chain = tuple(level.named_key for level in held.levels)
        try:
            return await self._waiting.wait(
                chain, missing_nano, runs=True, take=take, short=lambda levels: False
            )
        except Problem:
            return False

    def _missing_nano(self, running: Running, output_tokens: int) -> int:
        ask = running.ask
        return leases.extension_nano(
            ask.price, ask.input_tokens, output_tokens, running.held.held_nano
        )

    def progress(self, request_id: str, usage: Usage, first_output_us: int | None) -> None:
        """Write down what has left towards the caller: what a crash leaves to be charged."""
        running = self.calls.get(request_id)
        if running is None or self._journal.broken is not None:
            return
        held_nano = running.held.held_nano
        cost_nano, _ = leases.charge_of(running.ask.price, usage, held_nano)
        self._journal.progress(
            Progress(
                request_id=request_id,
                usage=usage,
                cost_nano=cost_nano,
                held_nano=held_nano,
                first_output_us=first_output_us,
                at_us=self._clock.now_us(),
            )
        )

    async def charge(self, op: Op, running: Running, ending: Ending) -> tuple[int, int]:
        """What an ending costs whose usage is above its hold, and what is lost: more is held, if
        that was not stated to be all."""
        cost_nano, loss_nano = charge_at_once(running, ending)
        if loss_nano and not running.ask.stated and await self.more(running, loss_nano):
            cost_nano, loss_nano = charge_at_once(running, ending)
        if loss_nano:
            op.log.fault("usage_above_hold", request_id=ending.request_id, loss_nano=loss_nano)
        return cost_nano, loss_nano


def charge_at_once(running: Running, ending: Ending) -> tuple[int, int]:
    """What the ending costs of what is held, and what the usage costs beyond it."""
    if not ending.charge:
        return 0, 0
    return leases.charge_of(running.ask.price, ending.usage, running.held.held_nano)
