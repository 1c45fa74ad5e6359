"""A run under way: cancel, pause, silence, and what becomes of its connection."""

import asyncio

import pytest

from tests.support.memory_loop import (
    DONE,
    STREAM_END,
    STREAM_HEAD,
    FarSide,
    chunked,
    counted,
    passing,
    says,
    whole_stream,
)
from tests.support.turns import Recorder, turn_of
from tests.support.upstream import calls, code_of, play
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, Usage
from tokenbooth.engines.upstream import UpstreamEngine


def test_cancel_closes_the_connection_at_once() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        far.answer = lambda call: call.line.deliver(STREAM_HEAD + says("a") + says("b"))
        recorder = Recorder()
        going = engine.start(turn_of(), recorder)
        await recorder.until(lambda r: len(r.deltas) == 2)
        going.cancel()
        assert far.lines[0].aborted
        going.cancel()
        far.lines[0].deliver(says("c"))
        await recorder.over()
        assert recorder.end is not None
        assert recorder.end.cancelled
        assert recorder.text() == "ab"

    play(scene)


def test_cancel_within_a_delta_silences_the_rest_of_the_same_read() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        recorder = Recorder()

        def hang_up(delta: Delta) -> None:
            going.cancel()
            going.resume()

        recorder.on_delta = hang_up
        going = engine.start(turn_of(), recorder)
        await recorder.over()
        assert len(recorder.deltas) == 1
        assert recorder.end is not None
        assert recorder.end.cancelled

    play(scene, whole_stream("a", "b", "c"))


def test_cancel_silences_the_rest_of_the_same_piece() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        recorder = Recorder()
        recorder.on_delta = lambda _: going.cancel()
        going = engine.start(turn_of(), recorder)
        await recorder.over()
        assert recorder.text() == "a"
        assert recorder.end is not None
        assert recorder.end.cancelled

    piece = b"".join(
        b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % text for text in (b"a", b"b", b"c")
    )
    play(scene, STREAM_HEAD + chunked(piece + DONE) + STREAM_END)


def test_cancel_keeps_the_usage_that_had_arrived() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        far.answer = lambda call: call.line.deliver(STREAM_HEAD + counted(4, 1) + says("a"))
        recorder = Recorder()
        going = engine.start(turn_of(), recorder)
        await recorder.until(lambda r: len(r.deltas) == 1)
        going.cancel()
        await recorder.over()
        assert recorder.end is not None
        assert recorder.end.usage == Usage(4, 1)

    play(scene)


def test_cancel_while_connecting() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        recorder = Recorder()
        going = engine.start(turn_of(), recorder)
        await passing(0.1)
        going.cancel()
        await recorder.over()
        assert recorder.end is not None
        assert recorder.end.cancelled
        await passing(10)
        assert far.calls == []

    play(scene, far=FarSide(accept_s=1))


def test_cancel_after_the_end_does_nothing() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        recorder = Recorder()
        going = engine.start(turn_of(), recorder)
        await recorder.over()
        going.cancel()
        going.pause()
        going.resume()
        await recorder.over()
        assert recorder.end is not None
        assert not recorder.end.cancelled
        assert not far.lines[0].aborted

    play(scene, whole_stream("a"))


def test_a_pause_holds_the_deltas_of_one_read_and_loses_none() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        recorder = Recorder()
        recorder.on_delta = lambda _: going.pause()
        going = engine.start(turn_of(), recorder)
        for count in range(1, 5):
            await passing(1_000)
            assert len(recorder.deltas) == count
            assert not recorder.is_over
            going.resume()
        await recorder.over()
        assert recorder.text() == "abc"
        assert recorder.end is not None
        assert recorder.end.usage is not None

    play(scene, whole_stream("a", "b", "c"))


def test_a_pause_stops_reading_so_that_the_far_side_feels_it() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        stream = [STREAM_HEAD, *(says(text) for text in "abc"), says("", "stop"), chunked(DONE)]
        far.answer = lambda call: call.line.deliver(*stream)
        recorder = Recorder()
        recorder.on_delta = lambda _: going.pause()
        going = engine.start(turn_of(), recorder)
        for unread in (4, 3, 2, 1):
            await passing(1_000)
            assert not far.lines[0].reading
            assert far.lines[0].unread_count == unread
            going.resume()
        await recorder.over()
        assert recorder.text() == "abc"

    play(scene)


def test_a_pause_that_ends_with_nothing_held_reads_on() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        far.answer = lambda call: call.line.deliver(STREAM_HEAD + says("a"))
        recorder = Recorder()
        going = engine.start(turn_of(), recorder)
        await recorder.until(lambda r: len(r.deltas) == 1)
        going.pause()
        far.lines[0].deliver(says("b", "stop") + chunked(DONE))
        await passing(500)
        assert recorder.text() == "a"
        going.resume()
        going.resume()
        await recorder.over()
        assert recorder.text() == "ab"

    play(scene)


def test_a_pause_before_the_connection_holds_all() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        recorder = Recorder()
        going = engine.start(turn_of(), recorder)
        going.pause()
        await passing(100)
        assert recorder.deltas == []
        assert not far.lines[0].reading
        going.resume()
        await recorder.over()
        assert recorder.text() == "a"

    play(scene, whole_stream("a"))


def test_a_failure_while_paused_comes_after_what_was_delivered() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        recorder = Recorder()
        recorder.on_delta = lambda _: going.pause()
        going = engine.start(turn_of(), recorder)
        await recorder.until(lambda r: len(r.deltas) == 1)
        assert not recorder.is_over
        going.resume()
        await recorder.until(lambda r: len(r.deltas) == 2)
        going.resume()
        await recorder.over()
        assert code_of(recorder) is Code.ENGINE_FAILED

    play(scene, STREAM_HEAD + says("a") + says("b") + chunked(b"data: {garbage\n\n"))


def test_a_connection_that_breaks_while_paused_is_told_on_resume() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        far.answer = lambda call: call.line.deliver(STREAM_HEAD + says("a"))
        recorder = Recorder()
        going = engine.start(turn_of(), recorder)
        await recorder.until(lambda r: len(r.deltas) == 1)
        going.pause()
        far.lines[0].drop(ConnectionResetError())
        await passing(1)
        assert not recorder.is_over
        going.resume()
        await recorder.over()
        assert code_of(recorder) is Code.ENGINE_FAILED

    play(scene)


def test_the_rest_of_an_answer_after_done_frees_the_connection() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        stream = whole_stream("a").removesuffix(STREAM_END)
        far.answer = lambda call: call.line.deliver(stream)
        first = Recorder()
        engine.start(turn_of(), first)
        await first.over()
        far.lines[0].deliver(STREAM_END)
        second = Recorder()
        engine.start(turn_of(), second)
        await second.over()
        assert len(far.lines) == 1

    play(scene)


def test_a_connection_that_never_finishes_its_answer_is_closed() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        stream = whole_stream("a").removesuffix(STREAM_END)
        far.answer = lambda call: call.line.deliver(stream)
        recorder = Recorder()
        engine.start(turn_of(), recorder)
        await recorder.over()
        far.lines[0].deliver(says("late"))
        await passing(5)
        await recorder.over()
        assert far.lines[0].aborted

    play(scene)


@pytest.mark.parametrize(
    ("delivered", "after_s"), [(b"", 2.0), (STREAM_HEAD, 2.0), (STREAM_HEAD + says("a"), 0.5)]
)
def test_silence_ends_a_run(delivered: bytes, after_s: float) -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        far.answer = lambda call: call.line.deliver(delivered)
        recorder = Recorder()
        engine.start(turn_of(), recorder)
        await recorder.over()
        assert code_of(recorder) is Code.RUN_TIMEOUT
        assert far.lines[0].aborted
        assert asyncio.get_running_loop().time() == pytest.approx(after_s, abs=0.01)

    play(scene, first_byte_timeout_ms=2_000, idle_timeout_ms=500)


def test_a_slow_stream_that_keeps_talking_is_not_cut() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        far.answer = lambda call: call.line.deliver(STREAM_HEAD)
        recorder = Recorder()
        engine.start(turn_of(), recorder)
        await calls(far, 1)
        for _ in range(10):
            await passing(0.4)
            far.lines[0].deliver(says("a"))
        far.lines[0].deliver(says("", "stop") + chunked(DONE))
        await recorder.over()
        assert recorder.text() == "a" * 10

    play(scene, idle_timeout_ms=500)
