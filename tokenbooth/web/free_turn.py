"""Work that is free and not counted by rate limits, so that only a few do it at once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tokenbooth.admission.queue.service import Gate
from tokenbooth.core.problem import Problem

WAIT_MAX_S = 10


@asynccontextmanager
async def free_turn(turns: Gate, what: str) -> AsyncIterator[None]:
    """Raises the gate's own refusal, which says of ``what`` there is too much."""
    try:
        place = await turns.enter(WAIT_MAX_S)
    except Problem as busy:
        raise Problem(
            busy.code, f"Too many {what} are asked for.", retry_after_s=busy.retry_after_s
        ) from None
    try:
        yield
    finally:
        place.leave()
