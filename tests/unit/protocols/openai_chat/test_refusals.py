"""What is refused, with which code, and where ``param`` points."""

import json
from typing import Any

import pytest

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.protocols.openai_chat import OPENAI_CHAT

HI = {"role": "user", "content": "hi"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
WEATHER = {"type": "function", "function": {"name": "weather"}}


def refused(**fields: Any) -> Problem:
    body = {"model": "m", "messages": [HI], **fields}
    with pytest.raises(Problem) as caught:
        OPENAI_CHAT.parse(json.dumps(body).encode())
    return caught.value


def test_absent_fields_are_missing() -> None:
    for name in ("model", "messages"):
        body = {"model": "m", "messages": [HI]}
        del body[name]
        with pytest.raises(Problem) as caught:
            OPENAI_CHAT.parse(json.dumps(body).encode())
        assert (caught.value.code, caught.value.param) == (Code.MISSING_FIELD, name)


WRONG: list[tuple[str, Any, Code, str]] = [
    ("model", "", Code.INVALID_VALUE, "model"),
    ("model", "m" * 257, Code.INVALID_VALUE, "model"),
    ("model", None, Code.WRONG_TYPE, "model"),
    ("messages", [], Code.INVALID_VALUE, "messages"),
    ("messages", "hi", Code.WRONG_TYPE, "messages"),
    ("messages", [HI] * 4097, Code.INVALID_VALUE, "messages"),
    ("temperature", 2.01, Code.INVALID_VALUE, "temperature"),
    ("temperature", -0.1, Code.INVALID_VALUE, "temperature"),
    ("temperature", True, Code.WRONG_TYPE, "temperature"),
    ("temperature", "1", Code.WRONG_TYPE, "temperature"),
    ("top_p", 0, Code.INVALID_VALUE, "top_p"),
    ("top_p", 1.1, Code.INVALID_VALUE, "top_p"),
    ("presence_penalty", 2.1, Code.INVALID_VALUE, "presence_penalty"),
    ("frequency_penalty", -2.1, Code.INVALID_VALUE, "frequency_penalty"),
    ("n", 0, Code.INVALID_VALUE, "n"),
    ("n", 9, Code.INVALID_VALUE, "n"),
    ("n", True, Code.WRONG_TYPE, "n"),
    ("n", 1.5, Code.WRONG_TYPE, "n"),
    ("max_tokens", 0, Code.INVALID_VALUE, "max_tokens"),
    ("max_tokens", -1, Code.INVALID_VALUE, "max_tokens"),
    ("max_completion_tokens", 2**31, Code.INVALID_VALUE, "max_completion_tokens"),
    ("seed", 2**63, Code.INVALID_VALUE, "seed"),
    ("seed", 1.5, Code.WRONG_TYPE, "seed"),
    ("stop", ["a"] * 5, Code.INVALID_VALUE, "stop"),
    ("stop", "", Code.INVALID_VALUE, "stop"),
    ("stop", ["a", 1], Code.WRONG_TYPE, "stop[1]"),
    ("stop", 1, Code.WRONG_TYPE, "stop"),
    ("logit_bias", {"x": 1}, Code.INVALID_VALUE, "logit_bias"),
    ("logit_bias", {"1": 101}, Code.INVALID_VALUE, "logit_bias.1"),
    ("logit_bias", {"1": True}, Code.WRONG_TYPE, "logit_bias.1"),
    ("logprobs", 1, Code.WRONG_TYPE, "logprobs"),
    ("top_logprobs", 21, Code.INVALID_VALUE, "top_logprobs"),
    ("top_logprobs", 1, Code.INVALID_VALUE, "top_logprobs"),
    ("stream", "true", Code.WRONG_TYPE, "stream"),
    ("stream_options", {"include_usage": 1}, Code.WRONG_TYPE, "stream_options.include_usage"),
    ("reasoning_effort", "huge", Code.INVALID_VALUE, "reasoning_effort"),
    ("verbosity", "loud", Code.INVALID_VALUE, "verbosity"),
    ("user", "u" * 257, Code.INVALID_VALUE, "user"),
    ("safety_identifier", 7, Code.WRONG_TYPE, "safety_identifier"),
    ("metadata", {"user_id": 7}, Code.WRONG_TYPE, "metadata.user_id"),
    ("metadata", "m", Code.WRONG_TYPE, "metadata"),
    ("store", "yes", Code.WRONG_TYPE, "store"),
    ("service_tier", "gold", Code.INVALID_VALUE, "service_tier"),
    ("service_tier", "batch", Code.INVALID_VALUE, "service_tier"),
    ("service_tier", "scale", Code.UNSUPPORTED_FEATURE, "service_tier"),
    ("service_tier", 1, Code.WRONG_TYPE, "service_tier"),
    ("modalities", ["text", "audio"], Code.INVALID_VALUE, "modalities"),
    ("modalities", ["audio"], Code.UNSUPPORTED_FEATURE, "modalities[0]"),
    ("audio", {"voice": "v", "format": "wav"}, Code.UNSUPPORTED_FEATURE, "audio"),
    ("web_search_options", {}, Code.UNSUPPORTED_FEATURE, "web_search_options"),
    ("moderation", {"model": "m"}, Code.UNSUPPORTED_FEATURE, "moderation"),
    ("response_format", {"type": "yaml"}, Code.INVALID_VALUE, "response_format.type"),
    ("response_format", {"type": "json_schema"}, Code.MISSING_FIELD, "response_format.json_schema"),
    (
        "response_format",
        {"type": "json_schema", "json_schema": {"name": "n"}},
        Code.MISSING_FIELD,
        "response_format.json_schema.schema",
    ),
    (
        "response_format",
        {"type": "json_schema", "json_schema": {"name": "n", "schema": []}},
        Code.WRONG_TYPE,
        "response_format.json_schema.schema",
    ),
    (
        "response_format",
        {"type": "json_schema", "json_schema": {"name": "n", "schema": {"a": "x" * 262144}}},
        Code.INVALID_VALUE,
        "response_format.json_schema.schema",
    ),
    ("tools", [WEATHER] * 129, Code.INVALID_VALUE, "tools"),
    ("tools", [WEATHER, WEATHER], Code.INVALID_VALUE, "tools[1].function.name"),
    ("tools", [{"type": "function"}], Code.MISSING_FIELD, "tools[0].function"),
    (
        "tools",
        [{"type": "function", "function": {"name": "a b"}}],
        Code.INVALID_VALUE,
        "tools[0].function.name",
    ),
    (
        "tools",
        [{"type": "function", "function": {"name": "f", "parameters": "{}"}}],
        Code.WRONG_TYPE,
        "tools[0].function.parameters",
    ),
    (
        "tools",
        [{"type": "custom", "custom": {"name": "c d"}}],
        Code.INVALID_VALUE,
        "tools[0].custom.name",
    ),
    (
        "tools",
        [{**WEATHER, "function": {"name": "c"}}, {"type": "custom", "custom": {"name": "c"}}],
        Code.INVALID_VALUE,
        "tools[1].custom.name",
    ),
    ("functions", [{"name": "f"}, {"name": "f"}], Code.INVALID_VALUE, "functions[1].name"),
    ("tool_choice", "required", Code.INVALID_VALUE, "tool_choice"),
    ("tool_choice", "sometimes", Code.INVALID_VALUE, "tool_choice"),
    ("tool_choice", WEATHER, Code.INVALID_VALUE, "tool_choice"),
    ("tool_choice", 1, Code.WRONG_TYPE, "tool_choice"),
    (
        "tool_choice",
        {"type": "custom", "custom": {"name": "c"}},
        Code.INVALID_VALUE,
        "tool_choice",
    ),
    ("function_call", {"name": "f"}, Code.INVALID_VALUE, "function_call"),
]


@pytest.mark.parametrize(("name", "value", "code", "param"), WRONG)
def test_wrong_parameters_are_refused_by_name(
    name: str, value: Any, code: Code, param: str
) -> None:
    problem = refused(**{name: value})
    assert (problem.code, problem.param) == (code, param)
    assert problem.param in problem.public


WRONG_MESSAGES: list[tuple[Any, Code, str]] = [
    ("hi", Code.WRONG_TYPE, ""),
    ({"content": "x"}, Code.MISSING_FIELD, ".role"),
    ({"role": "robot", "content": "x"}, Code.INVALID_VALUE, ".role"),
    ({"role": "user"}, Code.MISSING_FIELD, ".content"),
    ({"role": "user", "content": None}, Code.WRONG_TYPE, ".content"),
    ({"role": "user", "content": 5}, Code.WRONG_TYPE, ".content"),
    ({"role": "user", "content": []}, Code.INVALID_VALUE, ".content"),
    (
        {"role": "user", "content": [{"type": "text", "text": ""}] * 1025},
        Code.INVALID_VALUE,
        ".content",
    ),
    ({"role": "user", "content": ["x"]}, Code.WRONG_TYPE, ".content[0]"),
    ({"role": "user", "content": [{"type": "text"}]}, Code.MISSING_FIELD, ".content[0].text"),
    (
        {"role": "user", "content": [{"type": "text", "text": 1}]},
        Code.WRONG_TYPE,
        ".content[0].text",
    ),
    (
        {"role": "user", "content": [{"type": "refusal", "refusal": "no"}]},
        Code.INVALID_VALUE,
        ".content[0].type",
    ),
    (
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]},
        Code.MISSING_FIELD,
        ".content[0].input_audio.data",
    ),
    (
        {"role": "user", "content": [{"type": "file", "file": {}}]},
        Code.MISSING_FIELD,
        ".content[0].file.file_data",
    ),
    (
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///x"}}]},
        Code.INVALID_VALUE,
        ".content[0].image_url.url",
    ),
    (
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a b"}}]},
        Code.INVALID_VALUE,
        ".content[0].image_url.url",
    ),
    (
        {"role": "system", "content": [{"type": "image_url", "image_url": {"url": "https://x"}}]},
        Code.UNSUPPORTED_FEATURE,
        ".content[0].image_url",
    ),
    ({"role": "user", "content": "x", "name": "n" * 257}, Code.INVALID_VALUE, ".name"),
    ({"role": "assistant"}, Code.MISSING_FIELD, ".content"),
    ({"role": "assistant", "content": None}, Code.MISSING_FIELD, ".content"),
    ({"role": "assistant", "tool_calls": []}, Code.INVALID_VALUE, ".tool_calls"),
    (
        {"role": "assistant", "content": "x", "audio": {"id": "a"}},
        Code.UNSUPPORTED_FEATURE,
        ".audio",
    ),
    (
        {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f"}}]},
        Code.MISSING_FIELD,
        ".tool_calls[0].function.arguments",
    ),
    (
        {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {}}]},
        Code.MISSING_FIELD,
        ".tool_calls[0].custom.name",
    ),
    ({"role": "tool", "content": "x"}, Code.MISSING_FIELD, ".tool_call_id"),
    ({"role": "tool", "content": "x", "tool_call_id": ""}, Code.INVALID_VALUE, ".tool_call_id"),
    ({"role": "function", "content": "x"}, Code.MISSING_FIELD, ".name"),
]


@pytest.mark.parametrize(("message", "code", "tail"), WRONG_MESSAGES)
def test_wrong_messages_are_refused_by_path(message: Any, code: Code, tail: str) -> None:
    problem = refused(messages=[HI, message])
    assert (problem.code, problem.param) == (code, f"messages[1]{tail}")
