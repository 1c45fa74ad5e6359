"""What an engine says is the same answer in every dialect, whole and streamed."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.messages_stream import folded as folded_message
from tests.support.responses import events, folded
from tokenbooth.boot import DIALECTS
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, FinishReason, RunEnd, ToolCallDelta, Usage
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome, Receipt
from tokenbooth.protocols.anthropic_messages import ANTHROPIC_MESSAGES
from tokenbooth.protocols.dialect import AnswerFrame, Dialect
from tokenbooth.protocols.openai_chat import OPENAI_CHAT
from tokenbooth.protocols.openai_completions import OPENAI_COMPLETIONS
from tokenbooth.protocols.openai_embeddings import OPENAI_EMBEDDINGS
from tokenbooth.protocols.openai_responses import OPENAI_RESPONSES

FRAME = AnswerFrame("req_1", 1_700_000_000, "m")
USAGE = Usage(7, 5, 2, 1)
RECEIPT = Receipt("req_1", Outcome.COMPLETED, "stop", USAGE, 9, "p1", ())
HI = [{"role": "user", "content": "hi"}]
BODIES: dict[Dialect, dict[str, Any]] = {
    OPENAI_CHAT: {"model": "m", "messages": HI, "stream_options": {"include_usage": True}},
    OPENAI_RESPONSES: {"model": "m", "input": HI},
    ANTHROPIC_MESSAGES: {"model": "m", "messages": HI, "max_tokens": 99},
}
Said = dict[str, Any]

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
SPOKEN = st.builds(Delta, text=TEXTS, reasoning=TEXTS)
CALLS = st.lists(
    st.tuples(st.sampled_from(["f", "g"]), st.sampled_from(["{}", '{"a":1}', '{"b":[]}'])),
    max_size=3,
)


def written(dialect: Dialect, deltas: list[Delta], end: RunEnd, *, stream: bool) -> bytes:
    body = {**BODIES[dialect], "stream": stream}
    if not stream:
        body.pop("stream_options", None)
    writer = dialect.writer(dialect.parse(json.dumps(body).encode()), FRAME)
    return b"".join(map(writer.delta, deltas)) + writer.closing(end, RECEIPT)


def chat(body: Said) -> Said:
    message = body["choices"][0]["message"]
    calls = [call["function"] for call in message.get("tool_calls", [])]
    return {
        "text": message["content"] or "",
        "reasoning": message.get("reasoning_content", ""),
        "calls": [(call["name"], json.loads(call["arguments"])) for call in calls],
        "cut": body["choices"][0]["finish_reason"] == "length",
        "cost": body["usage"]["cost"],
        "output_tokens": body["usage"]["completion_tokens"],
    }


def response(body: Said) -> Said:
    parts = [part for item in body["output"] for part in item.get("content", [])]
    calls = [item for item in body["output"] if item["type"] == "function_call"]
    return {
        "text": "".join(part["text"] for part in parts if part["type"] == "output_text"),
        "reasoning": "".join(part["text"] for part in parts if part["type"] == "reasoning_text"),
        "calls": [(call["name"], json.loads(call["arguments"])) for call in calls],
        "cut": body["status"] == "incomplete",
        "cost": body["usage"]["cost"],
        "output_tokens": body["usage"]["output_tokens"],
    }


def message(body: Said) -> Said:
    blocks = body["content"]
    return {
        "text": "".join(block["text"] for block in blocks if block["type"] == "text"),
        "reasoning": "".join(block["thinking"] for block in blocks if block["type"] == "thinking"),
        "calls": [(b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"],
        "cut": body["stop_reason"] == "max_tokens",
        "cost": body["usage"]["cost"],
        "output_tokens": body["usage"]["output_tokens"],
    }


@settings(max_examples=150, deadline=None)
@given(st.lists(SPOKEN, max_size=6), CALLS, st.booleans())
def test_every_dialect_tells_the_same(
    spoken: list[Delta], calls: list[tuple[str, str]], cancelled: bool
) -> None:
    deltas = list(spoken)
    for place, (name, arguments) in enumerate(calls):
        deltas.append(Delta(tool_call=ToolCallDelta(place, "", f"c{place}", name)))
        deltas += [Delta(tool_call=ToolCallDelta(place, piece)) for piece in arguments]
    end = RunEnd(USAGE, cancelled=cancelled)
    whole = {d: json.loads(written(d, deltas, end, stream=False)) for d in BODIES}
    told = [
        chat(whole[OPENAI_CHAT]),
        response(whole[OPENAI_RESPONSES]),
        response(folded(events(written(OPENAI_RESPONSES, deltas, end, stream=True)))),
        message(whole[ANTHROPIC_MESSAGES]),
        message(folded_message(written(ANTHROPIC_MESSAGES, deltas, end, stream=True))),
    ]
    assert all(one == told[0] for one in told[1:]), told


def test_every_dialect_is_compared() -> None:
    """Text completions know neither tools nor reasoning, and embeddings say nothing."""
    assert {*BODIES, OPENAI_COMPLETIONS, OPENAI_EMBEDDINGS} == set(DIALECTS.values())


@pytest.mark.parametrize(
    "code", [Code.ENGINE_FAILED, Code.RUN_TIMEOUT, Code.SHUTTING_DOWN, Code.INTERNAL]
)
def test_a_failure_has_the_same_code_in_band_as_before_the_start(code: Code) -> None:
    problem = Problem(code, "It broke.")
    for dialect, fields in BODIES.items():
        parsed = dialect.parse(json.dumps({**fields, "stream": True}).encode())
        writer = dialect.writer(parsed, FRAME)
        raw = writer.delta(Delta(text="a", finish=FinishReason.STOP)) + writer.problem(problem)
        before = json.loads(dialect.refusal(problem, "req_1").body)["error"]
        last = json.loads(raw.rpartition(b"data: ")[2])
        error = last["response"]["error"] if "response" in last else last["error"]
        assert before["code"] == code.text
        assert error.get("tokenbooth_code", error["code"]) == code.text, dialect.name
        assert error["message"] == before["message"]
        assert error["type"] == before["type"]
