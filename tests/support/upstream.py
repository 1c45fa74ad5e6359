"""An open upstream engine whose far side is in memory."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tests.support.memory_loop import (
    Call,
    FarSide,
    run,
)
from tests.support.turns import Recorder, turn_of
from tokenbooth.core.codes import Code
from tokenbooth.core.turn import Turn
from tokenbooth.engines.upstream import UpstreamEngine, UpstreamOptions

Scene = Callable[[UpstreamEngine, FarSide], Awaitable[Any]]


def play(scene: Scene, *answers: bytes, far: FarSide | None = None, **fields: Any) -> Any:
    """Run ``scene`` with an open engine whose upstream answers the calls in turn."""
    far = far or FarSide()
    queue = list(answers)
    if queue:
        far.answer = lambda call: call.line.deliver(queue.pop(0))

    async def work() -> Any:
        given = {"base_url": "http://far:8000/v1", "model": "far-model", "key": "sk-secret"}
        engine = UpstreamEngine(UpstreamOptions(**given | fields))
        await engine.open()
        try:
            return await scene(engine, far)
        finally:
            await engine.close()

    return run(work(), far)


def played(*answers: bytes, turn: Turn | None = None, **fields: Any) -> Recorder:
    async def scene(engine: UpstreamEngine, far: FarSide) -> Recorder:
        recorder = Recorder()
        engine.start(turn or turn_of(), recorder)
        return await recorder.over()

    found: Recorder = play(scene, *answers, **fields)
    return found


def code_of(recorder: Recorder) -> Code:
    assert recorder.problem is not None
    assert "far" not in recorder.problem.public
    assert "sk-secret" not in recorder.problem.public + recorder.problem.detail
    return recorder.problem.code


async def calls(far: FarSide, count: int) -> list[Call]:
    while len(far.calls) < count:
        await asyncio.sleep(0)
    return far.calls
