"""A Turn as the body of a chat call."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.turns import OBJECT_SCHEMA, TOOL, said, turn_of
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import (
    AudioPart,
    DocumentPart,
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
    Turn,
)
from tokenbooth.engines.upstream.body import chat_body, completion_body
from tokenbooth.engines.upstream.values import (
    EndCustomerField,
    OutputLimitField,
    UpstreamOptions,
)

TOOL_JSON = {
    "type": "function",
    "function": {
        "name": "read_clock",
        "description": "Reads the clock.",
        "parameters": json.loads(OBJECT_SCHEMA),
    },
}


def sent(turn: Turn, **fields: Any) -> dict[str, Any]:
    options = UpstreamOptions("http://far", "far-model", **fields)
    body: dict[str, Any] = json.loads(chat_body(turn, options))
    return body


def test_a_plain_turn_is_streamed_with_usage_under_the_upstreams_own_model() -> None:
    assert sent(turn_of("hi", model="public-name")) == {
        "model": "far-model",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"sampling": Sampling(temperature=0.0)}, {"temperature": 0.0}),
        ({"sampling": Sampling(top_p=0.9)}, {"top_p": 0.9}),
        ({"sampling": Sampling(presence_penalty=-1.5)}, {"presence_penalty": -1.5}),
        ({"sampling": Sampling(frequency_penalty=0.5)}, {"frequency_penalty": 0.5}),
        ({"sampling": Sampling(seed=0)}, {"seed": 0}),
        ({"sampling": Sampling(stop=("a", "b"))}, {"stop": ["a", "b"]}),
        (
            {"sampling": Sampling(logit_bias=((5, -100.0), (6, 1.5)))},
            {"logit_bias": {"5": -100.0, "6": 1.5}},
        ),
        ({"choices": 3}, {"n": 3}),
        ({"logprobs": LogprobsAsk()}, {"logprobs": True}),
        ({"logprobs": LogprobsAsk(top=5)}, {"logprobs": True, "top_logprobs": 5}),
        ({"reasoning_effort": "high"}, {"reasoning_effort": "high"}),
        ({"output_tokens_max": 9}, {"max_completion_tokens": 9}),
        ({"output_tokens_max": 0}, {"max_completion_tokens": 0}),
        ({"end_customer": "c-1"}, {"user": "c-1"}),
        ({"tools": (TOOL,)}, {"tools": [TOOL_JSON], "tool_choice": "auto"}),
        (
            {"output_format": OutputFormat(FormatKind.JSON_OBJECT)},
            {"response_format": {"type": "json_object"}},
        ),
    ],
)
def test_each_field_has_its_place(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    plain = sent(turn_of())
    assert sent(turn_of(**fields)) == plain | expected


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice(ToolMode.AUTO), "auto"),
        (ToolChoice(ToolMode.NONE), "none"),
        (ToolChoice(ToolMode.REQUIRED), "required"),
        (
            ToolChoice(ToolMode.NAMED, "read_clock"),
            {"type": "function", "function": {"name": "read_clock"}},
        ),
    ],
)
def test_tool_choices(choice: ToolChoice, expected: object) -> None:
    body = sent(turn_of(tools=(TOOL,), tool_choice=choice, parallel_tool_calls=False))
    assert body["tool_choice"] == expected
    assert body["parallel_tool_calls"] is False


def test_without_tools_nothing_is_said_of_them() -> None:
    turn = turn_of(tool_choice=ToolChoice(ToolMode.NONE), parallel_tool_calls=True)
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & sent(turn).keys()


def test_strict_tools_and_bare_tools() -> None:
    tools = (Tool("a", "", "{}", strict=True), Tool("b", "", ""))
    functions = [tool["function"] for tool in sent(turn_of(tools=tools))["tools"]]
    assert functions == [{"name": "a", "parameters": {}, "strict": True}, {"name": "b"}]


@pytest.mark.parametrize(("name", "shown"), [("clock", "clock"), (None, "answer")])
def test_a_schema_format(name: str | None, shown: str) -> None:
    form = OutputFormat(FormatKind.JSON_SCHEMA, name, OBJECT_SCHEMA, strict=True)
    assert sent(turn_of(output_format=form))["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": shown, "schema": json.loads(OBJECT_SCHEMA), "strict": True},
    }


def test_a_loose_schema_says_nothing_of_strictness() -> None:
    form = OutputFormat(FormatKind.JSON_SCHEMA, "it", "{}")
    assert "strict" not in sent(turn_of(output_format=form))["response_format"]["json_schema"]


def test_a_schema_is_passed_on_as_written() -> None:
    schema = '{"maximum": 12345678901234567890123, "b": 1.10, "a": 1}'
    raw = chat_body(turn_of(tools=(Tool("t", "", schema),)), UpstreamOptions("http://far", "m"))
    assert schema.encode() in raw


@pytest.mark.parametrize("schema", ["{", '{}, "stream": false', "{} {}", "\ud800", "[" * 9999])
def test_a_schema_that_is_not_one_json_value_cannot_reach_the_body(schema: str) -> None:
    for fields in (
        {"tools": (Tool("t", "", schema),)},
        {"output_format": OutputFormat(FormatKind.JSON_SCHEMA, "it", schema)},
    ):
        with pytest.raises(Problem) as caught:
            sent(turn_of(**fields))
        assert caught.value.code is Code.INVALID_VALUE
        assert caught.value.param in ("tools", "response_format")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (said("be brief", Role.SYSTEM), {"role": "system", "content": "be brief"}),
        (said("be brief", Role.DEVELOPER), {"role": "system", "content": "be brief"}),
        (
            Message(Role.USER, (TextPart("a"), TextPart("b")), name="bob"),
            {
                "role": "user",
                "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
                "name": "bob",
            },
        ),
        (
            Message(Role.USER, (ImagePart("https://x/y"),)),
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "https://x/y"}}],
            },
        ),
        (
            Message(Role.USER, (AudioPart("data:audio/mpeg;base64,QQ=="),)),
            {
                "role": "user",
                "content": [
                    {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "mp3"}}
                ],
            },
        ),
        (
            Message(Role.ASSISTANT, (), tool_calls=(ToolCall("c1", "f", '{"a":1}'),)),
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "f", "arguments": '{"a":1}'},
                    }
                ],
            },
        ),
        (
            Message(Role.TOOL, (TextPart("12:00"),), tool_call_id="c1"),
            {"role": "tool", "content": "12:00", "tool_call_id": "c1"},
        ),
        (Message(Role.USER, ()), {"role": "user", "content": ""}),
        (said(""), {"role": "user", "content": ""}),
    ],
)
def test_each_kind_of_message(message: Message, expected: dict[str, Any]) -> None:
    assert sent(turn_of(messages=(message,)))["messages"] == [expected]


def test_text_beside_tool_calls_is_kept() -> None:
    message = Message(Role.ASSISTANT, (TextPart("wait"),), tool_calls=(ToolCall("c", "f", ""),))
    assert sent(turn_of(messages=(message,)))["messages"][0]["content"] == "wait"


def test_thoughts_go_back_only_to_an_upstream_that_takes_them() -> None:
    thinking = Message(Role.ASSISTANT, (TextPart("a"),), reasoning="hm")
    silent = Message(Role.ASSISTANT, (TextPart("b"),))
    turn = turn_of(messages=(thinking, silent))
    assert all("reasoning_content" not in message for message in sent(turn)["messages"])
    first, second = sent(turn, reasoning_back=True)["messages"]
    assert first == {"role": "assistant", "content": "a", "reasoning_content": "hm"}
    assert "reasoning_content" not in second


def test_an_upstream_may_want_the_developer_role() -> None:
    turn = turn_of(messages=(said("x", Role.DEVELOPER),))
    assert sent(turn, developer_role=True)["messages"][0]["role"] == "developer"


def test_an_upstream_may_want_the_older_limit_field() -> None:
    body = sent(turn_of(output_tokens_max=5), output_limit_field=OutputLimitField.MAX_TOKENS)
    assert body["max_tokens"] == 5
    assert "max_completion_tokens" not in body


@pytest.mark.parametrize("field", EndCustomerField)
def test_where_the_end_customer_goes(field: EndCustomerField) -> None:
    body = sent(turn_of(end_customer="c-1"), end_customer_field=field)
    found = {name: body[name] for name in ("user", "safety_identifier") if name in body}
    assert found == ({} if field is EndCustomerField.NONE else {field.value: "c-1"})


def test_only_chosen_hints_are_passed_on_and_none_replaces_ours() -> None:
    hints = {"verbosity": "low", "other": "x", "stream": "no", "model": "mine"}
    turn = turn_of(hints=hints)
    assert "verbosity" not in sent(turn)
    body = sent(turn, hints=frozenset(hints) - {"other"})
    assert body["verbosity"] == "low"
    assert body["stream"] is True
    assert body["model"] == "far-model"
    assert "other" not in body


def test_half_a_surrogate_pair_is_the_callers_fault() -> None:
    with pytest.raises(Problem) as caught:
        sent(turn_of("\ud83d"))
    assert caught.value.code is Code.INVALID_VALUE
    assert caught.value.param == "messages"


@given(
    st.text(st.characters(codec="utf-8")),
    st.none() | st.integers(0, 10**6),
    st.none() | st.floats(0, 2),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.lists(st.text(st.characters(codec="utf-8"), min_size=1), max_size=4),
    st.integers(1, 8),
)
def test_any_turn_is_one_json_object_that_says_what_was_asked(
    text: str,
    limit: int | None,
    temperature: float | None,
    seed: int | None,
    stops: list[str],
    choices: int,
) -> None:
    sampling = Sampling(temperature=temperature, seed=seed, stop=tuple(stops))
    body = sent(turn_of(text, output_tokens_max=limit, sampling=sampling, choices=choices))
    assert body["messages"][0]["content"] == text
    assert body.get("max_completion_tokens") == limit
    assert body.get("temperature") == temperature
    assert body.get("seed") == seed
    assert body.get("stop", []) == stops
    assert body.get("n", 1) == choices
    assert body["stream"] is True


def completion(**fields: Any) -> dict[str, Any]:
    options = UpstreamOptions("http://far", "far-model")
    turn = turn_of("once", raw=True, **fields)
    made: dict[str, Any] = json.loads(completion_body(turn, options))
    return made


def test_a_raw_prompt_goes_out_as_it_is() -> None:
    assert completion() == {
        "model": "far-model",
        "prompt": "once",
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    said = completion(
        output_tokens_max=5,
        choices=2,
        logprobs=LogprobsAsk(0),
        suffix="end",
        sampling=Sampling(stop=("x",), seed=3),
        end_customer="ann",
    )
    assert said.items() >= {"max_tokens": 5, "n": 2, "logprobs": 0, "suffix": "end"}.items()
    assert said.items() >= {"stop": ["x"], "seed": 3, "user": "ann"}.items()
    assert not {"max_completion_tokens", "messages", "top_logprobs"} & said.keys()


def test_media_that_nobody_took_in_never_leaves() -> None:
    message = Message(Role.USER, (DocumentPart("https://x/y.pdf", "messages[0]"),))
    with pytest.raises(Problem) as caught:
        chat_body(turn_of(messages=(message,)), UpstreamOptions("http://far/v1", "m"))
    assert (caught.value.code, caught.value.param) == (Code.UNSUPPORTED_FEATURE, "messages[0]")
