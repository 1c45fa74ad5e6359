"""The upstream engine against a far side in memory: calls out, streams in."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.memory_loop import (
    DONE,
    STREAM_END,
    STREAM_HEAD,
    Call,
    FarSide,
    chunked,
    counted,
    event,
    http,
    http_json,
    run,
    says,
    whole_stream,
)
from tests.support.turns import Recorder, turn_of
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, FinishReason, Usage
from tokenbooth.core.features import Feature
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import Turn
from tokenbooth.engines.bounds import turn_tokens_max
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


def test_a_good_stream() -> None:
    recorder = played(whole_stream("Hel", "lo", usage=(7, 2)))
    assert recorder.text() == "Hello"
    assert recorder.finishes == [(0, FinishReason.STOP)]
    assert recorder.end is not None
    assert recorder.end.usage == Usage(7, 2)
    assert recorder.output_tokens == 2


def test_the_call_that_is_made() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        recorder = Recorder()
        engine.start(turn_of("hi", model="public"), recorder)
        await recorder.over()
        (call,) = far.calls
        assert call.start == "POST /v1/chat/completions HTTP/1.1"
        assert call.headers["authorization"] == "Bearer sk-secret"
        assert call.json["model"] == "far-model"
        assert call.json["stream"] is True
        assert call.json["stream_options"] == {"include_usage": True}

    play(scene, whole_stream("x"))


STREAM = whole_stream("a", "b", "c")


@pytest.mark.parametrize("cut", range(1, len(STREAM), 3))
def test_a_stream_may_be_cut_at_any_byte(cut: int) -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        far.answer = lambda call: call.line.deliver(STREAM[:cut], STREAM[cut:])
        recorder = Recorder()
        engine.start(turn_of(), recorder)
        await recorder.over()
        assert recorder.text() == "abc"
        assert recorder.end is not None
        assert recorder.end.usage == Usage(5, 3)

    play(scene)


COMPLETE_FROM = STREAM.index(b'"stop"')


@pytest.mark.parametrize("cut", range(0, len(STREAM) - 1, 3))
def test_a_stream_that_stops_at_any_byte_ends_exactly_once(cut: int) -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        def answer(call: Call) -> None:
            call.line.deliver(STREAM[:cut])
            call.line.drop()

        far.answer = answer
        recorder = Recorder()
        engine.start(turn_of(), recorder)
        await recorder.over()
        if recorder.end is None:
            assert code_of(recorder) is Code.ENGINE_FAILED
        else:
            assert recorder.text() == "abc"
            assert cut > COMPLETE_FROM
        assert "abc".startswith(recorder.text())

    play(scene)


def test_connections_are_used_again() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        for _ in range(3):
            recorder = Recorder()
            engine.start(turn_of(), recorder)
            await recorder.over()
            assert recorder.end is not None
        assert len(far.lines) == 1
        assert len(far.calls) == 3

    play(scene, *[whole_stream("x")] * 3)


def test_a_stale_connection_is_replaced_without_a_word() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        first, second = Recorder(), Recorder()
        far.answer = lambda call: (
            call.line.drop() if len(far.calls) == 2 else call.line.deliver(whole_stream("x"))
        )
        engine.start(turn_of(), first)
        await first.over()
        engine.start(turn_of(), second)
        await second.over()
        assert second.end is not None
        assert second.text() == "x"
        assert len(far.lines) == 2

    play(scene)


def test_a_stale_connection_is_replaced_only_once() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        first, second = Recorder(), Recorder()
        far.answer = lambda call: (
            call.line.drop() if len(far.calls) > 1 else call.line.deliver(whole_stream("x"))
        )
        engine.start(turn_of(), first)
        await first.over()
        engine.start(turn_of(), second)
        await second.over()
        assert code_of(second) is Code.ENGINE_FAILED
        assert len(far.calls) == 3

    play(scene)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, Code.INVALID_VALUE),
        (401, Code.UPSTREAM_REJECTED),
        (403, Code.UPSTREAM_REJECTED),
        (404, Code.UPSTREAM_REJECTED),
        (429, Code.ENGINE_BUSY),
        (500, Code.ENGINE_FAILED),
        (503, Code.ENGINE_BUSY),
        (301, Code.UPSTREAM_REJECTED),
        (201, Code.ENGINE_FAILED),
    ],
)
def test_a_refusal(status: int, code: Code) -> None:
    body = {"error": {"message": "no, says http://far:8000 with sk-secret", "param": None}}
    recorder = played(http_json(status, body, retry_after="9"))
    assert code_of(recorder) is code
    assert recorder.deltas == []
    if code is Code.ENGINE_BUSY:
        assert recorder.problem is not None
        assert recorder.problem.retry_after_s == 9


def test_a_refusal_names_the_public_model() -> None:
    body = {"error": {"message": "far-model cannot", "param": "tools"}}
    problem = played(http_json(400, body), turn=turn_of(model="public")).problem
    assert problem is not None
    assert problem.public == "public cannot"
    assert problem.param == "tools"


def test_a_refusal_keeps_the_connection() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        for expected in (Code.INVALID_VALUE, None):
            recorder = Recorder()
            engine.start(turn_of(), recorder)
            await recorder.over()
            assert (recorder.problem and recorder.problem.code) is expected
        assert len(far.lines) == 1

    play(scene, http_json(400, {}), whole_stream("x"))


def test_an_endless_refusal_is_cut() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        head = b"HTTP/1.1 400 Bad\r\ntransfer-encoding: chunked\r\n\r\n"
        far.answer = lambda call: call.line.deliver(head, *[chunked(b"x" * 4096)] * 20)
        recorder = Recorder()
        engine.start(turn_of(), recorder)
        await recorder.over()
        assert code_of(recorder) is Code.INVALID_VALUE
        assert far.lines[0].aborted

    play(scene)


@pytest.mark.parametrize(
    "answer",
    [
        http_json(200, {"choices": [{"message": {"content": "whole"}}]}),
        STREAM_HEAD.replace(b"chunked", b"chunked\r\ncontent-encoding: gzip") + STREAM_END,
        STREAM_HEAD + STREAM_END,
        STREAM_HEAD + chunked(DONE) + STREAM_END,
        STREAM_HEAD + says("a") + STREAM_END,
        STREAM_HEAD + chunked(b"data: {garbage\n\n"),
        STREAM_HEAD + says("a", index=1),
        STREAM_HEAD + says("a", "abort"),
        b"garbage\r\n\r\n",
    ],
)
def test_what_is_no_answer_is_a_failure(answer: bytes) -> None:
    assert code_of(played(answer)) is Code.ENGINE_FAILED


def test_a_stream_without_a_content_type_is_read() -> None:
    plain = whole_stream("x").replace(b"content-type: text/event-stream\r\n", b"")
    assert played(plain).text() == "x"


def test_a_stream_without_done_and_one_without_length() -> None:
    without_done = STREAM_HEAD + says("a", "stop") + counted(1, 1) + STREAM_END
    recorder = played(without_done)
    assert recorder.end is not None
    assert recorder.end.usage == Usage(1, 1)

    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        def answer(call: Call) -> None:
            data = b'data: {"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}\n\n'
            call.line.deliver(b"HTTP/1.1 200 OK\r\n\r\n" + data)
            call.line.drop()

        far.answer = answer
        whole = Recorder()
        engine.start(turn_of(), whole)
        await whole.over()
        assert whole.end is not None
        assert whole.end.usage is None

    play(scene)


def test_a_choice_that_done_leaves_open_is_a_stop() -> None:
    recorder = played(STREAM_HEAD + says("a") + chunked(DONE) + STREAM_END)
    assert recorder.text() == "a"
    assert recorder.finishes == [(0, FinishReason.STOP)]
    assert recorder.end is not None


def test_an_error_inside_the_stream() -> None:
    error = {"error": {"message": "exploded at http://far:8000", "code": 500}}
    recorder = played(STREAM_HEAD + says("a") + event(error))
    assert recorder.text() == "a"
    assert code_of(recorder) is Code.ENGINE_FAILED
    too_long = {"error": {"message": "x", "code": "context_length_exceeded"}}
    assert code_of(played(STREAM_HEAD + event(too_long))) is Code.CONTEXT_LENGTH_EXCEEDED


def test_an_answer_and_an_event_over_their_limits() -> None:
    long = STREAM_HEAD + says("x" * 500)
    assert code_of(played(long, event_bytes_max=400)) is Code.ENGINE_FAILED
    many = STREAM_HEAD + says("x" * 100) * 9
    assert code_of(played(many, answer_bytes_max=400)) is Code.ENGINE_FAILED


def test_heartbeats_and_noise_between_events_are_skipped() -> None:
    noisy = STREAM_HEAD + chunked(b": ping\n\n") + says("a") + chunked(b"id: 1\n\n")
    assert played(noisy + says("b", "stop") + chunked(DONE) + STREAM_END).text() == "ab"


def test_usage_that_cannot_be_true_is_missing() -> None:
    recorder = played(STREAM_HEAD + says("a", "stop") + counted(-1, 5) + chunked(DONE))
    assert recorder.end is not None
    assert recorder.end.usage is None


def test_choices() -> None:
    stream = says("a", index=0) + says("b", index=1) + says("", "stop", 1) + says("", "length", 0)
    turn = turn_of(choices=2)
    recorder = played(STREAM_HEAD + stream + chunked(DONE), turn=turn)
    assert (recorder.text(0), recorder.text(1)) == ("a", "b")
    assert recorder.finishes == [(1, FinishReason.STOP), (0, FinishReason.LENGTH)]


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
        await asyncio.sleep(0.1)
        going.cancel()
        await recorder.over()
        assert recorder.end is not None
        assert recorder.end.cancelled
        await asyncio.sleep(10)
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
            await asyncio.sleep(1_000)
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
            await asyncio.sleep(1_000)
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
        await asyncio.sleep(500)
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
        await asyncio.sleep(100)
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
        await asyncio.sleep(1)
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
        await asyncio.sleep(5)
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
            await asyncio.sleep(0.4)
            far.lines[0].deliver(says("a"))
        far.lines[0].deliver(says("", "stop") + chunked(DONE))
        await recorder.over()
        assert recorder.text() == "a" * 10

    play(scene, idle_timeout_ms=500)


def test_nobody_there() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        recorder = Recorder()
        engine.start(turn_of(), recorder)
        await recorder.over()
        assert code_of(recorder) is Code.ENGINE_NOT_READY
        health = await engine.health()
        assert not health.ready
        assert "far" not in health.reason

    play(scene, far=FarSide(refuse=ConnectionRefusedError()))


def test_a_turn_that_cannot_be_sent_makes_no_call() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        recorder = Recorder()
        engine.start(turn_of("\ud83d"), recorder)
        assert not recorder.is_over
        await recorder.over()
        assert code_of(recorder) is Code.INVALID_VALUE
        assert far.asked == []

    play(scene)


def test_features_are_the_operators_choice() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        assert engine.capabilities.features == {Feature.STOP}
        assert engine.capabilities.context_tokens == 64
        recorder = Recorder()
        engine.start(turn_of(choices=2), recorder)
        await recorder.over()
        assert code_of(recorder) is Code.UNSUPPORTED_FEATURE
        with pytest.raises(Problem) as caught:
            await engine.embed(["x"])
        assert caught.value.code is Code.UNSUPPORTED_FEATURE

    play(scene, features=frozenset({Feature.STOP}), context_tokens=64)


def test_input_is_counted_by_the_bound() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        turn = turn_of("some words")
        count = await engine.count_input_tokens(turn)
        assert count.tokens == turn_tokens_max(turn)
        assert not count.exact

    play(scene)


def test_close_fails_runs_in_every_stage() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        far.answer = lambda call: call.line.deliver(STREAM_HEAD + says("a"))
        streaming, paused, connecting = Recorder(), Recorder(), Recorder()
        engine.start(turn_of(), streaming)
        engine.start(turn_of(), paused).pause()
        await streaming.until(lambda r: len(r.deltas) == 1)
        far.accept_s = 5
        engine.start(turn_of(), connecting)
        await asyncio.sleep(0.1)
        await engine.close()
        for recorder in (streaming, paused, connecting):
            await recorder.over()
            assert code_of(recorder) is Code.ENGINE_FAILED
        assert all(line.lost.is_set() for line in far.lines)

    play(scene)


@pytest.mark.parametrize(
    ("answer", "ready"),
    [
        (http_json(200, {"data": []}), True),
        (http(404), True),
        (http(401), False),
        (http(403), False),
        (http(429), False),
        (http(500), False),
        (http(503), False),
        (b"junk\r\n\r\n", False),
    ],
)
def test_health(answer: bytes, ready: bool) -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        health = await engine.health()
        assert health.ready is ready
        assert bool(health.reason) is not ready
        assert far.calls[0].start == "GET /v1/models HTTP/1.1"

    play(scene, answer)


def test_health_does_not_wait_long() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        assert not (await engine.health()).ready
        assert asyncio.get_running_loop().time() == pytest.approx(0.2, abs=0.01)

    play(scene, health_timeout_ms=200)


def embeddings(*vectors: Any, usage: object = None, order: list[int] | None = None) -> bytes:
    places = order or list(range(len(vectors)))
    rows = [{"index": i, "embedding": v} for i, v in zip(places, vectors, strict=True)]
    return http_json(200, {"data": rows, "usage": usage})


def embedded(answer: bytes, texts: list[str]) -> Any:
    async def scene(engine: UpstreamEngine, far: FarSide) -> Any:
        found = await engine.embed(texts)
        assert far.calls[0].start == "POST /v1/embeddings HTTP/1.1"
        assert far.calls[0].json == {
            "model": "far-model",
            "input": texts,
            "encoding_format": "float",
        }
        return found

    return play(scene, answer)


def test_embeddings_are_put_in_order() -> None:
    usage = {"prompt_tokens": 5, "total_tokens": 5}
    found = embedded(embeddings([1, 0.5], [0, 1], usage=usage, order=[1, 0]), ["a", "b"])
    assert found.vectors == ((0.0, 1.0), (1.0, 0.5))
    assert found.input_tokens == 5


def test_embeddings_without_usage_are_counted_by_the_bound() -> None:
    assert embedded(embeddings([1.0], [1.0]), ["ab", "é"]).input_tokens == 4


@pytest.mark.parametrize(
    "answer",
    [
        embeddings([1.0]),
        embeddings([1.0], [1.0], [1.0]),
        embeddings([1.0], [1.0], order=[0, 0]),
        embeddings([1.0], [1.0], order=[0, 2]),
        embeddings([1.0], "x"),
        http_json(200, {"data": 5}),
        http(200, b"junk"),
        http(200, b'{"data":[{"index":0,"embedding":[NaN]}]}'),
        http(200, b'{"data":[{"index":0,"embedding":[1e999]},{"index":1,"embedding":[1]}]}'),
        http(500),
    ],
)
def test_embeddings_that_cannot_be_are_a_failure(answer: bytes) -> None:
    with pytest.raises(Problem) as caught:
        embedded(answer, ["a", "b"])
    assert caught.value.code is Code.ENGINE_FAILED


def test_a_refused_embedding() -> None:
    with pytest.raises(Problem) as caught:
        embedded(http_json(400, {"error": {"message": "far-model is deaf"}}), ["a"])
    assert caught.value.code is Code.INVALID_VALUE
    assert "far-model" not in caught.value.public


def test_an_engine_that_is_not_open() -> None:
    async def work() -> None:
        engine = UpstreamEngine(UpstreamOptions("http://far", "m"))
        assert not (await engine.health()).ready
        with pytest.raises(Problem) as caught:
            await engine.embed(["x"])
        assert caught.value.code is Code.ENGINE_NOT_READY
        recorder = Recorder()
        engine.start(turn_of(), recorder).cancel()
        await recorder.over()
        await engine.close()

    run(work())


def test_a_body_of_any_size_is_sent_whole() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        text = json.dumps("é🙂" * 100_000)
        recorder = Recorder()
        engine.start(turn_of(text), recorder)
        await recorder.over()
        assert far.calls[0].json["messages"][0]["content"] == text

    play(scene, whole_stream("x"))
