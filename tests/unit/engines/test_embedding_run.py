"""``embed`` as a run: one delta, one end, and nothing after a cancel."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tests.support.turns import Recorder, said, turn_of
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Usage, UsageSource
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import EmbeddingAsk
from tokenbooth.engines.port import Embeddings
from tokenbooth.engines.prompts import start

TURN = turn_of(
    messages=(said("a"), said("b")), raw=True, embedding=EmbeddingAsk(2), output_tokens_max=0
)


class Far:
    """An engine that answers when it is let."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[Embeddings] = asyncio.get_running_loop().create_future()
        self.asked: list[Any] = []

    async def embed(self, texts: Any, dimensions: int | None = None) -> Embeddings:
        self.asked.append((texts, dimensions))
        return await self.answer


def played(scene: Callable[[Far, Any, Recorder], Awaitable[None]]) -> Recorder:
    async def work() -> Recorder:
        far, recorder = Far(), Recorder()
        await scene(far, start(far, TURN, recorder), recorder)  # type: ignore[arg-type]
        return recorder

    return asyncio.run(work())


def test_the_vectors_come_in_one_step() -> None:
    async def scene(far: Far, run: Any, recorder: Recorder) -> None:
        far.answer.set_result(Embeddings(((1.0, 0.0), (0.0, 1.0)), 5))
        await recorder.over()
        assert far.asked == [(["a", "b"], 2)]

    recorder = played(scene)
    assert [delta.vectors for delta in recorder.deltas] == [((1.0, 0.0), (0.0, 1.0))]
    assert recorder.end is not None
    assert recorder.end.usage == Usage(5, 0)


def test_a_bound_is_told_as_one() -> None:
    async def scene(far: Far, run: Any, recorder: Recorder) -> None:
        far.answer.set_result(Embeddings(((1.0,),), 5, exact=False))
        await recorder.over()

    recorder = played(scene)
    assert recorder.end is not None
    assert recorder.end.usage == Usage(5, 0, source=UsageSource.BOUND)


def test_a_failure_is_told() -> None:
    async def scene(far: Far, run: Any, recorder: Recorder) -> None:
        far.answer.set_exception(Problem(Code.ENGINE_FAILED, "x"))
        await recorder.over()

    recorder = played(scene)
    assert recorder.problem is not None
    assert recorder.problem.code is Code.ENGINE_FAILED


def test_a_cancel_ends_at_once_and_once() -> None:
    async def scene(far: Far, run: Any, recorder: Recorder) -> None:
        run.cancel()
        await recorder.over()
        run.cancel()
        await asyncio.sleep(0)

    recorder = played(scene)
    assert recorder.end is not None
    assert (recorder.end.cancelled, recorder.end.usage, recorder.deltas) == (True, None, [])
    assert recorder.late == []


def test_a_paused_run_says_nothing_until_it_goes_on() -> None:
    async def scene(far: Far, run: Any, recorder: Recorder) -> None:
        run.resume()
        run.pause()
        far.answer.set_result(Embeddings(((1.0,),), 5))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not recorder.deltas
        run.resume()
        await recorder.over()

    assert len(played(scene).deltas) == 1
