"""What is refused, by which code, and that ``param`` points at it."""

import json
from typing import Any

import pytest

from tests.support.messages_body import HI, LOOK, parse, said, text
from tokenbooth.core.codes import Code, Kind
from tokenbooth.core.problem import Problem
from tokenbooth.protocols.anthropic_messages import ANTHROPIC_MESSAGES

RESULT = {"type": "tool_result", "tool_use_id": "t1"}
USE = {"type": "tool_use", "id": "t1", "name": "look", "input": {}}


def refused(**fields: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        parse(**fields)
    return caught.value


def image(**source: Any) -> dict[str, Any]:
    return {"messages": [said("user", {"type": "image", "source": source})]}


def document(**source: Any) -> dict[str, Any]:
    return {"messages": [said("user", {"type": "document", "source": source})]}


def block(role: str, **fields: Any) -> dict[str, Any]:
    return {"messages": [said(role, fields)]}


AT = "messages[0].content[0]"


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"model": None}, Code.WRONG_TYPE, "model"),
        ({"model": ""}, Code.INVALID_VALUE, "model"),
        ({"model": 3}, Code.WRONG_TYPE, "model"),
        ({"messages": None}, Code.WRONG_TYPE, "messages"),
        ({"messages": []}, Code.INVALID_VALUE, "messages"),
        ({"messages": [said("user")]}, Code.INVALID_VALUE, "messages"),
        ({"messages": HI}, Code.WRONG_TYPE, "messages"),
        ({"messages": ["hi"]}, Code.WRONG_TYPE, "messages[0]"),
        ({"messages": [{"content": "x"}]}, Code.MISSING_FIELD, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, Code.MISSING_FIELD, "messages[0].content"),
        ({"messages": [said("tool")]}, Code.INVALID_VALUE, "messages[0].role"),
        ({"messages": [{**HI, "content": 1}]}, Code.WRONG_TYPE, "messages[0].content"),
        ({"messages": [said("user", 1)]}, Code.WRONG_TYPE, AT),
        (block("user"), Code.MISSING_FIELD, f"{AT}.type"),
        (block("user", type=None), Code.MISSING_FIELD, f"{AT}.type"),
        (block("user", type=7), Code.WRONG_TYPE, f"{AT}.type"),
        (block("user", type="text"), Code.MISSING_FIELD, f"{AT}.text"),
        (block("user", type="text", text=1), Code.WRONG_TYPE, f"{AT}.text"),
        (block("user", **USE), Code.UNSUPPORTED_FEATURE, f"{AT}.type"),
        (block("user", type="thinking", thinking=""), Code.UNSUPPORTED_FEATURE, f"{AT}.type"),
        (block("assistant", **RESULT), Code.UNSUPPORTED_FEATURE, f"{AT}.type"),
        (block("assistant", type="image"), Code.UNSUPPORTED_FEATURE, f"{AT}.type"),
        (block("assistant", type="thinking"), Code.MISSING_FIELD, f"{AT}.thinking"),
        (block("assistant", **{**USE, "input": "{}"}), Code.WRONG_TYPE, f"{AT}.input"),
        (block("assistant", **{**USE, "id": ""}), Code.INVALID_VALUE, f"{AT}.id"),
        (block("assistant", **{**USE, "name": None}), Code.WRONG_TYPE, f"{AT}.name"),
        (block("user", type="tool_result"), Code.MISSING_FIELD, f"{AT}.tool_use_id"),
        (block("user", **RESULT, content=[7]), Code.WRONG_TYPE, f"{AT}.content[0]"),
        (block("user", **RESULT, is_error="no"), Code.WRONG_TYPE, f"{AT}.is_error"),
        (block("user", type="image"), Code.MISSING_FIELD, f"{AT}.source"),
        (image(type="file", file_id="../f"), Code.INVALID_VALUE, f"{AT}.source.file_id"),
        (image(type="disk"), Code.INVALID_VALUE, f"{AT}.source.type"),
        (image(type="url", url="ftp://x/y.png"), Code.INVALID_VALUE, f"{AT}.source.url"),
        (image(type="url", url="file:///etc/x"), Code.INVALID_VALUE, f"{AT}.source.url"),
        (
            image(type="base64", media_type="image/svg+xml", data="AAAA"),
            Code.INVALID_VALUE,
            f"{AT}.source.media_type",
        ),
        (
            image(type="base64", media_type="image/png", data="!"),
            Code.INVALID_VALUE,
            f"{AT}.source.data",
        ),
        (
            document(type="base64", media_type="application/msword", data="AA"),
            Code.INVALID_VALUE,
            f"{AT}.source.media_type",
        ),
        (document(type="url", url="data:,x"), Code.INVALID_VALUE, f"{AT}.source.url"),
        (document(type="file"), Code.MISSING_FIELD, f"{AT}.source.file_id"),
        (
            document(type="text", media_type="text/html", data="x"),
            Code.INVALID_VALUE,
            f"{AT}.source.media_type",
        ),
        ({"system": 1}, Code.WRONG_TYPE, "system"),
        ({"system": ["x"]}, Code.WRONG_TYPE, "system[0]"),
        ({"max_tokens": 0}, Code.INVALID_VALUE, "max_tokens"),
        ({"max_tokens": 1.5}, Code.WRONG_TYPE, "max_tokens"),
        ({"max_tokens": True}, Code.WRONG_TYPE, "max_tokens"),
        ({"max_tokens": 2**31}, Code.INVALID_VALUE, "max_tokens"),
        ({"temperature": 1.1}, Code.INVALID_VALUE, "temperature"),
        ({"top_p": 0}, Code.INVALID_VALUE, "top_p"),
        ({"top_k": -1}, Code.INVALID_VALUE, "top_k"),
        ({"stream": "yes"}, Code.WRONG_TYPE, "stream"),
        ({"stop_sequences": "END"}, Code.WRONG_TYPE, "stop_sequences"),
        ({"stop_sequences": [""]}, Code.INVALID_VALUE, "stop_sequences[0]"),
        ({"stop_sequences": ["x"] * 17}, Code.INVALID_VALUE, "stop_sequences"),
        ({"metadata": {"user_id": "u" * 257}}, Code.INVALID_VALUE, "metadata.user_id"),
        ({"service_tier": "fast"}, Code.INVALID_VALUE, "service_tier"),
        ({"thinking": {}}, Code.MISSING_FIELD, "thinking.type"),
        ({"thinking": {"type": "enabled"}}, Code.MISSING_FIELD, "thinking.budget_tokens"),
        ({"thinking": "on"}, Code.WRONG_TYPE, "thinking"),
        ({"output_config": {"effort": "extreme"}}, Code.INVALID_VALUE, "output_config.effort"),
        (
            {"output_config": {"format": {"type": "json_schema"}}},
            Code.MISSING_FIELD,
            "output_config.format.schema",
        ),
        ({"output_format": {"type": "text"}}, Code.INVALID_VALUE, "output_format.type"),
        ({"tools": [{"input_schema": {}}]}, Code.MISSING_FIELD, "tools[0].name"),
        ({"tools": [{"name": "a"}]}, Code.MISSING_FIELD, "tools[0].input_schema"),
        ({"tools": [{**LOOK, "name": "a b"}]}, Code.INVALID_VALUE, "tools[0].name"),
        ({"tools": [LOOK, LOOK]}, Code.INVALID_VALUE, "tools[1].name"),
        ({"tools": [{**LOOK, "type": 1}]}, Code.WRONG_TYPE, "tools[0].type"),
        ({"tool_choice": {"type": "any"}}, Code.INVALID_VALUE, "tool_choice"),
        ({"tool_choice": "auto"}, Code.WRONG_TYPE, "tool_choice"),
        ({"tool_choice": {"type": "some"}}, Code.INVALID_VALUE, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, Code.MISSING_FIELD, "tool_choice.name"),
        (
            {"tools": [LOOK], "tool_choice": {"type": "tool", "name": "go"}},
            Code.INVALID_VALUE,
            "tool_choice",
        ),
        ({"thread": {"type": "create"}}, Code.UNSUPPORTED_FEATURE, "thread"),
        ({"compaction": {"type": "enabled"}}, Code.UNSUPPORTED_FEATURE, "compaction"),
    ],
)
def test_a_refusal_names_its_place(fields: dict[str, Any], code: Code, param: str) -> None:
    problem = refused(**fields)
    assert (problem.code, problem.param) == (code, param)
    assert problem.kind in (Kind.INVALID_REQUEST, Kind.UNSUPPORTED)


def test_a_tool_that_was_left_out_cannot_be_chosen() -> None:
    hosted = {"type": "web_search_20250305", "name": "web_search"}
    chosen = refused(tools=[hosted], tool_choice={"type": "tool", "name": "web_search"})
    assert chosen.param == "tool_choice"
    assert refused(tools=[hosted], tool_choice={"type": "any"}).param == "tool_choice"


def test_a_schema_has_a_bound() -> None:
    large = {"type": "object", "description": "x" * 256 * 1024}
    assert refused(tools=[{**LOOK, "input_schema": large}]).param == "tools[0].input_schema"


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"\xff", b'{"a":1,"a":2}', b"[" * 10_000])
def test_what_is_no_object_is_refused_as_malformed(raw: bytes) -> None:
    with pytest.raises(Problem) as caught:
        ANTHROPIC_MESSAGES.parse(raw)
    assert caught.value.code is Code.MALFORMED_JSON


def test_a_refusal_on_the_wire() -> None:
    problem = refused(messages=[said("user", text("a"), {"type": "text"})])
    answer = ANTHROPIC_MESSAGES.refusal(problem, "req_9")
    assert answer.status == 400
    assert json.loads(answer.body) == {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "messages[0].content[1].text is required.",
            "param": "messages[0].content[1].text",
            "code": "missing_required_parameter",
        },
        "request_id": "req_9",
    }


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        (Code.INVALID_KEY, 401, "authentication_error"),
        (Code.MODEL_NOT_ALLOWED, 403, "permission_error"),
        (Code.MODEL_NOT_FOUND, 404, "not_found_error"),
        (Code.BODY_TOO_LARGE, 413, "request_too_large"),
        (Code.BALANCE_EXHAUSTED, 400, "invalid_request_error"),
        (Code.CAP_REACHED, 400, "invalid_request_error"),
        (Code.ENGINE_BUSY, 529, "overloaded_error"),
        (Code.ENGINE_FAILED, 502, "api_error"),
        (Code.INTERNAL, 500, "api_error"),
    ],
)
def test_statuses_are_those_that_the_clients_raise_by(code: Code, status: int, kind: str) -> None:
    answer = ANTHROPIC_MESSAGES.refusal(Problem(code, "Why.", retry_after_s=2), "req_9")
    body = json.loads(answer.body)
    assert (answer.status, body["error"]["type"]) == (status, kind)
    assert dict(answer.headers)["retry-after"] == "2"
