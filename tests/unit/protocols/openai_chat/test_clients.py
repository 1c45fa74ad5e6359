"""Bodies in the manner of clients in use: agents, frameworks, editors. None may be refused for its
habits; each habit is honoured, translated or noted."""

import json
from typing import Any

import pytest

from tokenbooth.core.turn import ImagePart, Role, TextPart
from tokenbooth.protocols.dialect import Parsed
from tokenbooth.protocols.openai_chat import OPENAI_CHAT

FREE_FORM = {"type": "object", "properties": {"json": {}}, "additionalProperties": True}
RECURSIVE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
        }
    },
    "$ref": "#/$defs/node",
}
UNIONS = {
    "type": "object",
    "properties": {
        "path": {"type": ["string", "null"], "default": None},
        "limit": {"anyOf": [{"type": "integer", "exclusiveMinimum": 0}, {"type": "null"}]},
        "mode": {"enum": ["a", "b", None]},
    },
    "required": [],
    "$schema": "http://json-schema.org/draft-07/schema#",
}


def function(name: str, schema: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "description": "", "parameters": schema}}


def said(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


BODIES: dict[str, dict[str, Any]] = {
    "a coding agent in its first turn": {
        "model": "m",
        "messages": [said("system", "You are an agent. " * 500), said("user", "say pong")],
        "tools": [function(f"tool_{n}", UNIONS) for n in range(24)],
        "tool_choice": "auto",
        "max_tokens": 32_000,
        "stream": True,
        "stream_options": {"include_usage": True},
    },
    "a title made beside the main call": {
        "model": "m",
        "messages": [
            said("system", "Make a title."),
            said("user", [text := {"type": "text", "text": "x"}]),
        ],
        "temperature": 0.5,
        "max_tokens": 80,
        "stream": True,
        "stream_options": {"include_usage": True},
    },
    "a tool turn with everything echoed back": {
        "model": "m",
        "messages": [
            said("user", "weather?"),
            said(
                "assistant",
                None,
                refusal=None,
                annotations=[],
                audio=None,
                function_call=None,
                reasoning_content="I should look.",
                tool_calls=[
                    {
                        "id": "call_1",
                        "type": "function",
                        "index": 0,
                        "function": {"name": "look", "arguments": '{"city": "Oslo"}'},
                    }
                ],
            ),
            said("tool", "cold", tool_call_id="call_1", name="look"),
        ],
        "tools": [function("look", FREE_FORM)],
        "parallel_tool_calls": True,
    },
    "an empty text beside tool calls": {
        "model": "m",
        "messages": [
            said(
                "assistant",
                "",
                tool_calls=[
                    {"id": "1", "type": "function", "function": {"name": "f", "arguments": ""}}
                ],
            ),
            said("tool", [text], tool_call_id="1"),
        ],
    },
    "no tools, but the fields of them": {
        "model": "m",
        "messages": [said("user", "hi")],
        "tools": [],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
    },
    "tools whose schemas recurse or are free": {
        "model": "m",
        "messages": [said("user", "hi")],
        "tools": [
            function("tree", RECURSIVE),
            function("any", FREE_FORM),
            function("none", {}),
            {"type": "function", "function": {"name": "bare"}},
        ],
    },
    "fields of other servers": {
        "model": "m",
        "messages": [said("user", "hi")],
        "top_k": 40,
        "min_p": 0.05,
        "repetition_penalty": 1.1,
        "chat_template_kwargs": {"enable_thinking": False},
        "guided_json": {"type": "object"},
        "thinking": {"type": "enabled", "budget_tokens": 100},
        "provider": {"order": ["x"]},
        "cache_prompt": True,
    },
    "cache marks on parts": {
        "model": "m",
        "messages": [
            said("system", [{**text, "cache_control": {"type": "ephemeral"}}]),
            said("user", [{**text, "prompt_cache_breakpoint": {"mode": "explicit"}}]),
        ],
        "prompt_cache_key": "project-1",
        "prompt_cache_retention": "24h",
        "prompt_cache_options": {"mode": "explicit", "ttl": "30m"},
    },
    "a picture in the text": {
        "model": "m",
        "messages": [
            said(
                "user",
                [
                    text,
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0="}},
                ],
            )
        ],
    },
    "every optional field null": {
        "model": "m",
        "messages": [said("user", "hi", name=None)],
        "temperature": None,
        "tools": None,
        "stop": None,
        "response_format": None,
        "stream_options": None,
        "stream": None,
        "user": None,
        "logit_bias": None,
    },
    "tracing in the metadata": {
        "model": "m",
        "messages": [said("user", "hi")],
        "metadata": {"trace_id": "1", "tags": ["a"], "nested": {"x": 1}, "user_id": "u1"},
        "store": True,
    },
    "whole numbers written as doubles": {
        "model": "m",
        "messages": [said("user", "hi")],
        "max_tokens": 256.0,
        "n": 1.0,
        "seed": 42.0,
        "top_logprobs": 0.0,
    },
    "integers where doubles are usual": {
        "model": "m",
        "messages": [said("user", "hi")],
        "temperature": 0,
        "top_p": 1,
        "presence_penalty": 0,
        "frequency_penalty": 0,
    },
    "the older form of tools": {
        "model": "m",
        "messages": [
            said("user", "hi"),
            said("assistant", None, function_call={"name": "f", "arguments": "{}"}),
            said("function", "42", name="f"),
        ],
        "functions": [{"name": "f", "description": "d", "parameters": FREE_FORM}],
        "function_call": "auto",
    },
    "an assistant that speaks first, and twice": {
        "model": "m",
        "messages": [said("assistant", "Hello."), said("assistant", "Well?"), said("user", "")],
    },
    "usage asked without a stream": {
        "model": "m",
        "messages": [said("user", "hi")],
        "stream": False,
        "stream_options": {"include_usage": True},
    },
}


def parse(name: str) -> Parsed:
    return OPENAI_CHAT.parse(json.dumps(BODIES[name]).encode())


def noted(name: str) -> set[str]:
    return {note.param for note in parse(name).notes}


@pytest.mark.parametrize("name", BODIES)
def test_it_is_taken(name: str) -> None:
    parsed = parse(name)
    assert parsed.turn.model == "m"
    assert len(parsed.turn.messages) == len(BODIES[name]["messages"])
    assert parsed.stream is bool(BODIES[name].get("stream"))


@pytest.mark.parametrize("name", BODIES)
def test_notes_name_only_what_was_sent(name: str) -> None:
    sent = json.dumps(BODIES[name])
    for param in noted(name):
        assert param.replace("[]", "").split(".")[-1].split("=")[0] in sent
        assert param.isascii()


def test_plain_habits_get_no_note() -> None:
    for name in (
        "a coding agent in its first turn",
        "a title made beside the main call",
        "no tools, but the fields of them",
        "tools whose schemas recurse or are free",
        "every optional field null",
        "whole numbers written as doubles",
        "integers where doubles are usual",
        "an assistant that speaks first, and twice",
    ):
        assert noted(name) == set()


def test_schemas_reach_the_engine_as_they_were() -> None:
    tools = parse("tools whose schemas recurse or are free").turn.tools
    assert json.loads(tools[0].schema_json) == RECURSIVE
    assert json.loads(tools[1].schema_json) == FREE_FORM
    assert tools[2].schema_json == "{}"
    assert not any(tool.strict for tool in tools)
    agents = parse("a coding agent in its first turn").turn.tools
    assert len(agents) == 24
    assert json.loads(agents[23].schema_json) == UNIONS


def test_an_echoed_message_keeps_its_calls_and_tells_what_it_lost() -> None:
    turn = parse("a tool turn with everything echoed back").turn
    assert turn.messages[1].parts == ()
    assert turn.messages[1].tool_calls[0].arguments == '{"city": "Oslo"}'
    assert turn.messages[1].reasoning == "I should look."
    assert (turn.messages[2].role, turn.messages[2].tool_call_id) == (Role.TOOL, "call_1")
    assert noted("a tool turn with everything echoed back") == {
        "messages[].annotations",
        "messages[].reasoning_content",
        "messages[].tool_calls[].index",
        "messages[].name",
    }


def test_fields_of_other_servers_are_each_named() -> None:
    known = {"model", "messages"}
    assert noted("fields of other servers") == set(BODIES["fields of other servers"]) - known


def test_cache_marks_are_noted_once() -> None:
    assert noted("cache marks on parts") == {
        "messages[].content[].cache_control",
        "messages[].content[].prompt_cache_breakpoint",
        "prompt_cache_retention",
        "prompt_cache_options",
    }


def test_a_picture_stays_in_its_place() -> None:
    parts = parse("a picture in the text").turn.messages[0].parts
    assert parts == (TextPart("x"), ImagePart("data:image/png;base64,iVBORw0="))


def test_whole_numbers_stay_whole() -> None:
    turn = parse("whole numbers written as doubles").turn
    assert (turn.output_tokens_max, turn.choices, turn.sampling.seed) == (256, 1, 42)
    assert all(type(value) is int for value in (turn.output_tokens_max, turn.choices))


def test_metadata_gives_the_end_customer_and_nothing_else() -> None:
    parsed = parse("tracing in the metadata")
    assert parsed.turn.end_customer == "u1"
    assert parsed.turn.hints == {}
    assert noted("tracing in the metadata") == {"metadata", "store"}
