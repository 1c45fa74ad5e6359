"""The engine itself: what it refuses, its health, its embeddings, its end."""

import asyncio
import json
from typing import Any

import pytest

from tests.support.memory_loop import (
    STREAM_HEAD,
    FarSide,
    http,
    http_json,
    passing,
    run,
    says,
    whole_stream,
)
from tests.support.turns import Recorder, turn_of
from tests.support.upstream import code_of, play
from tokenbooth.core.codes import Code
from tokenbooth.core.features import Feature
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import ImagePart, Message, Role, TextPart
from tokenbooth.engines.bounds import turn_tokens_max
from tokenbooth.engines.upstream import UpstreamEngine, UpstreamOptions


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


@pytest.mark.parametrize("sees", [True, False])
def test_an_image_goes_to_a_server_that_is_said_to_see_and_to_no_other(sees: bool) -> None:
    url = "data:image/png;base64,QQ=="

    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        recorder = Recorder()
        message = Message(Role.USER, (TextPart("see"), ImagePart(url, width=1, height=1)))
        engine.start(turn_of(messages=(message,)), recorder)
        await recorder.over()
        if not sees:
            assert code_of(recorder) is Code.UNSUPPORTED_FEATURE
            assert far.calls == []
            return
        assert recorder.problem is None
        assert far.calls[0].json["messages"][0]["content"] == [
            {"type": "text", "text": "see"},
            {"type": "image_url", "image_url": {"url": url}},
        ]

    play(scene, *([whole_stream("a")] if sees else []), sees=sees)


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
        await passing(0.1)
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
    found = embedded(embeddings([1.0], [1.0]), ["ab", "é"])
    assert (found.input_tokens, found.exact) == (4, False)


def test_wanted_dimensions_go_to_the_upstream() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        found = await engine.embed(["a"], 2)
        assert far.calls[0].json["dimensions"] == 2
        assert found.vectors == ((0.0, 1.0),)

    play(scene, embeddings([0, 1]))


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


METRICS = (
    b'vllm:prompt_tokens_total{model_name="far-model"} 12.0\n'
    b'vllm:generation_tokens_total{model_name="far-model"} 34.0\n'
)


def test_the_upstreams_own_counters_are_asked_for_at_the_root() -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        told = await engine.counters()
        assert told is not None
        assert (told.input_tokens, told.output_tokens) == (12, 34)
        assert told.shared
        assert far.calls[0].start == "GET /metrics HTTP/1.1"
        assert far.calls[0].headers["host"] == "far:8000"

    play(scene, http(200, METRICS))


@pytest.mark.parametrize(
    "answer",
    [http(404), http(401), http(500), http(200, b"no metrics"), b"junk\r\n\r\n", http(204)],
)
def test_an_upstream_without_counters_tells_nothing(answer: bytes) -> None:
    async def scene(engine: UpstreamEngine, far: FarSide) -> None:
        assert await engine.counters() is None

    play(scene, answer)


def test_counters_are_not_waited_for_long_and_may_be_switched_off() -> None:
    async def slow(engine: UpstreamEngine, far: FarSide) -> None:
        assert await engine.counters() is None
        assert asyncio.get_running_loop().time() == pytest.approx(0.2, abs=0.01)

    async def off(engine: UpstreamEngine, far: FarSide) -> None:
        assert await engine.counters() is None
        assert far.calls == []
        await engine.close()

    async def elsewhere(engine: UpstreamEngine, far: FarSide) -> None:
        assert await engine.counters() is not None
        assert far.calls[0].start == "GET /engine/metrics HTTP/1.1"
        await engine.close()
        assert await engine.counters() is None

    play(slow, health_timeout_ms=200)
    play(off, counters_path="")
    play(elsewhere, http(200, METRICS), counters_path="/engine/metrics")
