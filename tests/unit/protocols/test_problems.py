"""Kinds on the wire: status, type, body and retry headers."""

import json

import pytest

from tokenbooth.core.codes import Code, Kind
from tokenbooth.core.problem import Problem
from tokenbooth.protocols.problems import (
    OPENAI,
    OWN,
    error_body,
    openai_refusal,
    own_refusal,
    retryable,
    status_of,
)

STATUSES = {
    Kind.INVALID_REQUEST: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.PAYMENT_REQUIRED: 429,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.TOO_LARGE: 413,
    Kind.RATE_LIMITED: 429,
    Kind.BLOCKED: 400,
    Kind.OVERLOADED: 503,
    Kind.UPSTREAM_FAILED: 502,
    Kind.TIMEOUT: 504,
    Kind.UNSUPPORTED: 400,
    Kind.INTERNAL: 500,
}


@pytest.mark.parametrize("kind", list(Kind))
def test_each_kind_has_its_status(kind: Kind) -> None:
    assert OPENAI[kind].status == STATUSES[kind]
    assert OWN[kind].status == (402 if kind is Kind.PAYMENT_REQUIRED else STATUSES[kind])


@pytest.mark.parametrize("code", list(Code))
def test_only_our_own_faults_are_5xx(code: Code) -> None:
    ours = {Kind.OVERLOADED, Kind.UPSTREAM_FAILED, Kind.TIMEOUT, Kind.INTERNAL}
    assert (status_of(code) >= 500) == (code.kind in ours)
    assert (status_of(code, OWN) >= 500) == (code.kind in ours)


def test_body_has_every_field() -> None:
    problem = Problem(
        Code.CONTEXT_LENGTH_EXCEEDED,
        "Too long.",
        param="messages",
        detail="secret",
        facts={"input_tokens": 9000, "context_tokens": 8192, "code": "forged"},
    )
    answer = openai_refusal(problem, "req_1")
    assert answer.status == 400
    assert answer.headers == (("content-type", "application/json"),)
    assert json.loads(answer.body) == {
        "error": {
            "message": "Too long.",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "context_length_exceeded",
            "request_id": "req_1",
            "input_tokens": 9000,
            "context_tokens": 8192,
        }
    }


def test_empty_balance_differs_by_audience_and_is_never_retried() -> None:
    problem = Problem(Code.BALANCE_EXHAUSTED, "Empty.", facts={"needed_nano": 5})
    chat, own = openai_refusal(problem, "r"), own_refusal(problem, "r")
    assert (chat.status, own.status) == (429, 402)
    assert json.loads(chat.body)["error"]["type"] == "insufficient_quota"
    assert json.loads(own.body)["error"]["type"] == "payment_required_error"
    for answer in (chat, own):
        assert ("x-should-retry", "false") in answer.headers
        assert json.loads(answer.body)["error"]["needed_nano"] == 5


def test_rate_limit_says_when_to_retry() -> None:
    answer = openai_refusal(Problem(Code.RATE_LIMITED, "Slow.", retry_after_s=7), "r")
    headers = dict(answer.headers)
    assert answer.status == 429
    assert headers["retry-after"] == "7"
    assert "x-should-retry" not in headers


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (Code.RATE_LIMITED, True),
        (Code.ENGINE_BUSY, True),
        (Code.ENGINE_FAILED, True),
        (Code.INTERNAL, True),
        (Code.UPSTREAM_REJECTED, False),
        (Code.RUN_TIMEOUT, False),
        (Code.STATE_CONFLICT, False),
        (Code.CAP_REACHED, False),
    ],
)
def test_what_may_be_retried(code: Code, expected: bool) -> None:
    assert retryable(code) is expected
    headers = dict(openai_refusal(Problem(code, "x"), "r").headers)
    assert ("x-should-retry" in headers) is not expected


def test_unauthenticated_names_the_scheme() -> None:
    answer = openai_refusal(Problem(Code.MISSING_KEY, "No key."), "r")
    assert answer.status == 401
    assert ("www-authenticate", "Bearer") in answer.headers


def test_unknown_method_is_405_with_the_known_ones() -> None:
    known = own_refusal(Problem(Code.METHOD_NOT_ALLOWED, "No.", facts={"allow": "GET"}), "r")
    assert known.status == 405
    assert ("allow", "GET") in known.headers
    bare = own_refusal(Problem(Code.METHOD_NOT_ALLOWED, "No."), "r")
    assert "allow" not in dict(bare.headers)
    other = own_refusal(Problem(Code.PATH_NOT_FOUND, "No.", facts={"allow": "GET"}), "r")
    assert other.status == 404
    assert "allow" not in dict(other.headers)


def test_broken_text_still_encodes() -> None:
    body = error_body(Problem(Code.INVALID_VALUE, "bad \ud800", param="\udfff"), "r")
    assert json.loads(body)["error"]["param"] == "\udfff"
