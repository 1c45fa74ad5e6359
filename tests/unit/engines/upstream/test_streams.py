"""What comes in: streams whole, cut and wrong."""

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
    http_json,
    says,
    whole_stream,
)
from tests.support.turns import Recorder, turn_of
from tests.support.upstream import code_of, play, played
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import FinishReason, Usage
from tokenbooth.engines.upstream import UpstreamEngine


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
