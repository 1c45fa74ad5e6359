"""The cover of one call: its hold in the till, and what of it is written down as delivered."""

from collections.abc import Callable

from tokenbooth.gateway.media import with_uses
from tokenbooth.gateway.options import TillOptions
from tokenbooth.gateway.rules import Delivery, delivered_usage
from tokenbooth.gateway.running import RunningCalls
from tokenbooth.money.leases.service import Hold

US_PER_MS = 1000


class CallCover:
    """Satisfies ``Cover`` for one held call, and listens to what leaves."""

    def __init__(
        self,
        running: RunningCalls,
        hold: Hold,
        options: TillOptions,
        *,
        grows: bool,
        exact: bool,
        now: Callable[[], int],
    ) -> None:
        """``grows``: the output limit was not stated, so only a first step of it is held."""
        self._running = running
        self._hold = hold
        self._options = options
        self._grows = grows
        self._exact = exact
        self._now = now
        self._covered_tokens = hold.held_output_tokens
        self._told_tokens = 0
        self._told_us = now()
        self._pending: Delivery | None = None

    def covers(self, output_tokens: int) -> bool:
        """A limit that was held whole covers whatever an engine sends within it."""
        if not self._grows or output_tokens <= self._covered_tokens:
            return True
        self._covered_tokens = self._running.covered(self._hold.request_id, output_tokens)
        return output_tokens <= self._covered_tokens

    async def extend(self, output_tokens: int) -> bool:
        if not await self._running.extend(self._hold.request_id, output_tokens):
            return False
        self._covered_tokens = max(self._covered_tokens, output_tokens)
        return True

    def delivered(self, delivery: Delivery, first_output_us: int | None) -> None:
        """Write down every so many tokens, or every so often, what had left by the step before:
        what leaves in this moment may not have reached the network yet."""
        before, self._pending = self._pending, delivery
        if before is None:
            return
        tokens = before.output_tokens + before.uncounted_bytes
        many = tokens - self._told_tokens >= self._options.progress_tokens
        if not many and self._now() - self._told_us < self._options.progress_every_ms * US_PER_MS:
            return
        self._told_tokens, self._told_us = tokens, self._now()
        usage = delivered_usage(before, self._hold.input_tokens, exact=self._exact)
        usage = with_uses(usage, self._hold.price.uses)
        self._running.progress(self._hold.request_id, usage, first_output_us)
