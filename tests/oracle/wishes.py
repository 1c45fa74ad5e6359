"""What is wished for: each wish in the words of every dialect that has it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.oracle.families import LIMIT_TOKENS, Family, Fields


@dataclass(frozen=True)
class Wish:
    """One thing to ask for. ``fields`` are for every family, ``only`` are more of some families,
    which then are the only ones that get the wish."""

    name: str
    turns: tuple[tuple[str, str], ...] = (("user", "Say hello."),)
    system: str | None = None
    limit_tokens: int | None = LIMIT_TOKENS
    fields: Fields = field(default_factory=dict)
    only: Mapping[Family, Fields] | None = None


CHATTY = (Family.CHAT, Family.RESPONSES, Family.MESSAGES)


def each(value: Any, **names: str) -> Mapping[Family, Fields]:
    """The same value under the name that each family has for it."""
    return {Family(family): {name: value} for family, name in names.items()}


_PLACE = {
    "type": "object",
    "properties": {"place": {"type": "string"}},
    "required": ["place"],
    "additionalProperties": False,
}
_ABOUT = "Tells the weather of a place."
_TOOL: Mapping[Family, Fields] = {
    Family.CHAT: {
        "type": "function",
        "function": {"name": "weather", "description": _ABOUT, "parameters": _PLACE},
    },
    Family.RESPONSES: {
        "type": "function",
        "name": "weather",
        "description": _ABOUT,
        "parameters": _PLACE,
        "strict": True,
    },
    Family.MESSAGES: {"name": "weather", "description": _ABOUT, "input_schema": _PLACE},
}


def _tools(**choices: Any) -> Mapping[Family, Fields]:
    """One tool, and how it is chosen in the words of each family."""
    return {
        Family(family): {"tools": [_TOOL[Family(family)]], "tool_choice": choice}
        for family, choice in choices.items()
    }


_ANSWER = {
    "type": "object",
    "properties": {"word": {"type": "string", "maxLength": 8}, "good": {"type": "boolean"}},
    "required": ["word", "good"],
    "additionalProperties": False,
}
_FORM = {"name": "answer", "schema": _ANSWER, "strict": True}
_SCHEMA: Mapping[Family, Fields] = {
    Family.CHAT: {"response_format": {"type": "json_schema", "json_schema": _FORM}},
    Family.RESPONSES: {"text": {"format": {"type": "json_schema", **_FORM}}},
    Family.MESSAGES: {"output_config": {"format": {"type": "json_schema", "schema": _ANSWER}}},
}
_TALK = (
    ("user", "My name is Ada."),
    ("assistant", "Hello Ada."),
    ("user", "What is my name?"),
)
_LONG = " ".join(f"The number {n} follows {n - 1}." for n in range(1, 61))
_CALLED: Mapping[Family, Fields] = {
    Family.CHAT: {
        "messages": [
            {"role": "user", "content": "Weather in Oslo?"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "weather", "arguments": '{"place":"Oslo"}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "Rain."},
        ]
    },
    Family.RESPONSES: {
        "input": [
            {"role": "user", "content": "Weather in Oslo?"},
            {
                "type": "function_call",
                "call_id": "call_1",
                "name": "weather",
                "arguments": '{"place":"Oslo"}',
            },
            {"type": "function_call_output", "call_id": "call_1", "output": "Rain."},
        ]
    },
    Family.MESSAGES: {
        "messages": [
            {"role": "user", "content": "Weather in Oslo?"},
            {
                "role": "assistant",
                "content": [
                    {
                        "type": "tool_use",
                        "id": "call_1",
                        "name": "weather",
                        "input": {"place": "Oslo"},
                    }
                ],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "Rain."}],
            },
        ]
    },
}
_AS_PARTS: Mapping[Family, Fields] = {
    Family.CHAT: {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Say hello."},
                    {"type": "text", "text": " Then stop."},
                ],
            }
        ]
    },
    Family.RESPONSES: {
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Say hello."},
                    {"type": "input_text", "text": " Then stop."},
                ],
            }
        ]
    },
    Family.MESSAGES: {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Say hello."},
                    {"type": "text", "text": " Then stop."},
                ],
            }
        ]
    },
}
_INPUT = {
    Family.CHAT: "messages",
    Family.RESPONSES: "input",
    Family.MESSAGES: "messages",
}

WISHES = (
    Wish("plain"),
    Wish("system", system="You answer in one word."),
    Wish("two turns", _TALK),
    Wish("five turns", (*_TALK, ("assistant", "Ada."), ("user", "Spell it."))),
    Wish("system and turns", _TALK, system="You are brief."),
    Wish("one token", limit_tokens=1),
    Wish("ends by itself", (("user", "Answer only with the word yes."),), limit_tokens=48),
    Wish("no limit stated", (("user", "Say only: ok"),), limit_tokens=None),
    Wish("long answer", (("user", "Tell a story."),), limit_tokens=64),
    Wish("long prompt", (("user", _LONG),)),
    Wish("unicode", (("user", "Grüße aus Köln, 東京, Ελλάδα"),)),
    Wish("emoji", (("user", "👩‍👩‍👧‍👦 🇳🇴 e\u0301"),)),
    Wish("right to left", (("user", "قل مرحبا \u200f שלום"),)),
    Wish("spaces", (("user", "  two  spaces \n\n\t tab "),)),
    Wish("one space", (("user", " "),)),
    Wish("empty", (("user", ""),)),
    Wish("empty system", system=""),
    Wish("code", (("user", "def f(x):\n    return x ** 2  # <b>&amp;</b>"),)),
    Wish("numbers", (("user", "3.14159 1,000,000 -7 1e-9"),)),
    Wish("parts", only=_AS_PARTS),
    Wish("temperature", fields={"temperature": 0.0}),
    Wish("top_p", fields={"top_p": 0.5}),
    Wish(
        "stop is met",
        (("user", "Tell a story."),),
        limit_tokens=64,
        only=each([","], chat="stop", messages="stop_sequences", completions="stop"),
    ),
    Wish(
        "stop is not met",
        only=each(["zzzz"], chat="stop", messages="stop_sequences", completions="stop"),
    ),
    Wish(
        "two stops",
        (("user", "Tell a story."),),
        limit_tokens=64,
        only=each([".", "qqq"], chat="stop", messages="stop_sequences", completions="stop"),
    ),
    Wish("seed", only=each(7, chat="seed", completions="seed")),
    Wish(
        "frequency penalty",
        only=each(1.5, chat="frequency_penalty", completions="frequency_penalty"),
    ),
    Wish(
        "presence penalty",
        only=each(1.5, chat="presence_penalty", completions="presence_penalty"),
    ),
    Wish("logit bias", only=each({"19556": -100}, chat="logit_bias", completions="logit_bias")),
    Wish(
        "logprobs",
        limit_tokens=4,
        only={
            Family.CHAT: {"logprobs": True, "top_logprobs": 2},
            Family.RESPONSES: {"include": ["message.output_text.logprobs"], "top_logprobs": 2},
            Family.COMPLETIONS: {"logprobs": 2},
        },
    ),
    Wish(
        "own logprob alone",
        limit_tokens=4,
        only={Family.CHAT: {"logprobs": True}, Family.COMPLETIONS: {"logprobs": 0}},
    ),
    Wish("two choices", only=each(2, chat="n", completions="n")),
    Wish(
        "usage not asked for",
        only=each({"include_usage": False}, chat="stream_options", completions="stream_options"),
    ),
    Wish("end customer", only=each("ada", chat="user", completions="user", responses="user")),
    Wish(
        "metadata", only=each({"user_id": "ada"}, messages="metadata", responses="metadata")
    ),
    Wish("unknown field", fields={"no_such_field": {"deep": [1]}}),
    Wish("schema", limit_tokens=48, only=_SCHEMA),
    Wish("tool by chance", only=_tools(chat="auto", responses="auto", messages={"type": "auto"})),
    Wish(
        "tool required",
        limit_tokens=64,
        only=_tools(chat="required", responses="required", messages={"type": "any"}),
    ),
    Wish(
        "tool named",
        limit_tokens=64,
        only=_tools(
            chat={"type": "function", "function": {"name": "weather"}},
            responses={"type": "function", "name": "weather"},
            messages={"type": "tool", "name": "weather"},
        ),
    ),
    Wish("no tool", only=_tools(chat="none", responses="none", messages={"type": "none"})),
    Wish("a tool's result", only=_CALLED),
    Wish(
        "developer",
        only={
            Family.CHAT: {
                "messages": [
                    {"role": "developer", "content": "Be brief."},
                    {"role": "user", "content": "Say hello."},
                ]
            },
            Family.RESPONSES: {
                "input": [
                    {"role": "developer", "content": "Be brief."},
                    {"role": "user", "content": "Say hello."},
                ]
            },
        },
    ),
    # What both must refuse.
    Wish("no input", only={family: {name: None} for family, name in _INPUT.items()}),
    Wish("input of another type", only={family: {name: 7} for family, name in _INPUT.items()}),
    Wish("temperature of another type", fields={"temperature": "warm"}),
    Wish("role that is not known", (("wizard", "Say hello."),)),
    Wish("part that is not known", only={
        family: {name: [{"role": "user", "content": [{"type": "smell", "smell": "rose"}]}]}
        for family, name in _INPUT.items()
    }),
)  # fmt: skip
PROMPTS = (
    ("plain", "Once upon a time"),
    ("one word", "Hello"),
    ("sentence", "The capital of France is"),
    ("unicode", "Grüße aus Köln, 東京"),
    ("emoji", "👩‍👩‍👧‍👦 🇳🇴"),
    ("right to left", "قل مرحبا"),
    ("spaces", "  two  spaces \n\n\t tab "),
    ("code", "def f(x):\n    return"),
    ("numbers", "3.14159 1,000,000"),
    ("long", _LONG),
    ("control texts", "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"),
    ("one space", " "),
    ("line", "\n"),
    ("quotes", '"It\'s" \\ `x`'),
)
