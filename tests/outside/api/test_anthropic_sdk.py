"""The official `anthropic` package, unmodified, against a running instance."""

import asyncio
from collections.abc import Iterator

import anthropic
import pytest

from tests.outside.api.conftest import Running

HELLO = [{"role": "user", "content": "hello there"}]
TOOL = {
    "name": "weather",
    "description": "The weather of a place",
    "input_schema": {
        "type": "object",
        "properties": {"place": {"type": "string"}},
        "required": ["place"],
    },
}
CLOCK = {"name": "clock", "input_schema": {"type": "object"}}


@pytest.fixture
def client(running: Running) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        api_key=running.secret, base_url=running.address.base_url, max_retries=0
    ) as made:
        yield made


def ask(client: anthropic.Anthropic, **fields: object) -> anthropic.types.Message:
    body = {"model": "demo", "max_tokens": 100, "messages": HELLO, **fields}
    return client.messages.create(**body)


def balance_nano(client: anthropic.Anthropic) -> int:
    return client.get("/v1/balance", cast_to=object)["spendable"]["amount_nano"]


def test_a_whole_answer_has_its_text_usage_and_exact_cost(client):
    before = balance_nano(client)
    answer = ask(client)
    assert (answer.role, answer.stop_reason) == ("assistant", "end_turn")
    assert answer.content[0].text
    assert answer.usage.output_tokens == 16
    cost = answer.usage.model_extra["cost"]
    assert balance_nano(client) == before - cost["amount_nano"]
    assert answer.id == f"msg_{answer._request_id}"


def test_a_bearer_key_works_too(running):
    with anthropic.Anthropic(
        auth_token=running.secret, base_url=running.address.base_url, max_retries=0
    ) as client:
        assert ask(client).stop_reason == "end_turn"


def test_a_stream_folds_to_the_same_message(client):
    whole = ask(client)
    with client.messages.stream(model="demo", max_tokens=100, messages=HELLO) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == whole.content[0].text == final.content[0].text
    assert final.stop_reason == whole.stop_reason
    assert final.usage.input_tokens == whole.usage.input_tokens
    assert final.usage.output_tokens == whole.usage.output_tokens


def test_the_events_of_a_stream_come_in_order_and_tell_the_cost(client):
    before = balance_nano(client)
    with client.messages.create(
        model="demo", max_tokens=100, messages=HELLO, stream=True
    ) as stream:
        events = list(stream)
    kinds = [event.type for event in events]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(kinds[2:-3]) == {"content_block_delta"}
    assert events[0].message.usage.input_tokens == events[-2].usage.input_tokens
    cost = events[-2].usage.model_extra["cost"]
    assert balance_nano(client) == before - cost["amount_nano"]


def test_the_async_client_works(running):
    async def all_asked() -> list[str]:
        async with anthropic.AsyncAnthropic(
            api_key=running.secret, base_url=running.address.base_url, max_retries=0
        ) as client:
            answers = await asyncio.gather(
                *(
                    client.messages.create(model="demo", max_tokens=100, messages=HELLO)
                    for _ in range(10)
                )
            )
            return [answer.content[0].text for answer in answers]

    assert len(set(asyncio.run(all_asked()))) == 1


def test_a_tool_round_trip(client):
    asked = ask(client, tools=[TOOL], tool_choice={"type": "any"})
    (use,) = [block for block in asked.content if block.type == "tool_use"]
    assert asked.stop_reason == "tool_use"
    assert (use.name, set(use.input)) == ("weather", {"place"})
    follow_up = [
        *HELLO,
        {"role": "assistant", "content": [block.model_dump() for block in asked.content]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "sunny"}],
        },
    ]
    answer = ask(client, messages=follow_up, tools=[TOOL])
    assert answer.stop_reason == "end_turn"
    assert answer.usage.input_tokens > asked.usage.input_tokens


def test_parallel_tools_are_streamed_whole(client):
    question = [{"role": "user", "content": "weather and clock please"}]
    with client.messages.stream(
        model="demo", max_tokens=200, messages=question, tools=[TOOL, CLOCK]
    ) as stream:
        final = stream.get_final_message()
    whole = ask(client, messages=question, tools=[TOOL, CLOCK], max_tokens=200)
    uses = [(block.name, block.input) for block in final.content]
    assert uses == [(block.name, block.input) for block in whole.content]
    assert [name for name, _ in uses] == ["weather", "clock"]
    one = {"type": "auto", "disable_parallel_tool_use": True}
    single = ask(client, messages=question, tools=[TOOL, CLOCK], tool_choice=one)
    assert len(single.content) == 1


def test_thinking_is_read_and_goes_back(client):
    with client.messages.stream(model="thinker", max_tokens=100, messages=HELLO) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_message()
    assert {"thinking", "signature", "text"} <= kinds
    thought, said = final.content
    assert (thought.type, said.type) == ("thinking", "text")
    assert thought.thinking
    assert thought.signature
    assert final.usage.output_tokens_details.thinking_tokens == 8
    history = [*HELLO, {"role": "assistant", "content": final.content}, *HELLO]
    assert ask(client, model="thinker", messages=history).stop_reason == "end_turn"
    quiet = ask(client, model="thinker", thinking={"type": "disabled"})
    assert [block.type for block in quiet.content] == ["text"]


def test_length_and_stop_sequence(client):
    cut = ask(client, max_tokens=3)
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 3)
    word = cut.content[0].text.split()[1]
    stopped = ask(client, stop_sequences=[word])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", word)


def test_tokens_are_counted_for_free(client):
    before = balance_nano(client)
    found = client.messages.count_tokens(model="demo", messages=HELLO, system="Be kind.")
    assert found.input_tokens == ask(client, system="Be kind.").usage.input_tokens
    before_call = client.messages.count_tokens(model="demo", messages=HELLO).input_tokens
    assert before_call < found.input_tokens
    assert balance_nano(client) < before


def test_beta_fields_and_headers_are_never_refused(client):
    raw = client.beta.messages.with_raw_response.create(
        model="demo",
        max_tokens=50,
        messages=HELLO,
        betas=["unheard-of-2026-01-01"],
        context_management={"edits": [{"type": "clear_tool_uses_20250919"}]},
        extra_body={"novel": {"on": True}},
    )
    noted = raw.headers["x-tokenbooth-notes"]
    assert "context_management=ignored" in noted
    assert "novel=ignored" in noted
    assert raw.parse().stop_reason == "end_turn"


@pytest.mark.parametrize(
    ("fields", "kind", "param"),
    [
        ({"model": "none-such"}, anthropic.NotFoundError, "model"),
        ({"messages": []}, anthropic.BadRequestError, "messages"),
        ({"extra_body": {"temperature": 9}}, anthropic.BadRequestError, "temperature"),
        ({"max_tokens": 20_000}, anthropic.BadRequestError, "max_tokens"),
        (
            {"model": "plain", "stop_sequences": ["a"]},
            anthropic.BadRequestError,
            "stop_sequences",
        ),
        ({"model": "priceless"}, anthropic.BadRequestError, "model"),
        ({"model": "broken"}, anthropic.InternalServerError, None),
    ],
)
def test_errors_are_the_sdks_own_classes_and_name_the_parameter(client, fields, kind, param):
    with pytest.raises(kind) as refused:
        ask(client, **fields)
    error = refused.value
    assert error.body["type"] == "error"
    assert error.body["error"]["code"]
    assert error.body["error"]["param"] == param
    assert error.request_id == error.body["request_id"]
    assert error.request_id.startswith("req_")


def test_a_wrong_key_is_an_authentication_error(running):
    with (
        anthropic.Anthropic(
            api_key="sk-wrong", base_url=running.address.base_url, max_retries=0
        ) as client,
        pytest.raises(anthropic.AuthenticationError),
    ):
        ask(client)


def test_a_failure_inside_a_stream_reaches_the_reader_as_an_error(client):
    seen = []
    with (
        pytest.raises(anthropic.APIStatusError) as broken,
        client.messages.stream(model="breaks-late", max_tokens=100, messages=HELLO) as stream,
    ):
        seen.extend(stream.text_stream)
    assert len(seen) == 3
    assert broken.value.body["error"]["code"] == "engine_failed"


def test_a_slow_stream_is_kept_alive_by_pings(running):
    with (
        anthropic.Anthropic(
            api_key=running.secret, base_url=running.address.base_url, max_retries=0
        ) as client,
        client.messages.with_streaming_response.create(
            model="late", max_tokens=9, messages=HELLO, stream=True
        ) as answer,
    ):
        lines = [line for line in answer.iter_lines() if line.startswith("event: ")]
    assert lines[:2] == ["event: message_start", "event: ping"]
    assert lines[-1] == "event: message_stop"
