"""A stream that stopped anywhere stands as the client that read it would say."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.responses import END, FRAME, RECEIPT, Folder, ask, checked_body, events
from tests.unit.protocols.openai_responses.test_fold import DELTAS, TOOLS
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, FinishReason, ToolCallDelta
from tokenbooth.core.problem import Problem
from tokenbooth.protocols.openai_responses import OPENAI_RESPONSES
from tokenbooth.protocols.openai_responses.memory import final_of, running
from tokenbooth.protocols.openai_responses.standing import (
    begun,
    cancelled,
    cut,
    failed,
    refused,
    split,
    standing,
    terminal_event,
)
from tokenbooth.protocols.wire_json import encode

FIELDS: dict[str, Any] = {"background": True, "tools": TOOLS, "top_logprobs": 1}
EVERYTHING = [
    Delta(reasoning="hm "),
    Delta(reasoning="so"),
    Delta(text="first "),
    Delta(text="second"),
    Delta(refusal="no "),
    Delta(refusal="more"),
    Delta(tool_call=ToolCallDelta(0, '{"a"', "c1", "f")),
    Delta(tool_call=ToolCallDelta(0, ":1}")),
    Delta(tool_call=ToolCallDelta(1, '{"input":"x"}', "c2", "p")),
    Delta(finish=FinishReason.TOOL_CALLS),
]


def streamed(deltas: list[Delta], **fields: Any) -> list[bytes]:
    parsed = ask(**{**FIELDS, **fields})
    assert parsed.stream
    writer = OPENAI_RESPONSES.writer(parsed, FRAME)
    said = b"".join(map(writer.delta, deltas)) + writer.closing(END, RECEIPT)
    return split(said)


def as_read(told: list[bytes]) -> list[Any]:
    """The items that a client has after these events."""
    folder = Folder()
    for event in events(b"".join(told)):
        folder.take(event)
    items: list[Any] = json.loads(json.dumps(folder._items))
    for item in items:
        if item["status"] == "in_progress":
            item["status"] = "incomplete"
    return items


BEGUN = begun(ask(**FIELDS), FRAME.request_id, FRAME.created_s)


def test_before_it_runs_it_is_queued_and_complete() -> None:
    checked_body(BEGUN)
    assert (BEGUN["status"], BEGUN["background"], BEGUN["output"]) == ("queued", True, [])
    assert json.loads(running(json.dumps(BEGUN).encode()))["status"] == "in_progress"
    assert standing(dict(BEGUN), []) == BEGUN


@pytest.mark.parametrize("summary", [None, "auto"])
def test_after_every_event_it_stands_as_a_client_has_read_it(summary: str | None) -> None:
    told = streamed(EVERYTHING, reasoning={"summary": summary})
    for count in range(2, len(told)):
        stands = standing(dict(BEGUN), told[:count])
        assert stands["output"] == as_read(told[:count])
        checked_body(stands)


def test_after_the_last_event_it_is_the_whole_response() -> None:
    told = streamed(EVERYTHING)
    assert standing(dict(BEGUN), told) == final_of(told[-1])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(DELTAS, max_size=12), st.data())
def test_any_stream_may_stop_anywhere(deltas: list[Delta], data: Any) -> None:
    told = streamed(deltas)
    count = data.draw(st.integers(0, len(told) - 1))
    stands = standing(dict(BEGUN), told[:count])
    assert stands["output"] == as_read(told[:count])
    assert [split(event) for event in told] == [[event] for event in told]


def test_comments_are_no_events() -> None:
    told = streamed(EVERYTHING)
    assert split(b": keep-alive\n\n" + b": keep-alive\n\n".join(told)) == told
    assert split(b": keep-alive\n\n") == []


@pytest.mark.parametrize("receipt", [None, RECEIPT])
def test_ends_that_no_writer_told_are_complete_and_end_the_stream(receipt: Any) -> None:
    told = streamed(EVERYTHING)[:9]
    stands = standing(dict(BEGUN), told)
    problem = Problem(Code.SHUTTING_DOWN, "stopped")
    error = OPENAI_RESPONSES.refusal(Problem(Code.ENGINE_FAILED, "broke"), "req_1f")
    ends = {
        "cancelled": cancelled(stands, receipt),
        "incomplete": cut(stands, receipt),
        "failed": failed(stands, problem, "req_1f"),
    }
    ends["refused"] = refused(BEGUN, 502, error.body)
    for name, end in ends.items():
        checked_body(end)
        assert end["status"] == ("failed" if name == "refused" else name)
        said = events(b"".join([*told, terminal_event(end, len(told))]))
        assert said[-1]["sequence_number"] == len(told)
        assert said[-1]["response"] == json.loads(encode(end))
    assert ends["cancelled"]["usage"] == ends["incomplete"]["usage"]
    assert (ends["cancelled"]["usage"] is None) == (receipt is None)


@pytest.mark.parametrize(("status", "code"), [(400, "invalid_prompt"), (503, "server_error")])
def test_a_refusal_keeps_the_code_of_the_booth(status: int, code: str) -> None:
    answer = OPENAI_RESPONSES.refusal(Problem(Code.ENGINE_FAILED, "broke"), "req_1f")
    error = refused(BEGUN, status, answer.body)["error"]
    assert (error["code"], error["tokenbooth_code"]) == (code, "engine_failed")
    assert error["message"] == "broke"
