"""Responses that nobody waits for, through the official `openai` package, and a killed server."""

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.outside.api.conftest import Running
from tests.outside.api.test_openai_responses import balance_nano
from tests.support.instances import Script, add_scripts, new_account
from tokenbooth.proving.instance import PrivateInstance

DONE = {"completed", "failed", "incomplete", "cancelled"}


@pytest.fixture
def client(running: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=running.secret, base_url=running.base_url, max_retries=0) as made:
        yield made


@pytest.fixture
def foreign(running: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=running.foreign, base_url=running.base_url, max_retries=0) as made:
        yield made


def ended(client: openai.OpenAI, response_id: str) -> Any:
    """The response once it is over; following its stream is the wait."""
    followed(client, response_id)
    return client.responses.retrieve(response_id)


def followed(client: openai.OpenAI, response_id: str, **query) -> list[Any]:
    with client.responses.retrieve(response_id, stream=True, **query) as stream:
        return list(stream)


def record_of(client: openai.OpenAI, response_id: str) -> Any:
    return client.get(f"/requests/req_{response_id.removeprefix('resp_')}", cast_to=object)


def begun(client: openai.OpenAI, model: str, events: int = 5, **fields) -> tuple[str, list[Any]]:
    """A background stream that its caller leaves after so many events."""
    with client.responses.create(
        model=model, input="hello", background=True, stream=True, **fields
    ) as stream:
        seen = [event for event, _ in zip(stream, range(events), strict=False)]
    return seen[0].response.id, seen


def test_it_answers_at_once_runs_alone_and_is_charged_once(client):
    before = balance_nano(client)
    made = client.responses.create(model="demo", input="hello there", background=True)
    assert made.status == "queued"
    assert made.background is True
    assert made.output == []
    whole = client.responses.create(model="demo", input="hello there", store=False)
    found = ended(client, made.id)
    assert found.status == "completed"
    assert found.output_text == whole.output_text
    assert found.usage.model_extra["cost"] == whole.usage.model_extra["cost"]
    assert balance_nano(client) == before - 2 * found.usage.model_extra["cost"]["amount_nano"]
    again = client.responses.create(model="echo", input="go on", previous_response_id=made.id)
    assert again.output_text == "go on"


def test_a_stream_that_was_left_is_taken_up_where_it_was_and_is_whole(client):
    before = balance_nano(client)
    response_id, seen = begun(client, "demo", 7)
    rest = followed(client, response_id, starting_after=seen[-1].sequence_number)
    events = [*seen, *rest]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type == "response.completed"
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    found = client.responses.retrieve(response_id)
    assert text == found.output_text
    assert found.model_dump() == events[-1].response.model_dump()
    assert followed(client, response_id) == events
    assert followed(client, response_id, starting_after=len(events)) == []
    assert before - balance_nano(client) == found.usage.model_extra["cost"]["amount_nano"]


def test_many_follow_one_that_still_runs(running, client):
    response_id, seen = begun(client, "paced", 3)
    assert client.responses.retrieve(response_id).status == "in_progress"

    async def follow(after: int) -> list[int]:
        async with openai.AsyncOpenAI(api_key=running.secret, base_url=running.base_url) as other:
            stream = await other.responses.retrieve(response_id, stream=True, starting_after=after)
            return [event.sequence_number async for event in stream]

    async def all_of_them() -> list[list[int]]:
        return await asyncio.gather(*(follow(after) for after in range(6)))

    told = asyncio.run(all_of_them())
    last = told[0][-1]
    assert told == [list(range(after + 1, last + 1)) for after in range(6)]
    assert last > len(seen)


def test_a_cancelled_one_keeps_what_was_said_and_pays_for_that(client):
    response_id, _ = begun(client, "slow", 12)
    cancelled = client.responses.cancel(response_id)
    assert cancelled.status == "cancelled"
    assert cancelled.output_text
    assert cancelled.output[0].status == "incomplete"
    record = record_of(client, response_id)
    assert record["status"] == "client_gone"
    assert cancelled.usage.output_tokens == record["usage"]["completion_tokens"] > 0
    assert cancelled.usage.model_extra["cost"]["amount_nano"] == record["cost"]["amount_nano"]
    events = followed(client, response_id)
    assert events[-1].response.status == "cancelled"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert client.responses.cancel(response_id).model_dump() == cancelled.model_dump()


def test_only_its_own_project_follows_or_cancels_it(client, foreign):
    response_id, _ = begun(client, "slow", 3)
    for ask in (
        lambda: foreign.responses.cancel(response_id),
        lambda: foreign.responses.retrieve(response_id, stream=True),
        lambda: foreign.responses.retrieve(response_id),
    ):
        with pytest.raises(openai.NotFoundError):
            ask()
    assert client.responses.retrieve(response_id).status == "in_progress"
    with pytest.raises(openai.ConflictError):
        client.responses.delete(response_id)
    with pytest.raises(openai.ConflictError):
        client.responses.create(model="echo", input="x", previous_response_id=response_id)
    client.responses.cancel(response_id)
    client.responses.delete(response_id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response_id)


@pytest.mark.parametrize(("model", "said"), [("broken", ""), ("breaks-late", "words")])
def test_a_failure_is_told_by_the_response(client, model, said):
    made = client.responses.create(model=model, input="hello", background=True)
    events = followed(client, made.id)
    assert [event.type for event in events][-1] == "response.failed"
    found = client.responses.retrieve(made.id)
    assert (found.status, bool(found.output_text)) == ("failed", bool(said))
    assert found.error.code == "server_error"
    assert record_of(client, made.id)["cost"]["amount_nano"] == 0


@pytest.mark.parametrize(
    ("fields", "kind", "param"),
    [
        ({"store": False}, openai.BadRequestError, "background"),
        ({"model": "none-such"}, openai.NotFoundError, "model"),
        ({"model": "priceless"}, openai.APIStatusError, "model"),
    ],
)
def test_what_cannot_run_is_refused_at_once(client, fields, kind, param):
    with pytest.raises(kind) as refused:
        client.responses.create(**{"model": "demo", "input": "x", "background": True, **fields})
    assert refused.value.param == param


def test_only_background_responses_are_followed_and_cancelled(client):
    made = client.responses.create(model="echo", input="hi")
    for ask in (
        lambda: client.responses.cancel(made.id),
        lambda: client.responses.retrieve(made.id, stream=True),
    ):
        with pytest.raises(openai.BadRequestError):
            ask()
    with pytest.raises(openai.BadRequestError) as refused:
        client.get(f"/responses/{made.id}?stream=true&starting_after=x", cast_to=object)
    assert refused.value.param == "starting_after"


def test_a_killed_server_leaves_a_failed_response_with_what_was_said(tmp_path):
    with PrivateInstance(tmp_path / "home") as instance:
        add_scripts(instance, Script("slow", {"chunks": "2000", "chunk_delay_ms": "20"}))
        secret = new_account(instance, "acme")
        address = instance.start()
        with openai.OpenAI(api_key=secret, base_url=f"{address.base_url}/v1") as client:
            response_id, _ = begun(client, "slow", 60)
        instance.kill()
        address = instance.start()
        with openai.OpenAI(api_key=secret, base_url=f"{address.base_url}/v1") as client:
            found = client.responses.retrieve(response_id)
            assert found.status == "failed"
            assert found.output_text
            assert found.output[0].status == "incomplete"
            events = followed(client, response_id)
            assert [event.sequence_number for event in events] == list(range(len(events)))
            assert events[-1].type == "response.failed"
            record = record_of(client, response_id)
            assert record["status"] == "interrupted"
            assert found.usage.output_tokens == record["usage"]["completion_tokens"] > 0
            assert found.usage.output_tokens <= len(found.output_text.split())
        assert instance.stop() == 0
