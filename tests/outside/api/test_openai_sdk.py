"""The official `openai` package, unmodified, against a running instance."""

import asyncio
from collections.abc import Iterator

import openai
import pytest
from pydantic import BaseModel

from tests.outside.api.conftest import Running

HELLO = [{"role": "user", "content": "hello there"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a place",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string"}},
            "required": ["place"],
        },
    },
}


@pytest.fixture
def client(running: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=running.secret, base_url=running.base_url, max_retries=0) as made:
        yield made


def balance_nano(client: openai.OpenAI) -> int:
    return client.get("/balance", cast_to=object)["spendable"]["amount_nano"]


def test_a_whole_answer_has_its_text_usage_and_exact_cost(client):
    before = balance_nano(client)
    answer = client.chat.completions.create(model="demo", messages=HELLO)
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.content
    assert answer.usage.completion_tokens == 16
    cost = answer.usage.model_extra["cost"]
    assert balance_nano(client) == before - cost["amount_nano"]
    assert cost["currency"] == "USD"


def test_a_stream_folds_to_the_same_text_and_tells_its_cost_last(client):
    whole = client.chat.completions.create(model="demo", messages=HELLO)
    before = balance_nano(client)
    with client.chat.completions.create(
        model="demo", messages=HELLO, stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    reasons = [c.choices[0].finish_reason for c in chunks if c.choices]
    assert [r for r in reasons if r] == ["stop"]
    usage = chunks[-1].usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (
        whole.usage.prompt_tokens,
        whole.usage.completion_tokens,
    )
    assert balance_nano(client) == before - usage.model_extra["cost"]["amount_nano"]


def test_the_stream_helper_of_the_sdk_works(client):
    with client.chat.completions.stream(model="demo", messages=HELLO) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion()
    assert "content.delta" in kinds
    assert final.choices[0].message.content


def test_the_async_client_works(running):
    async def ask() -> list[str]:
        async with openai.AsyncOpenAI(
            api_key=running.secret, base_url=running.base_url, max_retries=0
        ) as client:
            answers = await asyncio.gather(
                *(client.chat.completions.create(model="demo", messages=HELLO) for _ in range(10))
            )
            return [a.choices[0].message.content or "" for a in answers]

    assert len(set(asyncio.run(ask()))) == 1


def test_tools_come_back_as_calls_and_their_results_are_accepted(client):
    asked = client.chat.completions.create(
        model="demo", messages=HELLO, tools=[TOOL], tool_choice="required"
    )
    call = asked.choices[0].message.tool_calls[0]
    assert asked.choices[0].finish_reason == "tool_calls"
    assert call.function.name == "weather"
    follow_up = [
        *HELLO,
        asked.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ]
    answer = client.chat.completions.create(model="demo", messages=follow_up, tools=[TOOL])
    assert answer.usage.prompt_tokens > asked.usage.prompt_tokens


def test_structured_output_parses(client):
    class Place(BaseModel):
        name: str
        people: int

    parsed = client.chat.completions.parse(model="demo", messages=HELLO, response_format=Place)
    assert isinstance(parsed.choices[0].message.parsed, Place)


def test_choices_stop_seed_and_logprobs(client):
    answer = client.chat.completions.create(
        model="demo", messages=HELLO, n=3, seed=7, logprobs=True, top_logprobs=2, max_tokens=6
    )
    assert [c.index for c in answer.choices] == [0, 1, 2]
    assert {c.finish_reason for c in answer.choices} == {"length"}
    for choice in answer.choices:
        assert len(choice.logprobs.content) == 6
        assert all(len(x.top_logprobs) == 2 for x in choice.logprobs.content)
    assert answer.usage.completion_tokens == 18
    words = answer.choices[0].message.content.split()
    again = client.chat.completions.create(model="demo", messages=HELLO, seed=7, stop=words[2])
    assert again.choices[0].message.content.split() == words[:2]
    assert again.choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("fields", "kind", "param"),
    [
        ({"model": "none-such"}, openai.NotFoundError, "model"),
        ({"messages": []}, openai.BadRequestError, "messages"),
        ({"temperature": 9}, openai.BadRequestError, "temperature"),
        ({"max_tokens": 10**9}, openai.BadRequestError, "max_completion_tokens"),
        ({"max_tokens": -1}, openai.BadRequestError, "max_tokens"),
        ({"model": "plain", "seed": 1}, openai.BadRequestError, "seed"),
        ({"model": "priceless"}, openai.BadRequestError, "model"),
        ({"model": "broken"}, openai.InternalServerError, None),
    ],
)
def test_errors_are_the_sdks_own_classes_and_name_the_parameter(client, fields, kind, param):
    with pytest.raises(kind) as refused:
        client.chat.completions.create(**{"model": "demo", "messages": HELLO, **fields})
    error = refused.value
    assert error.body["code"]
    assert error.body.get("param") == param
    assert error.request_id == error.body["request_id"]
    assert error.request_id.startswith("req_")


def test_a_wrong_key_is_an_authentication_error(running):
    with openai.OpenAI(api_key="sk-wrong", base_url=running.base_url, max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError):
            client.models.list()
        with pytest.raises(openai.AuthenticationError):
            client.chat.completions.create(model="demo", messages=HELLO)


def test_a_failure_inside_a_stream_reaches_the_reader_as_an_error(client):
    seen = []
    with (
        pytest.raises(openai.APIError) as broken,
        client.chat.completions.create(model="breaks-late", messages=HELLO, stream=True) as stream,
    ):
        seen.extend(chunk.choices[0].delta.content for chunk in stream)
    assert len([s for s in seen if s]) == 3
    assert broken.value.code == "engine_failed"


def test_models_are_listed_and_found(client):
    listed = [model.id for model in client.models.list()]
    assert {"demo", "slow", "echo"} <= set(listed)
    assert client.models.retrieve("demo").id == "demo"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("none-such")


def test_a_retry_of_the_sdk_is_a_call_of_its_own(running):
    """The SDK retries a 502 by itself; each try holds and voids money of its own."""
    with openai.OpenAI(api_key=running.secret, base_url=running.base_url, max_retries=2) as client:
        before = balance_nano(client)
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(model="broken", messages=HELLO)
        assert balance_nano(client) == before
        newest = client.get("/requests?limit=3", cast_to=object)["data"]
        assert [r["status"] for r in newest] == ["engine_failed"] * 3
        assert {r["cost"]["amount_nano"] for r in newest} == {0}
