"""The official `openai` package's Responses client, unmodified, against a running instance."""

import asyncio
import json
from collections.abc import Iterator

import openai
import pytest
from pydantic import BaseModel

from tests.outside.api.conftest import Running

TOOL = {
    "type": "function",
    "name": "weather",
    "description": "The weather of a place",
    "parameters": {
        "type": "object",
        "properties": {"place": {"type": "string"}},
        "required": ["place"],
    },
    "strict": False,
}


@pytest.fixture
def client(running: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=running.secret, base_url=running.base_url, max_retries=0) as made:
        yield made


def balance_nano(client: openai.OpenAI) -> int:
    return client.get("/balance", cast_to=object)["spendable"]["amount_nano"]


def test_a_whole_answer_has_its_text_usage_and_exact_cost(client):
    before = balance_nano(client)
    answer = client.responses.create(model="demo", input="hello there", instructions="Be kind.")
    assert answer.status == "completed"
    assert answer.output_text
    assert answer.instructions == "Be kind."
    assert answer.usage.output_tokens == 16
    cost = answer.usage.model_extra["cost"]
    assert balance_nano(client) == before - cost["amount_nano"]
    call = client.get(f"/requests/req_{answer.id.removeprefix('resp_')}", cast_to=object)
    assert call["cost"]["amount_nano"] == cost["amount_nano"]


def test_both_dialects_charge_the_same_for_the_same(client):
    answer = client.responses.create(model="demo", input="hello there")
    chat = client.chat.completions.create(
        model="demo", messages=[{"role": "user", "content": "hello there"}]
    )
    assert chat.choices[0].message.content == answer.output_text
    assert chat.usage.prompt_tokens == answer.usage.input_tokens
    assert chat.usage.model_extra["cost"] == answer.usage.model_extra["cost"]


def test_a_stream_folds_to_the_same_text_and_tells_its_cost_last(client):
    whole = client.responses.create(model="demo", input="hello there")
    before = balance_nano(client)
    with client.responses.create(model="demo", input="hello there", stream=True) as stream:
        events = list(stream)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == whole.output_text == events[-1].response.output_text
    assert events[-1].type == "response.completed"
    usage = events[-1].response.usage
    assert usage.output_tokens == whole.usage.output_tokens
    assert balance_nano(client) == before - usage.model_extra["cost"]["amount_nano"]


def test_the_stream_helper_of_the_sdk_works(client):
    with client.responses.stream(model="demo", input="hello there", tools=[TOOL]) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert "response.output_text.delta" in kinds
    assert final.output_text


def test_the_async_client_works(running):
    async def ask() -> list[str]:
        async with openai.AsyncOpenAI(
            api_key=running.secret, base_url=running.base_url, max_retries=0
        ) as client:
            answers = await asyncio.gather(
                *(client.responses.create(model="demo", input="hello") for _ in range(5))
            )
            return [answer.output_text for answer in answers]

    assert len(set(asyncio.run(ask()))) == 1


@pytest.mark.parametrize("streamed", [False, True])
def test_tools_come_back_as_calls_and_their_results_are_accepted(client, streamed):
    asked = {"model": "demo", "tools": [TOOL], "input": [{"role": "user", "content": "hello"}]}
    if streamed:
        with client.responses.stream(**asked, tool_choice="required") as stream:
            stream.until_done()
            first = stream.get_final_response()
    else:
        first = client.responses.create(**asked, tool_choice="required")
    (call,) = first.output
    assert call.type == "function_call"
    assert call.name == "weather"
    assert json.loads(call.arguments).keys() == {"place"}
    follow_up = [
        *asked["input"],
        *(item.model_dump() for item in first.output),
        {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"},
    ]
    answer = client.responses.create(model="demo", tools=[TOOL], input=follow_up)
    assert answer.output_text
    assert answer.usage.input_tokens > first.usage.input_tokens


def test_a_custom_tool_is_called_with_its_text(client):
    custom = {"type": "custom", "name": "patch", "description": "Applies a patch."}
    answer = client.responses.create(
        model="demo",
        input="hello",
        tools=[custom],
        tool_choice={"type": "custom", "name": "patch"},
    )
    (call,) = answer.output
    assert call.type == "custom_tool_call"
    assert call.name == "patch"
    assert isinstance(call.input, str)


def test_structured_output_parses(client):
    class Place(BaseModel):
        name: str
        people: int

    parsed = client.responses.parse(model="demo", input="hello", text_format=Place)
    assert isinstance(parsed.output_parsed, Place)


def test_an_answer_that_was_cut_is_incomplete(client):
    answer = client.responses.create(model="demo", input="hello", max_output_tokens=3)
    assert answer.status == "incomplete"
    assert answer.incomplete_details.reason == "max_output_tokens"
    assert answer.output[0].status == "incomplete"
    assert answer.usage.output_tokens == 3


def test_what_is_not_honoured_stands_in_a_header(client):
    raw = client.responses.with_raw_response.create(
        model="demo",
        input="hello",
        truncation="auto",
        tools=[{"type": "web_search"}],
        include=["web_search_call.results"],
        extra_body={"zebra": 1},
    )
    notes = raw.headers["x-tokenbooth-notes"]
    assert "truncation=ignored" in notes
    assert "tools[].type=web_search=skipped" in notes
    assert "include=web_search_call.results=ignored" in notes
    assert "zebra=ignored: unknown here" in notes
    body = json.loads(raw.content)
    assert body["store"] is True
    assert body["tools"] == []


@pytest.mark.parametrize(
    ("fields", "kind", "param"),
    [
        ({"model": "none-such"}, openai.NotFoundError, "model"),
        ({"input": []}, openai.BadRequestError, "input"),
        ({"temperature": 9}, openai.BadRequestError, "temperature"),
        ({"max_output_tokens": 10**9}, openai.BadRequestError, "max_output_tokens"),
        ({"previous_response_id": "resp_1"}, openai.NotFoundError, "previous_response_id"),
        ({"background": True, "store": False}, openai.BadRequestError, "background"),
        ({"model": "plain", "tools": [TOOL]}, openai.BadRequestError, "tools"),
        ({"model": "broken"}, openai.InternalServerError, None),
    ],
)
def test_errors_are_the_sdks_own_classes_and_name_the_parameter(client, fields, kind, param):
    with pytest.raises(kind) as refused:
        client.responses.create(**{"model": "demo", "input": "hello", **fields})
    error = refused.value
    assert error.body["code"]
    assert error.body.get("param") == param
    assert error.request_id == error.body["request_id"]


def test_a_failure_inside_a_stream_is_a_failed_response(client):
    with client.responses.create(model="breaks-late", input="hello", stream=True) as stream:
        events = list(stream)
    assert len([e for e in events if e.type == "response.output_text.delta"]) == 3
    failed = events[-1]
    assert failed.type == "response.failed"
    assert failed.response.status == "failed"
    assert failed.response.error.code == "server_error"
    assert failed.response.error.model_extra["tokenbooth_code"] == "engine_failed"
