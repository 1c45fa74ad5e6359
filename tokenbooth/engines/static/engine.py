"""Static embeddings behind the engine port.

It has no process of its own: looking rows up is short, bounded, and done in a thread.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from tokenbooth.core.codes import Code
from tokenbooth.core.features import Capabilities, Feature
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import Turn
from tokenbooth.engines.outbox import Outbox
from tokenbooth.engines.port import (
    DeltaSink,
    Embeddings,
    EngineCounters,
    Health,
    InputCount,
    Run,
)
from tokenbooth.engines.refusals import dimensions_of, not_open
from tokenbooth.engines.static.table import Table, load
from tokenbooth.engines.static.values import StaticOptions
from tokenbooth.engines.tally import Tally

# Longer texts are split in a thread, so that the event loop never stands still for long.
INLINE_CHARACTERS_MAX = 8192


class StaticEngine:
    """Satisfies ``tokenbooth.engines.port.Engine``; makes vectors, and no text."""

    def __init__(self, options: StaticOptions) -> None:
        self._options = options
        self._table: Table | None = None
        self._tally = Tally()
        features = frozenset({Feature.EMBEDDINGS})
        self._capabilities = Capabilities(features, options.context_tokens, writes=False)

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def open(self) -> None:
        """Raises Problem ENGINE_NOT_INSTALLED, or INVALID_VALUE for a bad file."""
        self._table = await asyncio.to_thread(load, Path(self._options.table_path))

    async def close(self) -> None:
        self._table = None

    async def health(self) -> Health:
        ready = self._table is not None
        return Health(ready, "" if ready else "the engine is not open")

    async def counters(self) -> EngineCounters:
        return self._tally.counters

    async def count_input_tokens(self, turn: Turn) -> InputCount:
        table = self._opened()
        text = "".join(message.text for message in turn.messages)
        if len(text) <= INLINE_CHARACTERS_MAX:
            return InputCount(table.count(text), exact=True)
        return InputCount(await asyncio.to_thread(table.count, text), exact=True)

    def start(self, turn: Turn, sink: DeltaSink) -> Run:
        run = _Refused(sink)
        asyncio.get_running_loop().call_soon(run.refuse)
        return run

    async def embed(self, texts: Sequence[str], dimensions: int | None = None) -> Embeddings:
        table = self._opened()
        count = dimensions_of(dimensions, table.dimensions)
        vectors, input_tokens = await asyncio.to_thread(table.vectors, texts, count)
        self._tally.count(input_tokens, 0)
        return Embeddings(vectors, input_tokens)

    def _opened(self) -> Table:
        if self._table is None:
            raise not_open()
        return self._table


class _Refused:
    """A run of a turn that wants text."""

    def __init__(self, sink: DeltaSink) -> None:
        self._outbox = Outbox(sink)

    def refuse(self) -> None:
        self._outbox.end(
            Problem(Code.UNSUPPORTED_FEATURE, "This model writes no text.", param="model")
        )

    def cancel(self) -> None:
        self.refuse()

    def pause(self) -> None:
        """Nothing is pushed but the refusal."""

    def resume(self) -> None:
        """See ``pause``."""
