"""A body to a Turn: what is honoured, what is noted, what is refused by name."""

import json
from typing import Any

import pytest

from tests.support.responses import ask
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.terms import ServiceTier
from tokenbooth.core.turn import (
    FormatKind,
    LogprobsAsk,
    Message,
    OutputFormat,
    Role,
    Sampling,
    TextPart,
    ToolChoice,
    Turn,
)
from tokenbooth.protocols.openai_responses import OPENAI_RESPONSES

HI = Message(Role.USER, (TextPart("hi"),))
SCHEMA = {"type": "object", "properties": {"next": {"$ref": "#"}}}


def noted(**fields: Any) -> dict[str, str]:
    return {note.param: note.what for note in ask(**fields).notes}


def refused(raw: bytes | None = None, **fields: Any) -> Problem:
    body = json.dumps({"model": "m", "input": "hi", **fields}).encode() if raw is None else raw
    with pytest.raises(Problem) as caught:
        OPENAI_RESPONSES.parse(body)
    return caught.value


def test_the_least_body() -> None:
    parsed = ask()
    assert parsed.turn == Turn(model="m", messages=(HI,))
    assert parsed.stream is False
    assert parsed.include_usage is False
    assert parsed.notes == ()
    assert parsed.echo == {
        "reasoning": {"effort": None, "summary": None},
        "text": {"format": {"type": "text"}, "verbosity": None},
        "tool_choice": "auto",
        "tools": [],
    }


def test_a_stream_always_tells_its_usage() -> None:
    parsed = ask(stream=True)
    assert (parsed.stream, parsed.include_usage) == (True, True)


def test_null_is_the_same_as_nothing() -> None:
    names = [
        "instructions",
        "stream",
        "stream_options",
        "max_output_tokens",
        "temperature",
        "top_p",
        "top_logprobs",
        "include",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "max_tool_calls",
        "text",
        "reasoning",
        "metadata",
        "safety_identifier",
        "user",
        "service_tier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "store",
        "truncation",
        "background",
        "previous_response_id",
        "conversation",
        "prompt",
        "moderation",
        "image",
    ]
    assert ask(**dict.fromkeys(names)) == ask()


def test_everything_that_reaches_the_turn() -> None:
    parsed = ask(
        instructions="Be kind.",
        max_output_tokens=9,
        temperature=0.5,
        top_p=1,
        parallel_tool_calls=False,
        max_tool_calls=3,
        reasoning={"effort": "high"},
        safety_identifier="ann",
        service_tier="flex",
        prompt_cache_key="k",
        text={"verbosity": "low"},
        metadata={"a": "b"},
    )
    assert parsed.turn == Turn(
        model="m",
        messages=(Message(Role.SYSTEM, (TextPart("Be kind."),)), HI),
        output_tokens_max=9,
        sampling=Sampling(temperature=0.5, top_p=1.0),
        parallel_tool_calls=False,
        reasoning_effort="high",
        end_customer="ann",
        service_tier=ServiceTier.FLEX,
        hints={"verbosity": "low", "prompt_cache_key": "k"},
    )
    assert {note.param for note in parsed.notes} == {"text.verbosity"}
    assert parsed.echo == {
        "instructions": "Be kind.",
        "max_output_tokens": 9,
        "max_tool_calls": 3,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "prompt_cache_key": "k",
        "safety_identifier": "ann",
        "temperature": 0.5,
        "top_p": 1.0,
        "reasoning": {"effort": "high", "summary": None},
        "text": {"format": {"type": "text"}, "verbosity": "low"},
        "tool_choice": "auto",
        "tools": [],
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"top_logprobs": 0}, None),
        ({"top_logprobs": 2}, LogprobsAsk(2)),
        ({"include": ["message.output_text.logprobs"]}, LogprobsAsk(0)),
        ({"include": ["message.output_text.logprobs"], "top_logprobs": 3}, LogprobsAsk(3)),
        ({"include": ["web_search_call.results"]}, None),
    ],
)
def test_logprobs(fields: dict[str, Any], expected: LogprobsAsk | None) -> None:
    assert ask(**fields).turn.logprobs == expected


def test_what_cannot_be_included_is_said() -> None:
    include = ["reasoning.encrypted_content", "message.output_text.logprobs", "brand.new"]
    assert noted(include=include) == {
        "include=brand.new": "ignored: there is none here",
    }


def test_text_formats() -> None:
    assert ask(text={}).turn.output_format == OutputFormat()
    assert ask(text={"format": {"type": "text"}}).turn.output_format == OutputFormat()
    as_object = ask(text={"format": {"type": "json_object"}})
    assert as_object.turn.output_format == OutputFormat(FormatKind.JSON_OBJECT)
    assert as_object.echo["text"] == {"format": {"type": "json_object"}, "verbosity": None}


def test_a_schema_is_passed_on_and_given_back() -> None:
    wanted = {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}
    parsed = ask(text={"format": wanted})
    assert parsed.turn.output_format == OutputFormat(
        FormatKind.JSON_SCHEMA, "n", json.dumps(SCHEMA, separators=(",", ":")), strict=True
    )
    assert parsed.echo["text"] == {"format": {**wanted, "description": None}, "verbosity": None}
    loose = {"type": "json_schema", "name": "n", "schema": {}, "description": "d"}
    again = ask(text={"format": loose})
    assert again.turn.output_format.strict is False
    assert [(note.param, note.what) for note in again.notes] == [
        ("text.format.description", "ignored: engines take none")
    ]
    assert again.echo["text"] == {"format": {**loose, "strict": False}, "verbosity": None}


@pytest.mark.parametrize(
    ("asked", "expected", "notes"),
    [
        ({"effort": "none"}, {"effort": "none", "summary": None}, set()),
        ({"summary": "auto"}, {"effort": None, "summary": "auto"}, {"reasoning.summary"}),
        (
            {"generate_summary": "concise"},
            {"effort": None, "summary": "concise"},
            {"reasoning.generate_summary", "reasoning.summary"},
        ),
        (
            {"summary": "auto", "generate_summary": "concise"},
            {"effort": None, "summary": "auto"},
            {"reasoning.generate_summary", "reasoning.summary"},
        ),
        (
            {"context": "all_turns", "mode": {"any": 1}},
            {"effort": None, "summary": None},
            {"reasoning.context", "reasoning.mode"},
        ),
    ],
)
def test_reasoning(asked: dict[str, Any], expected: dict[str, Any], notes: set[str]) -> None:
    assert ask(reasoning=asked).echo["reasoning"] == expected
    assert set(noted(reasoning=asked)) == notes
    assert ask(reasoning=asked).turn.reasoning_effort == asked.get("effort")


@pytest.mark.parametrize(
    ("fields", "winner", "notes"),
    [
        ({"user": "u"}, "u", {}),
        ({"metadata": {"user_id": "m"}}, "m", {}),
        ({"metadata": {"other": "m"}}, None, {}),
        ({"user": "", "metadata": {"user_id": "m"}}, "m", {}),
        ({"safety_identifier": "s", "user": "s"}, "s", {}),
        (
            {"safety_identifier": "s", "user": "u", "metadata": {"user_id": "m"}},
            "s",
            {
                "user": "ignored: safety_identifier wins",
                "metadata.user_id": "ignored: safety_identifier wins",
            },
        ),
    ],
)
def test_the_end_customer(fields: dict[str, Any], winner: str | None, notes: Any) -> None:
    assert ask(**fields).turn.end_customer == winner
    assert noted(**fields) == notes


def test_an_end_customer_in_metadata_is_bounded_as_the_others() -> None:
    problem = refused(metadata={"user_id": "u" * 257})
    assert (problem.code, problem.param) == (Code.INVALID_VALUE, "metadata.user_id")
    assert ask(metadata={"user_id": "u" * 256}).turn.end_customer == "u" * 256


@pytest.mark.parametrize("tier", ["auto", "default", "flex", "priority"])
def test_service_tiers(tier: str) -> None:
    expected = {"flex": ServiceTier.FLEX, "priority": ServiceTier.PRIORITY}
    assert ask(service_tier=tier).turn.service_tier is expected.get(tier, ServiceTier.STANDARD)


@pytest.mark.parametrize(
    ("fields", "notes"),
    [
        ({"store": True}, {}),
        ({"store": False}, {}),
        ({"background": False}, {}),
        ({"truncation": "disabled"}, {}),
        ({"truncation": "auto"}, {"truncation": "ignored: an input that is too long is refused"}),
        ({"stream_options": {}}, {}),
        ({"stream_options": {"include_obfuscation": False}}, {}),
        (
            {"stream_options": {"include_obfuscation": True}},
            {"stream_options.include_obfuscation": "ignored: nothing is obfuscated"},
        ),
        (
            {"prompt_cache_retention": "24h", "prompt_cache_options": {"mode": "explicit"}},
            {
                "prompt_cache_retention": "ignored: the engine decides",
                "prompt_cache_options": "ignored: the engine decides",
            },
        ),
        (
            {"context_management": [{"type": "compaction", "compact_threshold": 9}]},
            {"context_management": "ignored: nothing is compacted by itself"},
        ),
        (
            {"image": {"context_compression": "auto"}},
            {"image": "ignored: the engine decides"},
        ),
        (
            {"access_programs": {"cyber": "standard"}},
            {"access_programs": "ignored: there are none here"},
        ),
        ({"zebra": None}, {"zebra": "ignored: unknown here"}),
        ({"text": {"zebra": 1}}, {"text.zebra": "ignored: unknown here"}),
        ({"stop": ["a"], "n": 2}, {"stop": "ignored: unknown here", "n": "ignored: unknown here"}),
    ],
)
def test_what_is_ignored_is_said(fields: dict[str, Any], notes: dict[str, str]) -> None:
    assert noted(**fields) == notes
    assert ask(**fields).turn == ask().turn


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"conversation": "conv_1"}, "conversation"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"moderation": {"model": "m"}}, "moderation"),
        ({"service_tier": "ultrafast"}, "service_tier"),
        ({"service_tier": "scale"}, "service_tier"),
    ],
)
def test_what_is_not_served_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    problem = refused(**fields)
    assert (problem.code, problem.param) == (Code.UNSUPPORTED_FEATURE, param)
    assert problem.public.startswith(f"{param}: ")


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"model": None}, Code.WRONG_TYPE, "model"),
        ({"model": ""}, Code.INVALID_VALUE, "model"),
        ({"input": None}, Code.WRONG_TYPE, "input"),
        ({"input": 1}, Code.WRONG_TYPE, "input"),
        ({"input": []}, Code.INVALID_VALUE, "input"),
        ({"background": "yes"}, Code.WRONG_TYPE, "background"),
        ({"max_output_tokens": 0}, Code.INVALID_VALUE, "max_output_tokens"),
        ({"temperature": 2.1}, Code.INVALID_VALUE, "temperature"),
        ({"top_p": 0}, Code.INVALID_VALUE, "top_p"),
        ({"top_logprobs": 21}, Code.INVALID_VALUE, "top_logprobs"),
        ({"truncation": "some"}, Code.INVALID_VALUE, "truncation"),
        ({"include": "x"}, Code.WRONG_TYPE, "include"),
        ({"metadata": {"a": 1}}, Code.WRONG_TYPE, "metadata.a"),
        ({"metadata": []}, Code.WRONG_TYPE, "metadata"),
        ({"reasoning": {"effort": "huge"}}, Code.INVALID_VALUE, "reasoning.effort"),
        ({"text": {"format": {}}}, Code.MISSING_FIELD, "text.format.type"),
        ({"text": {"format": {"type": "xml"}}}, Code.INVALID_VALUE, "text.format.type"),
        (
            {"text": {"format": {"type": "json_schema", "name": "n"}}},
            Code.MISSING_FIELD,
            "text.format.schema",
        ),
        (
            {"text": {"format": {"type": "json_schema", "name": "n m", "schema": {}}}},
            Code.INVALID_VALUE,
            "text.format.name",
        ),
        ({"tool_choice": "any"}, Code.INVALID_VALUE, "tool_choice"),
        ({"tool_choice": 1}, Code.WRONG_TYPE, "tool_choice"),
        ({"user": "u" * 257}, Code.INVALID_VALUE, "user"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], code: Code, param: str) -> None:
    problem = refused(**fields)
    assert (problem.code, problem.param) == (code, param)


@pytest.mark.parametrize("name", ["model", "input"])
def test_what_is_missing_is_named(name: str) -> None:
    body = {"model": "m", "input": "hi"}
    del body[name]
    problem = refused(json.dumps(body).encode())
    assert (problem.code, problem.param) == (Code.MISSING_FIELD, name)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b'{"a":1,"a":2}', b"\xff"])
def test_what_is_no_object_is_malformed(raw: bytes) -> None:
    assert refused(raw).code is Code.MALFORMED_JSON


@pytest.mark.parametrize(
    "skipped",
    [
        [{"type": "reasoning", "id": "rs_1", "summary": []}],
        [{"type": "web_search_call", "id": "ws_1", "status": "completed"}],
    ],
)
def test_an_input_of_which_nothing_is_left_is_refused(skipped: list[Any]) -> None:
    problem = refused(input=skipped, instructions="Be kind.")
    assert (problem.code, problem.param) == (Code.INVALID_VALUE, "input")


def test_an_empty_text_is_an_input() -> None:
    assert ask(input="").turn.messages == (Message(Role.USER, (TextPart(""),)),)


def test_a_choice_without_tools_is_nothing() -> None:
    assert ask(tool_choice="none", tools=[]).turn.tool_choice.mode.value == "none"
    assert ask().turn.tool_choice == ToolChoice()


@pytest.mark.parametrize("stream", [False, True])
def test_in_the_background_every_answer_is_told_as_a_stream(stream: bool) -> None:
    parsed = ask(background=True, stream=stream)
    assert parsed.stream
    assert parsed.memory is not None
    assert (parsed.memory.background, parsed.memory.streams) == (True, stream)
    assert parsed.echo["background"] is True


def test_the_background_needs_storage() -> None:
    problem = refused(background=True, store=False)
    assert (problem.code, problem.param) == (Code.INVALID_VALUE, "background")
