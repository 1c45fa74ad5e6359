"""A body to a Turn: every parameter, every refusal, every note."""

import json
from typing import Any

import pytest

from tokenbooth.core.codes import Code
from tokenbooth.core.features import Feature
from tokenbooth.core.problem import Problem
from tokenbooth.core.terms import ServiceTier
from tokenbooth.core.turn import (
    FormatKind,
    ImagePart,
    LogprobsAsk,
    Message,
    OutputFormat,
    Role,
    Sampling,
    TextPart,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
)
from tokenbooth.protocols.dialect import Parsed
from tokenbooth.protocols.openai_chat import OPENAI_CHAT
from tokenbooth.protocols.openai_chat.parameters import PARAMETERS
from tokenbooth.protocols.openai_chat.parse import NO_PARAMETERS

HI = {"role": "user", "content": "hi"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
WEATHER = {"type": "function", "function": {"name": "weather"}}
TIME = {"type": "function", "function": {"name": "time"}}


def parse(**fields: Any) -> Parsed:
    body = {"model": "m", "messages": [HI], **fields}
    return OPENAI_CHAT.parse(json.dumps(body).encode())


def refused(**fields: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        parse(**fields)
    return caught.value


def notes(parsed: Parsed) -> dict[str, str]:
    return {note.param: note.what for note in parsed.notes}


def messages(*records: Any) -> tuple[Message, ...]:
    return parse(messages=list(records)).turn.messages


def test_the_smallest_body() -> None:
    parsed = parse()
    turn = parsed.turn
    assert turn.model == "m"
    assert turn.messages == (Message(Role.USER, (TextPart("hi"),)),)
    assert (turn.choices, turn.output_tokens_max, turn.logprobs) == (1, None, None)
    assert turn.sampling == Sampling()
    assert turn.output_format == OutputFormat()
    assert (turn.tools, turn.tool_choice, turn.parallel_tool_calls) == ((), ToolChoice(), None)
    assert (parsed.stream, parsed.include_usage, parsed.notes) == (False, False, ())


def test_null_means_unstated_for_every_optional_parameter() -> None:
    nulls = {row.name: None for row in PARAMETERS if not row.required}
    assert parse(**nulls) == parse()


def test_plain_parameters_arrive() -> None:
    turn = parse(
        temperature=1,
        top_p=0.5,
        presence_penalty=-2,
        frequency_penalty=2.0,
        seed=-(2**63),
        stop=["a", "b"],
        logit_bias={"50": -100, "7": 1.5},
        n=8,
        max_completion_tokens=10,
        parallel_tool_calls=False,
        reasoning_effort="none",
    ).turn
    assert turn.sampling == Sampling(
        1.0, 0.5, -2.0, 2.0, -(2**63), ("a", "b"), ((50, -100.0), (7, 1.5))
    )
    assert (turn.choices, turn.output_tokens_max) == (8, 10)
    assert (turn.parallel_tool_calls, turn.reasoning_effort) == (False, "none")
    assert parse(stop="x").turn.sampling.stop == ("x",)
    assert parse(n=2.0).turn.choices == 2


def test_every_role_is_read() -> None:
    made = messages(
        {"role": "system", "content": [{"type": "text", "text": "s"}]},
        {"role": "developer", "content": "d", "name": "dev"},
        {"role": "user", "content": "u", "name": "bob"},
        {"role": "assistant", "content": "a", "tool_calls": [CALL]},
        {"role": "tool", "content": [{"type": "text", "text": "t"}], "tool_call_id": "c1"},
    )
    assert made == (
        Message(Role.SYSTEM, (TextPart("s"),)),
        Message(Role.DEVELOPER, (TextPart("d"),), "dev"),
        Message(Role.USER, (TextPart("u"),), "bob"),
        Message(Role.ASSISTANT, (TextPart("a"),), tool_calls=(ToolCall("c1", "f", "{}"),)),
        Message(Role.TOOL, (TextPart("t"),), tool_call_id="c1"),
    )


def test_images_keep_their_url_and_lose_their_detail() -> None:
    urls = ["https://x/y.png", "data:image/png;base64,AAAA"]
    parts = [
        {"type": "image_url", "image_url": {"url": urls[0], "detail": "high"}},
        {"type": "image_url", "image_url": {"url": urls[1], "detail": "auto"}},
        {"type": "image_url", "image_url": {"url": urls[1]}},
    ]
    parsed = parse(messages=[{"role": "user", "content": parts}])
    assert parsed.turn.messages[0].parts == tuple(map(ImagePart, [urls[0], urls[1], urls[1]]))
    assert list(notes(parsed)) == ["messages[].content[].image_url.detail"]
    assert parse(messages=[{"role": "user", "content": parts[1:]}]).notes == ()


def test_assistant_without_content_may_call_or_refuse() -> None:
    assert messages({"role": "assistant", "content": None, "tool_calls": [CALL]})[0].parts == ()
    assert messages({"role": "assistant", "content": ""})[0].parts == (TextPart(""),)
    parsed = parse(
        messages=[
            {"role": "assistant", "refusal": "no"},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "never"}]},
        ]
    )
    assert [message.text for message in parsed.turn.messages] == ["no", "never"]
    assert set(notes(parsed)) == {"messages[].refusal", "messages[].content[].refusal"}


def test_legacy_function_messages_become_tool_messages() -> None:
    parsed = parse(
        messages=[
            {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "42"},
            {"role": "function", "name": "other", "content": None},
        ]
    )
    said, answer, stray = parsed.turn.messages
    assert said.tool_calls == (ToolCall("call_f_0", "f", "{}"),)
    assert (answer.role, answer.tool_call_id, answer.text) == (Role.TOOL, "call_f_0", "42")
    assert (stray.tool_call_id, stray.text) == ("call_other", "")
    assert notes(parsed) == {
        "messages[].function_call": "translated to tool_calls",
        "messages[].role=function": "translated to role tool",
    }


def test_two_limits_of_output() -> None:
    assert parse(max_tokens=5).turn.output_tokens_max == 5
    both = parse(max_tokens=5, max_completion_tokens=7)
    assert both.turn.output_tokens_max == 7
    assert notes(both) == {"max_tokens": "ignored: max_completion_tokens wins"}
    assert parse(max_tokens=7, max_completion_tokens=7).notes == ()


def test_logprobs() -> None:
    assert parse(logprobs=True).turn.logprobs == LogprobsAsk(0)
    assert parse(logprobs=True, top_logprobs=20).turn.logprobs == LogprobsAsk(20)
    assert parse(logprobs=False, top_logprobs=0).turn.logprobs is None


def test_output_formats() -> None:
    assert parse(response_format={"type": "text"}).turn.output_format == OutputFormat()
    asked = parse(response_format={"type": "json_object"}).turn.output_format
    assert asked == OutputFormat(FormatKind.JSON_OBJECT)
    recursive = {"type": "object", "properties": {"child": {"$ref": "#"}}}
    parsed = parse(
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "tree", "schema": recursive, "strict": True, "description": ""},
        }
    )
    made = parsed.turn.output_format
    assert (made.kind, made.name, made.strict) == (FormatKind.JSON_SCHEMA, "tree", True)
    assert json.loads(made.schema_json or "") == recursive
    assert list(notes(parsed)) == ["response_format.json_schema.description"]
    bare = {"type": "json_schema", "json_schema": {"name": "t", "schema": {}, "strict": None}}
    bare_parsed = parse(response_format=bare)
    assert bare_parsed.turn.output_format == OutputFormat(FormatKind.JSON_SCHEMA, "t", "{}")
    assert bare_parsed.notes == ()


def test_tools() -> None:
    schema = {"type": "object", "properties": {"x": {"$ref": "#"}}}
    full = {"name": "f", "description": "d", "parameters": schema, "strict": True}
    made = parse(tools=[{"type": "function", "function": full}, WEATHER]).turn.tools
    assert made == (
        Tool("f", "d", json.dumps(schema, separators=(",", ":")), strict=True),
        Tool("weather", "", NO_PARAMETERS),
    )
    assert parse(tools=[]).turn.tools == ()


def test_tool_choices() -> None:
    for word in ("none", "auto", "required"):
        turn = parse(tools=[WEATHER], tool_choice=word).turn
        assert turn.tool_choice == ToolChoice(ToolMode(word))
    assert parse(tool_choice="auto").turn.tool_choice == ToolChoice()
    named = parse(tools=[WEATHER, TIME], tool_choice=TIME).turn
    assert named.tool_choice == ToolChoice(ToolMode.NAMED, "time")
    assert len(named.tools) == 2


def test_allowed_tools_leave_the_others_out() -> None:
    allowed = {"mode": "required", "tools": [TIME]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    parsed = parse(tools=[WEATHER, TIME], tool_choice=choice)
    assert [tool.name for tool in parsed.turn.tools] == ["time"]
    assert parsed.turn.tool_choice == ToolChoice(ToolMode.REQUIRED)
    assert list(notes(parsed)) == ["tool_choice"]
    problem = refused(tools=[WEATHER], tool_choice=choice)
    assert (problem.code, problem.param) == (Code.INVALID_VALUE, "tool_choice")


def test_legacy_functions_become_tools() -> None:
    parsed = parse(functions=[{"name": "f", "description": "d"}], function_call={"name": "f"})
    assert parsed.turn.tools == (Tool("f", "d", NO_PARAMETERS),)
    assert parsed.turn.tool_choice == ToolChoice(ToolMode.NAMED, "f")
    assert set(notes(parsed)) == {"functions", "function_call"}
    worded = parse(functions=[{"name": "f"}], function_call="none")
    assert worded.turn.tool_choice == ToolChoice(ToolMode.NONE)


def test_the_newer_form_of_tools_wins() -> None:
    parsed = parse(functions=[{"name": "f"}], tools=[TIME], function_call="none", tool_choice=TIME)
    assert [tool.name for tool in parsed.turn.tools] == ["time"]
    assert parsed.turn.tool_choice == ToolChoice(ToolMode.NAMED, "time")
    assert notes(parsed) == {
        "functions": "ignored: tools wins",
        "function_call": "ignored: tool_choice wins",
    }


@pytest.mark.parametrize(
    ("fields", "expected", "noted"),
    [
        ({"safety_identifier": "s"}, "s", set()),
        ({"user": "u"}, "u", set()),
        ({"metadata": {"user_id": "m"}}, "m", {"metadata"}),
        ({"safety_identifier": "", "user": "u"}, "u", set()),
        ({"safety_identifier": "s", "user": "u"}, "s", {"user"}),
        ({"safety_identifier": "s", "user": "s"}, "s", set()),
        ({"user": "u", "metadata": {"user_id": "m"}}, "u", {"metadata", "metadata.user_id"}),
        ({"user": ""}, None, set()),
    ],
)
def test_end_customer(fields: dict[str, Any], expected: str | None, noted: set[str]) -> None:
    parsed = parse(**fields)
    assert parsed.turn.end_customer == expected
    assert set(notes(parsed)) == noted


def test_end_customer_at_its_bound() -> None:
    assert parse(user="u" * 256).turn.end_customer == "u" * 256


def test_stream_options() -> None:
    asked = parse(stream=True, stream_options={"include_usage": True})
    assert (asked.stream, asked.include_usage, asked.notes) == (True, True, ())
    assert parse(stream=True).include_usage is False
    plain = parse(stream_options={"include_usage": True})
    assert (plain.stream, plain.include_usage) == (False, False)
    assert list(notes(plain)) == ["stream_options"]
    hidden = parse(stream=True, stream_options={"include_obfuscation": True})
    assert list(notes(hidden)) == ["stream_options.include_obfuscation"]
    assert parse(stream=True, stream_options={"include_obfuscation": False}).notes == ()


def test_harmless_parameters_are_noted() -> None:
    parsed = parse(
        metadata={"a": "b", "deep": {"x": 1}},
        store=True,
        verbosity="low",
        prompt_cache_key="k",
        prompt_cache_retention="24h",
        prompt_cache_options={"mode": "explicit"},
        prediction={"type": "content", "content": "x"},
        modalities=["text"],
    )
    assert set(notes(parsed)) >= {
        "metadata",
        "store",
        "verbosity",
        "prompt_cache_retention",
        "prompt_cache_options",
        "prediction",
    }
    assert not {"modalities", "prompt_cache_key"} & set(notes(parsed))
    assert parsed.turn.hints == {"verbosity": "low", "prompt_cache_key": "k"}
    assert parse(store=False).notes == ()


@pytest.mark.parametrize(
    ("asked", "tier"),
    [
        ({}, ServiceTier.STANDARD),
        ({"service_tier": None}, ServiceTier.STANDARD),
        ({"service_tier": "auto"}, ServiceTier.STANDARD),
        ({"service_tier": "default"}, ServiceTier.STANDARD),
        ({"service_tier": "flex"}, ServiceTier.FLEX),
        ({"service_tier": "priority"}, ServiceTier.PRIORITY),
    ],
)
def test_a_service_tier_is_honoured(asked: dict[str, str | None], tier: ServiceTier) -> None:
    parsed = parse(**asked)
    assert parsed.turn.service_tier is tier
    assert parsed.notes == ()


def test_unknown_fields_are_noted_and_never_refused() -> None:
    parsed = parse(top_k=5, messages=[{**HI, "reasoning_content": "r"}, {**HI, "cache": 1}])
    assert notes(parsed) == {
        "top_k": "ignored: unknown here",
        "messages[].reasoning_content": "ignored: unknown here",
        "messages[].cache": "ignored: unknown here",
    }


def test_malformed_json_reaches_the_caller() -> None:
    with pytest.raises(Problem) as caught:
        OPENAI_CHAT.parse(b"{")
    assert caught.value.code is Code.MALFORMED_JSON


@pytest.mark.parametrize("feature", list(Feature))
def test_every_feature_has_a_parameter(feature: Feature) -> None:
    assert OPENAI_CHAT.param_of(feature)


def test_refusals_and_name() -> None:
    assert OPENAI_CHAT.name == "openai_chat"
    assert OPENAI_CHAT.refusal(Problem(Code.BALANCE_EXHAUSTED, "x"), "r").status == 429
