"""Deltas to the wire: the stream and the whole body are two folds of the same deltas."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai._streaming import SSEDecoder
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tokenbooth.core.codes import Code
from tokenbooth.core.delta import (
    Delta,
    FinishReason,
    RunEnd,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope, LimitState, Outcome, Receipt
from tokenbooth.core.terms import ServiceTier
from tokenbooth.core.turn import LogprobsAsk, Turn
from tokenbooth.protocols.dialect import AnswerFrame, Parsed, Writer
from tokenbooth.protocols.openai_chat import OPENAI_CHAT
from tokenbooth.protocols.openai_chat.choices import TOOL_CALLS_MAX
from tokenbooth.protocols.openai_chat.write import DONE, HEARTBEAT

FRAME = AnswerFrame("req_1", 1_700_000_000, "50%d model")
USAGE = Usage(3, 4, 1, 2)
LIMITS = (LimitState(LimitScope.BALANCE, "org_1", 100, 7, 0),)
RECEIPT = Receipt("req_1", Outcome.COMPLETED, "stop", USAGE, 7, "p1", LIMITS)
END = RunEnd(USAGE, fingerprint="fp_1")


def parsed(*, stream: bool, choices: int = 1, logprobs: bool = False, usage: bool = True) -> Parsed:
    ask = LogprobsAsk(1) if logprobs else None
    return Parsed(Turn(model="m", messages=(), choices=choices, logprobs=ask), stream, usage)


def stream_writer(**asked: Any) -> Writer:
    return OPENAI_CHAT.writer(parsed(stream=True, **asked), FRAME)


def whole_writer(**asked: Any) -> Writer:
    return OPENAI_CHAT.writer(parsed(stream=False, **asked), FRAME)


def events(raw: bytes) -> list[Any]:
    """The data of each event, read by the official client's own decoder."""
    decoded = SSEDecoder().iter_bytes(iter([raw]))
    return [event.data if event.data == "[DONE]" else event.json() for event in decoded]


def run(writer: Writer, deltas: list[Delta], end: RunEnd = END) -> bytes:
    return b"".join(map(writer.delta, deltas)) + writer.closing(end, RECEIPT)


def gathered(chunks: list[Any], count: int) -> dict[str, Any]:
    """What a client puts together from chunks, in the form of the whole body."""
    choices = [
        {
            "index": index,
            "message": {"role": None, "content": None, "refusal": None},
            "logprobs": None,
            "finish_reason": None,
        }
        for index in range(count)
    ]
    made: dict[str, Any] = {**chunks[0], "object": "chat.completion", "choices": choices}
    for chunk in chunks:
        for name in ("usage", "system_fingerprint"):
            made[name] = chunk.get(name) or made.get(name)
        for piece in chunk["choices"]:
            fold(choices[piece["index"]], piece)
    return {name: value for name, value in made.items() if value is not None}


def fold(choice: dict[str, Any], piece: dict[str, Any]) -> None:
    message = choice["message"]
    for name, value in piece["delta"].items():
        if name == "tool_calls":
            for call in value:
                fold_call(message.setdefault("tool_calls", []), call)
        elif name == "role":
            assert message["role"] is None
            message["role"] = value
        elif value is not None:
            message[name] = (message.get(name) or "") + value
    if piece["logprobs"] is not None:
        known = choice["logprobs"] or {"content": [], "refusal": None}
        known["content"] += piece["logprobs"]["content"]
        choice["logprobs"] = known
    if piece["finish_reason"] is not None:
        assert choice["finish_reason"] is None
        choice["finish_reason"] = piece["finish_reason"]


def fold_call(calls: list[Any], piece: dict[str, Any]) -> None:
    if piece["index"] == len(calls):
        calls.append({"id": piece["id"], "type": piece["type"], "function": piece["function"]})
        return
    known = calls[piece["index"]]["function"]
    for name, value in piece["function"].items():
        known[name] += value


def test_a_stream_chunk_by_chunk() -> None:
    writer = stream_writer()
    assert writer.content_type == "text/event-stream"
    head = {
        "id": "chatcmpl-req_1",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "50%d model",
    }

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**head, "choices": [choice], "usage": None}

    assert events(writer.delta(Delta(text="Hé"))) == [chunk({"role": "assistant", "content": "Hé"})]
    assert events(writer.delta(Delta(text="llo", finish=FinishReason.LENGTH))) == [
        chunk({"content": "llo"}),
        chunk({}, "length"),
    ]
    closing = events(writer.closing(END, RECEIPT))
    assert closing[-1] == "[DONE]"
    assert closing[0] == {
        **head,
        "choices": [],
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": 4,
            "total_tokens": 7,
            "prompt_tokens_details": {"cached_tokens": 1},
            "completion_tokens_details": {"reasoning_tokens": 2},
            "source": "engine",
            "cost": {
                "amount": "0.000000007",
                "amount_nano": 7,
                "currency": "USD",
                "price_version": "p1",
            },
            "limits": [
                {
                    "scope": "balance",
                    "owner_id": "org_1",
                    "currency": "USD",
                    "limit": {"amount": "0.000000100", "amount_nano": 100},
                    "spent": {"amount": "0.000000007", "amount_nano": 7},
                    "held": {"amount": "0.000000000", "amount_nano": 0},
                    "remaining": {"amount": "0.000000093", "amount_nano": 93},
                }
            ],
        },
        "system_fingerprint": "fp_1",
    }
    assert len(closing) == 2


def test_without_include_usage_no_chunk_speaks_of_usage() -> None:
    raw = run(stream_writer(usage=False), [Delta(text="a", finish=FinishReason.STOP)])
    chunks = events(raw)
    assert chunks.pop() == "[DONE]"
    assert all("usage" not in chunk and chunk["choices"] for chunk in chunks)


def test_usage_comes_from_the_engine_without_a_receipt() -> None:
    chunks = events(stream_writer().closing(RunEnd(USAGE), None))
    assert chunks[-2]["usage"]["total_tokens"] == 7
    assert "cost" not in chunks[-2]["usage"]
    assert "system_fingerprint" not in chunks[-2]
    body = json.loads(whole_writer().closing(RunEnd(None), None))
    assert "usage" not in body
    assert "system_fingerprint" not in body
    silent = events(stream_writer().closing(RunEnd(None), None))
    assert [chunk["choices"] != [] for chunk in silent[:-1]] == [True]


def test_a_whole_body() -> None:
    writer = whole_writer(choices=2)
    assert writer.content_type == "application/json"
    deltas = [Delta(text="a"), Delta(choice=1, text="b"), Delta(text="c", finish=FinishReason.STOP)]
    assert [writer.delta(delta) for delta in deltas] == [b"", b"", b""]
    assert writer.heartbeat() == b""
    body = json.loads(writer.closing(END, RECEIPT))
    assert body["object"] == "chat.completion"
    assert body["id"] == "chatcmpl-req_1"
    assert body["system_fingerprint"] == "fp_1"
    assert [choice["message"]["content"] for choice in body["choices"]] == ["ac", "b"]
    assert body["usage"]["cost"]["amount_nano"] == 7
    ChatCompletion.model_validate(body)


def test_silence_is_an_empty_string() -> None:
    body = json.loads(whole_writer().closing(END, RECEIPT))
    assert body["choices"][0] == {
        "index": 0,
        "message": {"role": "assistant", "content": "", "refusal": None},
        "logprobs": None,
        "finish_reason": "stop",
    }
    chunks = events(stream_writer().closing(END, RECEIPT))
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}


def test_a_delta_that_says_nothing_writes_nothing() -> None:
    writer = stream_writer()
    assert writer.delta(Delta(output_tokens=1)) == b""
    unasked = Delta(logprobs=(TokenLogprob("a", -1.0),))
    assert writer.delta(unasked) == b""


@pytest.mark.parametrize(
    ("deltas", "cancelled", "expected"),
    [
        ([Delta(text="a")], False, "stop"),
        ([Delta(text="a")], True, "length"),
        ([Delta(tool_call=ToolCallDelta(0, "{}", "c", "f"))], False, "tool_calls"),
        ([Delta(text="a", finish=FinishReason.CONTENT_FILTER)], True, "content_filter"),
    ],
)
def test_every_choice_gets_a_finish(deltas: list[Delta], cancelled: bool, expected: str) -> None:
    end = RunEnd(USAGE, cancelled=cancelled)
    body = json.loads(run(whole_writer(), deltas, end))
    assert body["choices"][0]["finish_reason"] == expected
    chunks = events(run(stream_writer(), deltas, end))[:-1]
    assert gathered(chunks, 1)["choices"][0]["finish_reason"] == expected


def test_tool_calls_are_renumbered_named_once_and_given_an_id() -> None:
    deltas = [
        Delta(tool_call=ToolCallDelta(4, "{", "c4", "f")),
        Delta(tool_call=ToolCallDelta(4, '"a"', "c4", "f")),
        Delta(tool_call=ToolCallDelta(2, "", None, None)),
        Delta(tool_call=ToolCallDelta(2, "{}", None, "g")),
        Delta(tool_call=ToolCallDelta(4, ":1}"), finish=FinishReason.TOOL_CALLS),
    ]
    expected = [
        {"id": "c4", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        {
            "id": "call_req_1_0_1",
            "type": "function",
            "function": {"name": "g", "arguments": "{}"},
        },
    ]
    message = json.loads(run(whole_writer(), deltas))["choices"][0]["message"]
    assert message["content"] is None
    assert message["tool_calls"] == expected
    chunks = events(run(stream_writer(), deltas))[:-1]
    assert gathered(chunks, 1)["choices"][0]["message"]["tool_calls"] == expected
    assert [c["choices"][0]["delta"]["tool_calls"][0]["index"] for c in chunks[:5]] == [
        0,
        0,
        1,
        1,
        0,
    ]


def test_tool_calls_are_bounded() -> None:
    deltas = [
        Delta(tool_call=ToolCallDelta(index, "{}", f"c{index}", "f"))
        for index in range(TOOL_CALLS_MAX + 1)
    ]
    message = json.loads(run(whole_writer(), deltas))["choices"][0]["message"]
    assert len(message["tool_calls"]) == TOOL_CALLS_MAX
    writer = stream_writer()
    assert [bool(writer.delta(delta)) for delta in deltas[-2:]] == [True, True]
    writer = stream_writer()
    assert [bool(writer.delta(delta)) for delta in deltas][-2:] == [True, False]


def test_logprobs_have_bytes_alternatives_and_finite_numbers() -> None:
    token = TokenLogprob("é", -0.5, (("é", -0.5), ("e", float("-inf"))))
    deltas = [Delta(text="é", logprobs=(token,)), Delta(logprobs=(TokenLogprob("\ud800", -1.0),))]
    expected = [
        {
            "token": "é",
            "logprob": -0.5,
            "bytes": [0xC3, 0xA9],
            "top_logprobs": [
                {"token": "é", "logprob": -0.5, "bytes": [0xC3, 0xA9]},
                {"token": "e", "logprob": -9999.0, "bytes": [0x65]},
            ],
        },
        {"token": "\ud800", "logprob": -1.0, "bytes": [0xED, 0xA0, 0x80], "top_logprobs": []},
    ]
    choice = json.loads(run(whole_writer(logprobs=True), deltas))["choices"][0]
    assert choice["logprobs"] == {"content": expected, "refusal": None}
    unasked = json.loads(run(whole_writer(), deltas))["choices"][0]
    assert unasked["logprobs"] is None
    first = events(stream_writer(logprobs=True).delta(deltas[0]))[0]["choices"][0]
    assert first["logprobs"]["content"] == expected[:1]


def test_logprobs_alone_still_open_the_choice() -> None:
    delta = Delta(logprobs=(TokenLogprob("a", -1.0),))
    chunk = events(stream_writer(logprobs=True).delta(delta))[0]["choices"][0]
    assert chunk["delta"] == {"role": "assistant", "content": None}


def test_half_surrogates_pass_as_escapes_and_join_in_the_whole() -> None:
    deltas = [Delta(text="\ud83d"), Delta(text="\ude00")]
    raw = stream_writer().delta(deltas[0])
    assert b"\\ud83d" in raw
    body = run(whole_writer(), deltas)
    assert json.loads(body)["choices"][0]["message"]["content"] == "😀"


def test_nothing_counts_after_a_finish_or_for_a_choice_nobody_asked_for() -> None:
    deltas = [
        Delta(text="a", finish=FinishReason.STOP),
        Delta(text="late"),
        Delta(choice=1, text="who"),
        Delta(choice=-1, text="who"),
    ]
    body = json.loads(run(whole_writer(), deltas))
    assert [choice["message"]["content"] for choice in body["choices"]] == ["a"]
    writer = stream_writer()
    assert [bool(writer.delta(delta)) for delta in deltas] == [True, False, False, False]


@pytest.mark.parametrize(
    "first", [Delta(choice=2, text="c"), Delta(choice=2, finish=FinishReason.STOP)]
)
def test_choices_open_in_order(first: Delta) -> None:
    writer = stream_writer(choices=3)
    writer.delta(Delta(choice=1, text="b"))
    chunks = events(stream_writer(choices=3).delta(first))
    opened = [chunk["choices"][0] for chunk in chunks]
    assert [choice["index"] for choice in opened] == [0, 1, 2]
    assert all(choice["delta"]["role"] == "assistant" for choice in opened)
    late = events(writer.delta(first))
    assert [chunk["choices"][0]["index"] for chunk in late] == [2]


def test_failure_is_one_error_event_without_done() -> None:
    writer = stream_writer()
    writer.delta(Delta(text="a"))
    raw = writer.problem(Problem(Code.ENGINE_FAILED, "It broke.", facts={"attempt": 1}))
    assert DONE not in raw
    assert events(raw) == [
        {
            "error": {
                "message": "It broke.",
                "type": "server_error",
                "param": None,
                "code": "engine_failed",
                "request_id": "req_1",
                "attempt": 1,
            }
        }
    ]


@pytest.mark.parametrize("make", [stream_writer, whole_writer])
@pytest.mark.parametrize("well", [True, False])
def test_after_the_end_nothing_is_written(make: Any, well: bool) -> None:
    writer = make()
    problem = Problem(Code.ENGINE_FAILED, "It broke.")
    assert writer.closing(END, RECEIPT) if well else writer.problem(problem)
    assert writer.delta(Delta(text="x")) == b""
    assert writer.closing(END, RECEIPT) == b""
    assert writer.problem(problem) == b""
    assert writer.heartbeat() == b""


def test_whole_failure_is_the_error_body() -> None:
    raw = whole_writer().problem(Problem(Code.ENGINE_FAILED, "It broke."))
    assert json.loads(raw)["error"]["code"] == "engine_failed"


def test_heartbeats_are_comments() -> None:
    writer = stream_writer()
    assert writer.heartbeat() == HEARTBEAT
    assert events(HEARTBEAT * 3 + writer.delta(Delta(text="a")) + HEARTBEAT)[0]["choices"]


TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=4)
LOGPROBS = st.lists(
    st.builds(
        TokenLogprob,
        TEXTS,
        st.floats(-20, 0),
        st.lists(st.tuples(TEXTS, st.floats(-20, 0)), max_size=2).map(tuple),
    ),
    max_size=2,
).map(tuple)
CALLS = st.builds(
    ToolCallDelta,
    st.integers(0, 3),
    TEXTS,
    st.none() | st.sampled_from(["c1", "c2"]),
    st.none() | st.sampled_from(["f", "g"]),
)
DELTAS = st.builds(
    Delta,
    choice=st.integers(0, 3),
    text=TEXTS,
    reasoning=TEXTS,
    refusal=TEXTS,
    tool_call=st.none() | CALLS,
    logprobs=LOGPROBS,
    finish=st.sampled_from([None, None, None, *FinishReason]),
)


@given(st.lists(DELTAS, max_size=12), st.integers(1, 3), st.booleans(), st.booleans())
def test_folding_the_stream_gives_the_whole(
    deltas: list[Delta], choices: int, logprobs: bool, cancelled: bool
) -> None:
    end = RunEnd(USAGE, cancelled=cancelled, fingerprint="fp_1")
    asked = {"choices": choices, "logprobs": logprobs}
    body = json.loads(run(whole_writer(**asked), deltas, end))
    raw = run(stream_writer(**asked), deltas, end)
    chunks = events(raw)
    assert chunks.pop() == "[DONE]"
    assert raw.count(b"[DONE]") >= 1
    assert raw.endswith(DONE)
    assert len({(c["id"], c["created"], c["model"]) for c in chunks}) == 1
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk)
    ChatCompletion.model_validate(body)
    assert gathered(chunks, choices) == body


@pytest.mark.parametrize("stream", [False, True])
def test_only_a_tier_that_is_not_the_standard_one_is_named(stream: bool) -> None:
    for tier in ServiceTier:
        turn = Turn(model="m", messages=(), service_tier=tier)
        writer = OPENAI_CHAT.writer(Parsed(turn, stream, include_usage=False), FRAME)
        raw = writer.delta(Delta(text="a", finish=FinishReason.STOP))
        raw += writer.closing(RunEnd(None), None)
        named = f'"service_tier":"{tier.value}"'.encode() in raw
        assert named is (tier is not ServiceTier.STANDARD)
