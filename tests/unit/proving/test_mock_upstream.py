"""The mock upstream as an ASGI application, without a socket."""

import asyncio
import json
from typing import Any

import pytest

from tests.support.asgi import Peer
from tests.support.memory_loop import passing, run
from tokenbooth.engines.scripted import Fault, ScriptOptions, UsageFault
from tokenbooth.engines.upstream.counters import counters_from
from tokenbooth.proving.mock_upstream import LineCut, MockOptions, MockUpstream, WireFault

CHAT = "/v1/chat/completions"


def chat(text: str = "hi", **fields: Any) -> bytes:
    body = {"model": "any", "messages": [{"role": "user", "content": text}], **fields}
    return json.dumps(body).encode()


def post(body: bytes, path: str = CHAT, **fields: Any) -> Peer:
    return Peer("POST", path, body, **fields)


def made(script: dict[str, Any] | None = None, **fields: Any) -> MockOptions:
    return MockOptions(script=ScriptOptions(**{"chunks": 4} | (script or {})), **fields)


def asked(*peers: Peer, options: MockOptions | None = None) -> MockUpstream:
    """Let the mock answer ``peers`` one after the other."""

    async def work() -> MockUpstream:
        mock = MockUpstream(options or made())
        await mock.open()
        for peer in peers:
            await mock(peer.scope, peer.receive, peer.send)
        await mock.close()
        return mock

    return run(work())


def events(peer: Peer) -> list[str]:
    return [line[6:] for line in peer.answer.decode().splitlines() if line.startswith("data: ")]


def said(peer: Peer) -> str:
    chunks = [json.loads(data) for data in events(peer) if data != "[DONE]"]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def test_a_whole_answer() -> None:
    peer = post(chat())
    mock = asked(peer)
    body = json.loads(peer.answer)
    assert peer.status == 200
    assert len(body["choices"][0]["message"]["content"].split()) == 4
    assert body["usage"]["completion_tokens"] == 4
    assert (mock.state.calls, mock.state.ended, mock.state.running) == (1, 1, 0)
    assert peer.complete


def test_a_stream_ends_with_usage_and_done() -> None:
    peer = post(chat(stream=True, stream_options={"include_usage": True}))
    asked(peer)
    assert peer.answer_headers["content-type"] == "text/event-stream"
    *_, usage, done = events(peer)
    assert json.loads(usage)["usage"]["completion_tokens"] == 4
    assert done == "[DONE]"
    assert len(said(peer).split()) == 4


def test_stream_and_whole_answer_say_the_same() -> None:
    whole, stream = post(chat("x")), post(chat("x", stream=True))
    asked(whole, stream)
    assert json.loads(whole.answer)["choices"][0]["message"]["content"] == said(stream)


def test_paths_without_the_version_are_served_too() -> None:
    peer = post(chat(), "/chat/completions")
    asked(peer)
    assert peer.status == 200


def test_models() -> None:
    peer = Peer("GET", "/v1/models")
    asked(peer, options=made(model="the-one"))
    assert [entry["id"] for entry in json.loads(peer.answer)["data"]] == ["the-one"]


@pytest.mark.parametrize(("texts", "count"), [("one", 1), (["a", "b c"], 2)])
def test_embeddings(texts: object, count: int) -> None:
    peer = post(json.dumps({"model": "m", "input": texts}).encode(), "/v1/embeddings")
    asked(peer)
    body = json.loads(peer.answer)
    assert [row["index"] for row in body["data"]] == list(range(count))
    assert body["usage"]["prompt_tokens"] > 0


@pytest.mark.parametrize("raw", [b"", b"{}", b'{"input": 5}', b'{"input": "\xff"}'])
def test_embeddings_without_input(raw: bytes) -> None:
    peer = post(raw, "/v1/embeddings")
    asked(peer)
    assert peer.status == 400


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [("GET", "/v1/nothing", 404), ("GET", CHAT, 404), ("POST", "/v1/models", 404)],
)
def test_other_paths(verb: str, path: str, status: int) -> None:
    peer = Peer(verb, path)
    asked(peer)
    assert peer.status == status
    assert "error" in json.loads(peer.answer)


@pytest.mark.parametrize("raw", [b"", b"{", b"{}", chat(n="many")])
def test_a_bad_body_is_a_400(raw: bytes) -> None:
    peer = post(raw)
    mock = asked(peer)
    assert peer.status == 400
    assert mock.state.running == 0


@pytest.mark.parametrize(
    ("header", "status"), [(b"Bearer right", 200), (b"Bearer wrong", 401), (b"right", 401)]
)
def test_a_key_is_wanted(header: bytes, status: int) -> None:
    peer = post(chat(), headers=[(b"authorization", header)])
    asked(peer, options=made(key="right"))
    assert peer.status == status


def test_the_engines_finding_is_an_answer() -> None:
    peer = post(chat("word " * 9_000))
    mock = asked(peer)
    assert peer.status == 400
    assert json.loads(peer.answer)["error"]["code"] == "context_length_exceeded"
    assert mock.state.failed == 1


@pytest.mark.parametrize("stream", [True, False])
def test_a_failure_before_output_is_a_502(stream: bool) -> None:
    peer = post(chat(stream=stream))
    asked(peer, options=made({"fault": Fault.FAIL}))
    assert peer.status == 502


def test_a_failure_within_a_stream_is_an_error_event() -> None:
    peer = post(chat(stream=True))
    mock = asked(peer, options=made({"fault": Fault.FAIL, "fault_after_chunks": 2}))
    assert peer.status == 200
    assert len(events(peer)) == 3
    assert "error" in json.loads(events(peer)[-1])
    assert mock.state.failed == 1


def test_a_failure_within_a_whole_answer_is_a_502() -> None:
    peer = post(chat())
    asked(peer, options=made({"fault": Fault.FAIL, "fault_after_chunks": 2}))
    assert peer.status == 502


def test_usage_may_lie() -> None:
    missing, negative = post(chat()), post(chat())
    asked(missing, options=made({"usage": UsageFault.MISSING}))
    asked(negative, options=made({"usage": UsageFault.NEGATIVE}))
    assert "usage" not in json.loads(missing.answer)
    assert json.loads(negative.answer)["usage"]["completion_tokens"] == -1


def test_a_status_for_the_first_calls_only() -> None:
    peers = [post(chat()) for _ in range(3)]
    fault = {"wire_fault": WireFault.STATUS, "fault_status": 429, "fault_calls": 2}
    asked(*peers, options=made(**fault, retry_after_s=7))
    assert [peer.status for peer in peers] == [429, 429, 200]
    assert peers[0].answer_headers["retry-after"] == "7"


def test_a_stream_without_done() -> None:
    peer = post(chat(stream=True))
    asked(peer, options=made(wire_fault=WireFault.NO_DONE))
    assert "[DONE]" not in events(peer)
    assert len(said(peer).split()) == 4


@pytest.mark.parametrize("fault", [WireFault.CUT, WireFault.GARBAGE])
def test_a_broken_stream(fault: WireFault) -> None:
    peer = post(chat(stream=True))
    with pytest.raises(LineCut):
        asked(peer, options=made(wire_fault=fault, fault_after_deltas=2))
    assert not peer.complete
    heard = [data for data in events(peer) if "garbage" not in data]
    assert len(heard) == 2
    assert (len(events(peer)) == 3) is (fault is WireFault.GARBAGE)


def test_a_client_that_hangs_up_is_counted_as_cancelled() -> None:
    async def work() -> None:
        mock = MockUpstream(made({"fault": Fault.HANG, "fault_after_chunks": 1}))
        await mock.open()
        peer = post(chat(stream=True))
        heard = asyncio.Event()
        peer.on_message = lambda _: heard.set() if peer.answer else None
        call = asyncio.ensure_future(mock(peer.scope, peer.receive, peer.send))
        await heard.wait()
        assert mock.state.running == 1
        peer.hang_up()
        await call
        assert (mock.state.cancelled, mock.state.running) == (1, 0)
        (noted,) = mock.calls
        assert noted.text == "hi"
        assert noted.left_us is not None
        assert noted.left_us >= noted.began_us
        await mock.close()

    run(work())


def test_the_calls_can_be_asked_for_and_whoever_heard_the_end_did_not_leave() -> None:
    peer = Peer("GET", "/mock/calls")
    mock = asked(post(chat("first")), post(chat("second", stream=True)), peer)
    noted = json.loads(peer.answer)["data"]
    assert [(each["text"], each["left_us"]) for each in noted] == [
        ("first", None),
        ("second", None),
    ]
    assert noted[0]["began_us"] <= noted[1]["began_us"]
    assert mock.state.cancelled == 0


def test_a_slow_reader_pauses_the_script() -> None:
    async def work() -> None:
        mock = MockUpstream(made({"chunks": 2_000}))
        await mock.open()
        peer = post(chat(stream=True))
        peer.takes.clear()
        call = asyncio.ensure_future(mock(peer.scope, peer.receive, peer.send))
        await passing(10)
        peer.takes.set()
        await call
        assert len(said(peer).split()) == 2_000
        assert events(peer)[-1] == "[DONE]"
        await mock.close()

    run(work())


def test_the_state_can_be_asked_for() -> None:
    peer = Peer("GET", "/mock/state")
    asked(post(chat()), peer)
    state = json.loads(peer.answer)
    assert state == {
        "calls": 1,
        "running": 0,
        "ended": 1,
        "failed": 0,
        "cancelled": 0,
        "connections": 1,
    }


def test_the_metrics_are_those_of_the_engine() -> None:
    peer = Peer("GET", "/metrics")
    asked(post(chat()), peer)
    told = counters_from({}, peer.answer, "mock")
    assert told is not None
    assert told.output_tokens == 4
    assert told.input_tokens > 0
    assert told.shared
    assert told.generation


def test_commands_in_the_prompt_reach_the_script() -> None:
    peer = post(chat("[script chunks=2]"))
    asked(peer, options=made({"turn_commands": True}))
    assert json.loads(peer.answer)["usage"]["completion_tokens"] == 2
