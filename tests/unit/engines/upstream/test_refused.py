"""What an upstream's error means for our caller, and what of it may be shown."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.core.codes import Code, Kind
from tokenbooth.core.problem import Problem
from tokenbooth.engines.upstream.refused import MESSAGE_CHARACTERS_MAX, in_stream, refusal
from tokenbooth.engines.upstream.values import UpstreamOptions

OPTIONS = UpstreamOptions("http://far.example:8000/v1", "far-model", key="sk-very-secret")


def refused(status: int, body: object = None, **headers: str) -> Problem:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return refusal(status, named, raw, OPTIONS, "public-name")


def error(message: str = "It is wrong.", **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message, **fields}}


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, Code.INVALID_VALUE),
        (413, Code.INVALID_VALUE),
        (422, Code.INVALID_VALUE),
        (401, Code.UPSTREAM_REJECTED),
        (402, Code.UPSTREAM_REJECTED),
        (403, Code.UPSTREAM_REJECTED),
        (404, Code.UPSTREAM_REJECTED),
        (405, Code.UPSTREAM_REJECTED),
        (307, Code.UPSTREAM_REJECTED),
        (429, Code.ENGINE_BUSY),
        (503, Code.ENGINE_BUSY),
        (529, Code.ENGINE_BUSY),
        (500, Code.ENGINE_FAILED),
        (502, Code.ENGINE_FAILED),
        (504, Code.ENGINE_FAILED),
        (204, Code.ENGINE_FAILED),
        (599, Code.ENGINE_FAILED),
    ],
)
def test_each_status_has_its_code(status: int, code: Code) -> None:
    problem = refused(status, error())
    assert problem.code is code
    assert str(status) in problem.detail


@given(st.integers(200, 999), st.binary(max_size=40))
def test_any_answer_becomes_a_problem_with_words(status: int, raw: bytes) -> None:
    problem = refused(status, raw)
    assert problem.public
    assert (problem.kind is Kind.INVALID_REQUEST) <= (status in (400, 404, 413, 422))


def test_a_404_about_a_parameter_is_about_the_turn() -> None:
    problem = refused(404, error(param="messages[0].content"))
    assert problem.code is Code.INVALID_VALUE
    assert problem.param == "messages[0].content"


@pytest.mark.parametrize("param", ["model", "stream", "stream_options"])
@pytest.mark.parametrize("status", [400, 404, 422])
def test_what_we_put_in_is_the_operators_to_fix(status: int, param: str) -> None:
    assert refused(status, error(param=param)).code is Code.UPSTREAM_REJECTED


@pytest.mark.parametrize(
    ("param", "kept"),
    [
        ("temperature", "temperature"),
        ("messages[0].role", "messages[0].role"),
        (None, None),
        (5, None),
        ("", None),
        ("a b", None),
        ("x" * 65, None),
        ("<script>", None),
    ],
)
def test_a_param_is_kept_when_it_looks_like_one(param: object, kept: str | None) -> None:
    assert refused(400, error(param=param)).param == kept


@pytest.mark.parametrize(
    "body",
    [
        error("This model's maximum context length is 8192 tokens."),
        error("x", code="context_length_exceeded"),
        error("x", type="exceed_context_size_error"),
        {"message": "the request exceeds the available context size"},
        {"detail": "prompt is too long: 9 tokens"},
        {"error": "input is longer than the context window"},
    ],
)
def test_too_long_prompts_are_recognised(body: object) -> None:
    problem = refused(400, body)
    assert problem.code is Code.CONTEXT_LENGTH_EXCEEDED
    assert problem.param == "messages"


@pytest.mark.parametrize(
    ("param", "kept"),
    [("input_tokens", "messages"), ("messages[2].content", "messages[2].content")],
)
def test_a_prompt_that_is_too_long_is_in_the_messages(param: str, kept: str) -> None:
    problem = refused(400, error("maximum context length is 8 tokens", param=param))
    assert problem.code is Code.CONTEXT_LENGTH_EXCEEDED
    assert problem.param == kept


def test_the_two_numbers_are_kept_where_they_are_told() -> None:
    theirs = error("too long", type="exceed_context_size_error", n_prompt_tokens=90, n_ctx=64)
    assert refused(400, theirs).facts == {"input_tokens": 90, "context_tokens": 64}
    ours = error("too long", code="context_length_exceeded", input_tokens=9, context_tokens=True)
    assert refused(400, ours).facts == {"input_tokens": 9}


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("0", 1),
        ("99999", 3600),
        ("9" * 30, 1),
        ("", 1),
        ("-5", 1),
        ("1.5", 1),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 1),
        ("²", 1),
    ],
)
def test_retry_after_is_whole_seconds_within_bounds(header: str, seconds: int) -> None:
    assert refused(429, None, retry_after=header).retry_after_s == seconds


def test_an_upstream_account_without_money_is_the_operators_to_fix() -> None:
    assert refused(429, error(code="insufficient_quota")).code is Code.UPSTREAM_REJECTED


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (error("temperature is too high"), "temperature is too high"),
        ({"message": "plain"}, "plain"),
        ({"detail": "fast"}, "fast"),
        ({"error": "a string"}, "a string"),
        ({"error": {"detail": "inner"}}, "inner"),
        (error("a\r\n b\x00\x1b[31m c"), "a b [31m c"),
        (error(""), "The model's server refused the call."),
        ({"error": {"message": 5}}, "The model's server refused the call."),
        ({"error": 5}, "The model's server refused the call."),
        ({"detail": [{"msg": "x"}]}, "The model's server refused the call."),
        ([], "The model's server refused the call."),
        (b"<html>", "The model's server refused the call."),
        (b"[" * 100_000, "The model's server refused the call."),
    ],
)
def test_which_words_are_shown(body: object, shown: str) -> None:
    assert refused(400, body).public == shown


def test_long_words_are_cut() -> None:
    public = refused(400, error("x" * 100_000)).public
    assert len(public) == MESSAGE_CHARACTERS_MAX
    assert public.endswith("…")


def test_the_models_own_name_is_replaced_by_the_public_one() -> None:
    assert refused(400, error("far-model has no ears")).public == "public-name has no ears"


SECRETS = ("sk-very-secret", "far.example:8000", "far.example", "http://far.example:8000/v1")


@given(
    st.lists(st.sampled_from([*SECRETS, "https://other.example/x?key=1", "text", " ", "\n"])),
    st.sampled_from([400, 404, 413, 422, 401, 429, 500]),
)
def test_key_and_address_never_leak(words: list[str], status: int) -> None:
    message = " ".join(words)
    for problem in (
        refused(status, error(message, param="messages")),
        in_stream({"message": message, "code": status}, OPTIONS, "public-name"),
    ):
        for secret in (*SECRETS, "other.example"):
            assert secret not in problem.public
            assert secret not in problem.detail


@pytest.mark.parametrize("key", [None, "k", "kk"])
def test_very_short_names_are_left_in_the_words(key: str | None) -> None:
    options = UpstreamOptions("http://f", "mm", key=key)
    raw = json.dumps(error("mm k kk of http://f at f: fork")).encode()
    assert refusal(400, {}, raw, options, "public").public == "mm k kk of … at …: fork"


def test_only_words_about_the_turn_are_shown() -> None:
    for status in (401, 403, 404, 429, 500, 503):
        assert "It is wrong" not in refused(status, error()).public


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"message": "x", "code": 400}, Code.INVALID_VALUE),
        ({"message": "x", "code": 429}, Code.ENGINE_BUSY),
        ({"message": "x", "code": 500}, Code.ENGINE_FAILED),
        ({"message": "x", "code": 200}, Code.ENGINE_FAILED),
        ({"message": "x", "code": "weird"}, Code.ENGINE_FAILED),
        ({"message": "x", "type": "invalid_request_error"}, Code.INVALID_VALUE),
        ({"message": "x", "code": "context_length_exceeded"}, Code.CONTEXT_LENGTH_EXCEEDED),
        ({"message": "x", "type": "server_error"}, Code.ENGINE_FAILED),
        ({}, Code.ENGINE_FAILED),
        ("text", Code.ENGINE_FAILED),
        (None, Code.ENGINE_FAILED),
        (5, Code.ENGINE_FAILED),
    ],
)
def test_errors_inside_a_stream(body: object, code: Code) -> None:
    assert in_stream(body, OPTIONS, "public-name").code is code
