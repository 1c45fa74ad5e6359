"""Kinds on the wire: status, type, body and retry headers."""

import json

import pytest

from tokenbooth.core.codes import Code, Kind
from tokenbooth.core.problem import Problem
from tokenbooth.protocols.problems import (
    ANTHROPIC,
    OPENAI,
    OWN,
    REFUSALS,
    anthropic_refusal,
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
    assert (status_of(code, ANTHROPIC) >= 500) == (code.kind in ours)


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


@pytest.mark.parametrize(
    "code", [Code.BALANCE_EXHAUSTED, Code.CAP_REACHED, Code.OUTPUT_UNAFFORDABLE]
)
def test_missing_money_differs_by_audience_and_is_not_retried(code: Code) -> None:
    problem = Problem(code, "Empty.", facts={"needed_nano": 5})
    answers = {name: refusal_of(problem, "r") for name, refusal_of in REFUSALS.items()}
    assert {name: answer.status for name, answer in answers.items()} == {
        "openai": 429,
        "anthropic": 400,
        "own": 402,
    }
    types = {
        "openai": "insufficient_quota",
        "anthropic": "invalid_request_error",
        "own": "payment_required_error",
    }
    for name, answer in answers.items():
        assert ("x-should-retry", "false") in answer.headers
        error = json.loads(answer.body)["error"]
        assert (error["type"], error["code"]) == (types[name], code.text)
        assert error["needed_nano"] == 5


@pytest.mark.parametrize("audience", list(REFUSALS))
def test_money_that_running_calls_hold_is_worth_a_retry(audience: str) -> None:
    held = Problem(Code.CAP_REACHED, "Held.", retry_after_s=1)
    headers = dict(REFUSALS[audience](held, "r").headers)
    assert headers["x-should-retry"] == "true"
    assert headers["retry-after"] == "1"


@pytest.mark.parametrize("audience", list(REFUSALS))
def test_a_claimed_idempotency_key_is_retried_only_while_its_call_runs(audience: str) -> None:
    running = Problem(Code.IDEMPOTENCY_RUNNING, "Running.", retry_after_s=1)
    answer = REFUSALS[audience](running, "r")
    headers = dict(answer.headers)
    assert (answer.status, headers["x-should-retry"], headers["retry-after"]) == (409, "true", "1")
    over = REFUSALS[audience](Problem(Code.REPLAY_UNAVAILABLE, "Over."), "r")
    assert (over.status, dict(over.headers)["x-should-retry"]) == (409, "false")


@pytest.mark.parametrize("audience", list(REFUSALS))
def test_another_body_under_the_same_key_is_422(audience: str) -> None:
    answer = REFUSALS[audience](Problem(Code.IDEMPOTENCY_MISMATCH, "Another."), "r")
    assert answer.status == 422
    assert json.loads(answer.body)["error"]["type"] == "invalid_request_error"


def test_the_anthropic_body_names_the_limit_and_the_remedy_in_its_message() -> None:
    problem = Problem(
        Code.CAP_REACHED,
        "The key's hard cap has 0.1 left.",
        param="model",
        facts={"limit_source": "key", "remedy": "Raise it.", "type": "forged", "message": "no"},
    )
    answer = anthropic_refusal(problem, "req_1")
    assert answer.status == 400
    assert json.loads(answer.body) == {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "The key's hard cap has 0.1 left. Raise it.",
            "param": "model",
            "code": "spend_limit_reached",
            "limit_source": "key",
            "remedy": "Raise it.",
        },
        "request_id": "req_1",
    }


EXACT_STATUSES = {Code.METHOD_NOT_ALLOWED: 405, Code.IDEMPOTENCY_MISMATCH: 422}
ANTHROPIC_WIRE = {
    Kind.INVALID_REQUEST: (400, "invalid_request_error"),
    Kind.UNAUTHENTICATED: (401, "authentication_error"),
    Kind.PAYMENT_REQUIRED: (400, "invalid_request_error"),
    Kind.FORBIDDEN: (403, "permission_error"),
    Kind.NOT_FOUND: (404, "not_found_error"),
    Kind.CONFLICT: (409, "invalid_request_error"),
    Kind.TOO_LARGE: (413, "request_too_large"),
    Kind.RATE_LIMITED: (429, "rate_limit_error"),
    Kind.BLOCKED: (400, "invalid_request_error"),
    Kind.OVERLOADED: (529, "overloaded_error"),
    Kind.UPSTREAM_FAILED: (502, "api_error"),
    Kind.TIMEOUT: (504, "timeout_error"),
    Kind.UNSUPPORTED: (400, "invalid_request_error"),
    Kind.INTERNAL: (500, "api_error"),
}


@pytest.mark.parametrize("code", list(Code))
def test_every_code_has_its_answer_in_the_anthropic_dialect(code: Code) -> None:
    answer = anthropic_refusal(Problem(code, "Something."), "req_1")
    status, kind = ANTHROPIC_WIRE[code.kind]
    assert answer.status == EXACT_STATUSES.get(code, status)
    document = json.loads(answer.body)
    assert document["type"] == "error"
    assert document["error"]["type"] == kind
    assert document["error"]["message"] == "Something."
    assert document["request_id"] == "req_1"


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
        (Code.MISSING_KEY, False),
    ],
)
def test_what_may_be_retried(code: Code, expected: bool) -> None:
    problem = Problem(code, "x")
    assert retryable(problem) is expected
    headers = dict(openai_refusal(problem, "r").headers)
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
