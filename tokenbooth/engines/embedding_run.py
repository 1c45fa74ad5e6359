"""Makes a run of ``Engine.embed``: one delta with all vectors, then the end."""

import asyncio

from tokenbooth.core.delta import Delta, FinishReason, RunEnd, Usage, UsageSource
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import EmbeddingAsk, Turn
from tokenbooth.engines.outbox import Outbox
from tokenbooth.engines.port import DeltaSink, Engine


class EmbeddingRun:
    """Satisfies ``Run``. A cancelled one has used nothing that anybody was told of."""

    def __init__(self, engine: Engine, turn: Turn, ask: EmbeddingAsk, sink: DeltaSink) -> None:
        self._outbox = Outbox(sink)
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._work(engine, turn, ask))

    async def _work(self, engine: Engine, turn: Turn, ask: EmbeddingAsk) -> None:
        texts = [message.text for message in turn.messages]
        try:
            found = await engine.embed(texts, ask.dimensions)
        except Problem as problem:
            self._outbox.finish(problem)
            return
        source = UsageSource.ENGINE if found.exact else UsageSource.BOUND
        self._outbox.push(Delta(vectors=found.vectors, finish=FinishReason.STOP))
        self._outbox.finish(RunEnd(Usage(found.input_tokens, 0, source=source)))

    def cancel(self) -> None:
        if not self._outbox.over:
            self._task.cancel()
            self._outbox.mute()
            self._loop.call_soon(self._outbox.end, RunEnd(None, cancelled=True))

    def pause(self) -> None:
        self._outbox.paused = True

    def resume(self) -> None:
        if self._outbox.paused:
            self._outbox.paused = False
            self._loop.call_soon(self._outbox.release)
