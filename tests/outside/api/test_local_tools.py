"""Tools and structured answers of a real small model, by the official clients, in all dialects."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from tests.outside.api.conftest import Running
from tests.support.agent_tools import SCHEMAS
from tests.support.instances import add_local, new_account
from tests.support.weights import smollm2
from tokenbooth.proving.instance import PrivateInstance

MODEL = "small"
QUESTION = "What is the weather in Paris?"
HELLO = [{"role": "user", "content": QUESTION}]
EXACT = {"temperature": 0}
PLACE = {
    "type": "object",
    "properties": {"place": {"type": "string", "maxLength": 40}},
    "required": ["place"],
    "additionalProperties": False,
}
WEATHER = {"name": "weather", "description": "The weather of a place", "parameters": PLACE}
CHAT_TOOL = {"type": "function", "function": WEATHER}
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 130},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with PrivateInstance(tmp_path_factory.mktemp("local")) as instance:
        add_local(instance, MODEL, str(smollm2()))
        secret = new_account(instance, "acme")
        yield Running(instance, instance.start(), secret, secret)
        assert instance.stop() == 0, instance.log_tail()


@pytest.fixture(scope="module")
def chat(running: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=running.secret, base_url=running.base_url, max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def claude(running: Running) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        api_key=running.secret, base_url=running.address.base_url, max_retries=0
    ) as made:
        yield made


def asked(client: openai.OpenAI, **fields: Any) -> Any:
    body = {"model": MODEL, "messages": HELLO, "max_tokens": 60, "temperature": 0, **fields}
    return client.chat.completions.create(**body)


def fields_of(arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(arguments)
    assert set(found) == {"place"}
    assert isinstance(found["place"], str)
    return found


@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "weather"}}]
)
def test_a_forced_tool_is_called_with_valid_arguments(chat, choice):
    answer = asked(chat, tools=[CHAT_TOOL], tool_choice=choice, parallel_tool_calls=False)
    (call,) = answer.choices[0].message.tool_calls
    assert answer.choices[0].finish_reason == "tool_calls"
    assert call.function.name == "weather"
    fields_of(call.function.arguments)
    assert answer.choices[0].message.content is None


def test_a_stream_brings_arguments_as_they_are_written(chat):
    forced = {"tools": [CHAT_TOOL], "tool_choice": "required", "parallel_tool_calls": False}
    whole = asked(chat, **forced).choices[0].message.tool_calls[0].function
    with asked(chat, **forced, stream=True) as stream:
        deltas = [chunk.choices[0].delta for chunk in stream if chunk.choices]
    pieces = [delta.tool_calls[0] for delta in deltas if delta.tool_calls]
    arguments = [piece.function.arguments for piece in pieces if piece.function.arguments]
    assert pieces[0].function.name == whole.name
    assert "".join(arguments) == whole.arguments
    assert len(arguments) > 3


def test_none_and_auto_are_text_where_the_model_calls_nothing(chat):
    for choice in ("none", "auto"):
        answer = asked(chat, tools=[CHAT_TOOL], tool_choice=choice, max_tokens=10)
        message = answer.choices[0].message
        assert message.content or message.tool_calls
        assert message.tool_calls is None or choice == "auto"


def test_allowed_tools_leave_the_others_out(chat):
    other = {"type": "function", "function": {**WEATHER, "name": "other"}}
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "other"}}]}
    answer = asked(
        chat,
        tools=[CHAT_TOOL, other],
        tool_choice={"type": "allowed_tools", "allowed_tools": allowed},
        parallel_tool_calls=False,
    )
    assert [call.function.name for call in answer.choices[0].message.tool_calls] == ["other"]


def test_a_whole_round_is_read_and_counted(chat):
    called = {"id": "c1", "type": "function"}
    follow_up = [
        *HELLO,
        {
            "role": "assistant",
            "tool_calls": [
                {**called, "function": {"name": "weather", "arguments": '{"place":"Paris"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "Sunny, 21 degrees."},
    ]
    answer = asked(chat, messages=follow_up, tools=[CHAT_TOOL], tool_choice="none", max_tokens=20)
    assert answer.choices[0].message.content
    assert answer.usage.prompt_tokens > 60


def test_schemas_of_agents_are_taken_and_what_is_not_enforced_is_told(chat):
    tools = [
        {"type": "function", "function": {"name": name, "parameters": schema}}
        for name, schema in SCHEMAS.items()
        if name in ("mcp__db__query", "Search", "Tasks")
    ]
    raw = chat.chat.completions.with_raw_response.create(
        model=MODEL, messages=HELLO, tools=tools, tool_choice="required", max_tokens=40,
        parallel_tool_calls=False, temperature=0,
    )  # fmt: skip
    (choice,) = raw.parse().choices
    (call,) = choice.message.tool_calls
    assert call.function.name in SCHEMAS
    assert choice.finish_reason == "length" or isinstance(json.loads(call.function.arguments), dict)
    notes = raw.headers["x-tokenbooth-notes"]
    assert "tools=not enforced while written: anyOf beside properties" in notes
    assert raw.headers["x-tokenbooth-tool-arguments"] in ("validated", "invalid")


def test_messages_call_tools_and_count_them_as_the_engine_does(claude):
    tool = {"name": "weather", "description": "The weather of a place", "input_schema": PLACE}
    fields = {
        "model": MODEL,
        "messages": HELLO,
        "tools": [tool],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
    }
    answer = claude.messages.create(**fields, max_tokens=60, extra_body=EXACT)
    (use,) = answer.content
    assert answer.stop_reason == "tool_use"
    assert set(use.input) == {"place"}
    assert claude.messages.count_tokens(**fields).input_tokens == answer.usage.input_tokens
    with claude.messages.stream(**fields, max_tokens=60, extra_body=EXACT) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_message()
    assert "input_json" in kinds
    assert final.content[0].input == use.input


def test_responses_call_functions_and_custom_tools(chat):
    function = {"type": "function", **WEATHER, "strict": True}
    fields = {"model": MODEL, "input": QUESTION, "max_output_tokens": 60, "temperature": 0}
    answer = chat.responses.create(
        **fields, tools=[function, {"type": "web_search"}], tool_choice="required",
        parallel_tool_calls=False,
    )  # fmt: skip
    (call,) = [item for item in answer.output if item.type == "function_call"]
    fields_of(call.arguments)
    custom = {"type": "custom", "name": "note", "description": "Writes a short note"}
    answer = chat.responses.create(
        **fields, tools=[custom], tool_choice={"type": "custom", "name": "note"}
    )
    (call,) = [item for item in answer.output if item.type == "custom_tool_call"]
    assert call.name == "note"
    assert call.input


def form(name: str = "person") -> dict[str, Any]:
    return {"name": name, "schema": PERSON, "strict": True}


def checked(text: str) -> None:
    found = json.loads(text)
    assert set(found) == {"name", "age"}
    assert 0 <= found["age"] <= 130


def test_a_schema_is_kept_in_every_dialect_and_the_answer_says_how(chat, claude):
    raw = chat.chat.completions.with_raw_response.create(
        model=MODEL, messages=HELLO, max_tokens=60, temperature=0,
        response_format={"type": "json_schema", "json_schema": form()},
    )  # fmt: skip
    checked(raw.parse().choices[0].message.content)
    assert raw.headers["x-tokenbooth-structured"] == "constrained"
    answer = chat.responses.create(
        model=MODEL, input=QUESTION, max_output_tokens=60, temperature=0,
        text={"format": {"type": "json_schema", **form()}},
    )  # fmt: skip
    checked(answer.output_text)
    said = claude.messages.create(
        model=MODEL, messages=HELLO, max_tokens=60, extra_body=EXACT,
        output_config={"format": {"type": "json_schema", "schema": PERSON}},
    )  # fmt: skip
    checked(said.content[0].text)


def test_the_model_says_that_it_can(chat):
    shown = chat.models.retrieve(MODEL)
    assert {"tools", "json_schema", "json_object"} <= set(shown.model_extra["features"])
