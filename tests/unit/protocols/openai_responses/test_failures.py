"""How an answer fails: before it begins, after it, and in which words."""

import json

import pytest

from tests.support.response_items import (
    CUSTOM,
    FUNCTIONS,
    call,
    function,
    message,
    output_of,
    text,
)
from tests.support.responses import (
    events,
    folded,
    stream_writer,
    whole_writer,
)
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta
from tokenbooth.core.problem import Problem
from tokenbooth.protocols.openai_responses import OPENAI_RESPONSES

PROBLEMS = [
    (Code.ENGINE_FAILED, "server_error"),
    (Code.RUN_TIMEOUT, "server_error"),
    (Code.INTERNAL, "server_error"),
    (Code.REVOKED_KEY, "server_error"),
    (Code.BALANCE_EXHAUSTED, "rate_limit_exceeded"),
    (Code.INVALID_VALUE, "invalid_prompt"),
    (Code.CONTENT_BLOCKED, "invalid_prompt"),
    (Code.UNSUPPORTED_FEATURE, "invalid_prompt"),
]


@pytest.mark.parametrize(("code", "published"), PROBLEMS)
def test_a_failure_after_the_start(code: Code, published: str) -> None:
    writer = stream_writer(tools=FUNCTIONS)
    raw = writer.delta(Delta(text="a")) + writer.delta(call(0, "{", "c", "f"))
    raw += writer.problem(Problem(code, "It broke.", param="messages", facts={"attempt": 1}))
    found = events(raw)
    assert [event["type"] for event in found].count("response.failed") == 1
    assert b"[DONE]" not in raw
    response = folded(found)
    wire = json.loads(OPENAI_RESPONSES.refusal(Problem(code, "x"), "req_1f").body)["error"]
    assert response["error"] == {
        "attempt": 1,
        "code": published,
        "message": "It broke.",
        "type": wire["type"],
        "param": "input",
        "tokenbooth_code": wire["code"],
        "request_id": "req_1f",
    }
    assert output_of(response) == [message([text("a")]), function("f", "c", "{", "incomplete")]


def test_a_failure_before_any_output_still_begins_the_response() -> None:
    found = events(stream_writer().problem(Problem(Code.ENGINE_FAILED, "It broke.")))
    assert [event["type"] for event in found] == [
        "response.created",
        "response.in_progress",
        "response.failed",
    ]
    assert folded(found)["error"]["param"] is None


def test_a_custom_call_that_failed_is_given_as_it_came() -> None:
    writer = stream_writer(tools=CUSTOM)
    raw = writer.delta(call(0, '{"input":"a', "c", "p"))
    raw += writer.problem(Problem(Code.ENGINE_FAILED, "It broke."))
    (item,) = folded(events(raw))["output"]
    assert (item["input"], item["status"]) == ('{"input":"a', "incomplete")


def test_the_failure_of_a_whole_answer_is_the_error_body() -> None:
    writer = whole_writer()
    raw = writer.problem(Problem(Code.ENGINE_FAILED, "It broke.", param="max_completion_tokens"))
    assert json.loads(raw)["error"] == {
        "message": "It broke.",
        "type": "server_error",
        "param": "max_output_tokens",
        "code": "engine_failed",
        "request_id": "req_1f",
    }


@pytest.mark.parametrize(
    ("param", "expected"),
    [
        ("messages", "input"),
        ("max_completion_tokens", "max_output_tokens"),
        ("response_format", "text.format"),
        ("model", "model"),
        (None, None),
    ],
)
def test_a_refusal_names_the_field_as_the_caller_does(
    param: str | None, expected: str | None
) -> None:
    problem = Problem(
        Code.RATE_LIMITED, "Later.", param=param, detail="d", retry_after_s=3, facts={"a": 1}
    )
    answer = OPENAI_RESPONSES.refusal(problem, "req_1")
    error = json.loads(answer.body)["error"]
    assert answer.status == 429
    assert ("retry-after", "3") in answer.headers
    assert (error["param"], error["a"], error["code"]) == (expected, 1, "rate_limit_exceeded")
