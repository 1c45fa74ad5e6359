"""Step 3, parse: a large body is read beside the event loop, so that no other call waits for it."""

import asyncio

from tokenbooth.protocols.dialect import Dialect, Parsed

# Reading more than this takes longer than the thread that does it.
BESIDE_FROM_BYTES = 128 * 1024


async def turn_read(dialect: Dialect, raw: bytes) -> Parsed:
    """As ``dialect.parse``. Raises what that raises."""
    if len(raw) < BESIDE_FROM_BYTES:
        return dialect.parse(raw)
    return await asyncio.to_thread(dialect.parse, raw)
