"""Folding a stream gives the whole answer, whatever an engine says and in whatever order."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from openai._streaming import SSEDecoder

from tests.support.responses import (
    END,
    FRAME,
    RECEIPT,
    TERMINAL,
    Folder,
    Json,
    checked_body,
    events,
    folded,
    stream_writer,
    streamed,
    whole,
)
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, FinishReason, RunEnd, TokenLogprob, ToolCallDelta, Usage
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome, Receipt
from tokenbooth.protocols.openai_chat import OPENAI_CHAT
from tokenbooth.protocols.openai_responses.write import HEARTBEAT

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
    st.sampled_from(["", "{", '{"input":"a"}', "x"]),
    st.none() | st.sampled_from(["c1", "c2"]),
    st.none() | st.sampled_from(["f", "p", ""]),
)
DELTAS = st.builds(
    Delta,
    choice=st.sampled_from([0, 0, 0, 1, -1]),
    text=TEXTS,
    reasoning=TEXTS,
    refusal=TEXTS,
    tool_call=st.none() | CALLS,
    logprobs=LOGPROBS,
    finish=st.sampled_from([None, None, None, None, None, *FinishReason]),
)
TOOLS = [{"type": "function", "name": "f"}, {"type": "custom", "name": "p"}]
ASKS: list[dict[str, Any]] = [
    {"tools": TOOLS},
    {"tools": TOOLS, "reasoning": {"summary": "auto"}},
    {"tools": TOOLS, "top_logprobs": 1},
]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(DELTAS, max_size=14), st.sampled_from(ASKS), st.booleans(), st.booleans())
def test_folding_the_stream_gives_the_whole(
    deltas: list[Delta], asked: dict[str, Any], cancelled: bool, settled: bool
) -> None:
    end = RunEnd(Usage(3, 4), cancelled=cancelled, fingerprint="fp_1")
    receipt = RECEIPT if settled else None
    body = whole(deltas, end, receipt, **asked)
    found = streamed(deltas, end, receipt, **asked)
    assert folded(found) == body
    assert [event["type"] in TERMINAL for event in found].index(True) == len(found) - 1
    ids = [item["id"] for item in body["output"]]
    calls = [item["call_id"] for item in body["output"] if "call_id" in item]
    assert len(set(ids)) == len(ids)
    assert len(set(calls)) == len(calls)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(DELTAS, max_size=10), st.sampled_from(ASKS))
def test_a_failure_keeps_the_order_and_what_was_said(
    deltas: list[Delta], asked: dict[str, Any]
) -> None:
    writer = stream_writer(**asked)
    raw = b"".join(map(writer.delta, deltas))
    raw += writer.problem(Problem(Code.ENGINE_FAILED, "It broke."))
    response = folded(events(raw))
    assert response["status"] == "failed"
    assert response["usage"] is None
    assert {item["status"] for item in response["output"]} <= {"completed", "incomplete"}
    said = [(item["type"], text_of(item)) for item in whole(deltas, **asked)["output"]]
    kept = [(item["type"], text_of(item)) for item in response["output"]]
    nameless = len(said) - len(kept)
    assert nameless >= 0
    assert all(one in said or one[0] == "custom_tool_call" for one in kept)


def text_of(item: Json) -> str:
    parts = item.get("content", []) + item.get("summary", [])
    spoken = "".join(part.get("text", "") + part.get("refusal", "") for part in parts)
    return str(spoken or item.get("arguments") or item.get("input") or "")


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(DELTAS, max_size=10), st.booleans())
def test_both_dialects_of_openai_say_the_same(deltas: list[Delta], cancelled: bool) -> None:
    """Text, refusal, reasoning and calls; only the order between them is told here alone."""
    end = RunEnd(None, cancelled=cancelled)
    body = whole(deltas, end, None, tools=TOOLS[:1])
    chat = OPENAI_CHAT.parse(
        json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()
    )
    writer = OPENAI_CHAT.writer(chat, FRAME)
    for delta in deltas:
        writer.delta(delta)
    choice = json.loads(writer.closing(end, None))["choices"][0]
    message = choice["message"]
    parts = [part for item in body["output"] for part in item.get("content", [])]
    assert join(parts, "output_text", "text") == (message["content"] or "")
    assert join(parts, "refusal", "refusal") == (message["refusal"] or "")
    assert join(parts, "reasoning_text", "text") == message.get("reasoning_content", "")
    calls = [item for item in body["output"] if item["type"] == "function_call"]
    functions = [call["function"] for call in message.get("tool_calls", [])]
    said = sorted((call["name"], call["arguments"]) for call in calls)
    assert said == sorted((f["name"], f["arguments"]) for f in functions)
    cut = choice["finish_reason"] in ("length", "content_filter")
    assert body["status"] == ("incomplete" if cut else "completed")


def join(parts: list[Json], kind: str, field: str) -> str:
    return "".join(part[field] for part in parts if part["type"] == kind)


class StreamContract(RuleBasedStateMachine):
    """A writer called in any order, also after its end, as a broken engine or a race would."""

    def __init__(self) -> None:
        super().__init__()
        self.writer = stream_writer(tools=TOOLS)
        self.folder = Folder()
        self.last = ""
        self.ended: str | None = None

    def hear(self, raw: bytes) -> None:
        for event in events(raw):
            self.folder.take(event)
            self.last = event["type"]

    @rule(delta=DELTAS)
    def push(self, delta: Delta) -> None:
        self.hear(self.writer.delta(delta))

    @rule()
    def wait(self) -> None:
        assert self.writer.heartbeat() == (b"" if self.ended else HEARTBEAT)

    @rule(cancelled=st.booleans())
    def close(self, cancelled: bool) -> None:
        self.hear(self.writer.closing(RunEnd(Usage(1, 1), cancelled=cancelled), None))
        self.ended = self.ended or "well"

    @rule()
    def fail(self) -> None:
        self.hear(self.writer.problem(Problem(Code.ENGINE_FAILED, "It broke.")))
        self.ended = self.ended or "badly"

    @invariant()
    def the_end_is_the_last_event(self) -> None:
        assert (self.last in TERMINAL) == (self.ended is not None)
        assert (self.last == "response.failed") == (self.ended == "badly")


class TestStreamContract(StreamContract.TestCase):  # type: ignore[misc, name-defined]
    settings = settings(max_examples=40, stateful_step_count=10, deadline=None)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_a_stream_that_arrives_in_pieces_is_the_same(size: int) -> None:
    writer = stream_writer()
    raw = writer.delta(Delta(text="é\n\n")) + HEARTBEAT + writer.closing(END, RECEIPT)
    pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
    found = [event.json() for event in SSEDecoder().iter_bytes(iter(pieces))]
    assert found == events(raw)


def test_a_stream_of_a_capped_answer_says_so_once() -> None:
    capped = Receipt("req_1f", Outcome.CAP_REACHED, "", Usage(1, 1), 7, "p1", ())
    found = streamed([Delta(text="a")], RunEnd(None, cancelled=True), capped)
    assert ["stopped" in event.get("response", {}) for event in found].count(True) == 1
    response = folded(found)
    checked_body(response)
    assert response["stopped"] == "cap_reached"
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
