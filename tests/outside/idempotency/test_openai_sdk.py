"""The official `openai` package with an Idempotency-Key, unmodified, against two replicas."""

import threading
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.outside.idempotency.conftest import Pair
from tests.support.attack import records, spent_nano, until
from tokenbooth.gateway.replay import REPLAYED

HELLO = [{"role": "user", "content": "hello there"}]


@pytest.fixture
def client(pair: Pair) -> Iterator[openai.OpenAI]:
    base_url = f"{pair.first.base_url}/v1"
    with openai.OpenAI(api_key=pair.secret, base_url=base_url, max_retries=0) as made:
        yield made


@pytest.fixture
def elsewhere(pair: Pair) -> Iterator[openai.OpenAI]:
    """The same caller at the other replica."""
    base_url = f"{pair.second.base_url}/v1"
    with openai.OpenAI(api_key=pair.secret, base_url=base_url, max_retries=5) as made:
        yield made


def under(key: str) -> dict[str, Any]:
    return {"extra_headers": {"Idempotency-Key": key}}


def test_the_same_call_twice_is_one_answer_and_one_charge(pair, client, elsewhere):
    before = spent_nano(pair.first, pair.secret)
    first = client.chat.completions.create(model="demo", messages=HELLO, **under("sdk-whole"))
    paid = spent_nano(pair.first, pair.secret) - before
    assert paid == first.usage.model_extra["cost"]["amount_nano"] > 0
    for other in (client, elsewhere):
        again = other.chat.completions.create(model="demo", messages=HELLO, **under("sdk-whole"))
        assert again == first
    assert spent_nano(pair.second, pair.secret) - before == paid


def test_the_header_names_the_call_that_was_paid(client):
    raw = client.chat.completions.with_raw_response
    first = raw.create(model="demo", messages=HELLO, **under("sdk-raw"))
    again = raw.create(model="demo", messages=HELLO, **under("sdk-raw"))
    assert REPLAYED not in first.headers
    assert again.headers[REPLAYED] == first.headers["x-request-id"]
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert again.content == first.content
    paid = client.get(f"/requests/{again.headers[REPLAYED]}", cast_to=object)
    assert paid["status"] == "completed"


def test_a_stream_replays_as_a_stream(pair, client, elsewhere):
    def chunks(by: openai.OpenAI) -> list[dict[str, Any]]:
        with by.chat.completions.create(
            model="demo",
            messages=HELLO,
            stream=True,
            stream_options={"include_usage": True},
            **under("sdk-stream"),
        ) as stream:
            return [chunk.model_dump() for chunk in stream]

    before = spent_nano(pair.first, pair.secret)
    first = chunks(client)
    assert len(first) > 10
    assert chunks(client) == first
    assert chunks(elsewhere) == first
    cost = first[-1]["usage"]["cost"]["amount_nano"]
    assert spent_nano(pair.first, pair.secret) - before == cost


def test_another_body_is_the_sdks_unprocessable_entity(client):
    client.chat.completions.create(model="demo", messages=HELLO, **under("sdk-body"))
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        client.chat.completions.create(model="demo", messages=HELLO, seed=7, **under("sdk-body"))
    assert refused.value.code == "idempotency_key_reused"


def test_while_it_runs_the_sdk_is_told_to_wait_and_gets_the_answer(pair, client, elsewhere):
    """The client elsewhere sees 409 first, retries by itself as it is told, and gets the replay."""
    before = spent_nano(pair.first, pair.secret)
    heard: list[Any] = []

    def run() -> None:
        heard.append(
            client.chat.completions.create(model="two-seconds", messages=HELLO, **under("sdk-run"))
        )

    caller = threading.Thread(target=run)
    caller.start()
    until(lambda: records(pair.first, pair.secret)[0]["status"] == "running")
    with pytest.raises(openai.ConflictError) as busy:
        client.chat.completions.create(model="two-seconds", messages=HELLO, **under("sdk-run"))
    assert busy.value.code == "idempotency_key_in_use"
    assert busy.value.response.headers["retry-after"] == "1"
    again = elsewhere.chat.completions.with_raw_response.create(
        model="two-seconds", messages=HELLO, **under("sdk-run")
    )
    caller.join()
    assert again.retries_taken >= 1
    assert again.parse() == heard[0]
    cost = heard[0].usage.model_extra["cost"]["amount_nano"]
    assert spent_nano(pair.first, pair.secret) - before == cost


def test_a_failure_is_retried_by_the_sdk_under_the_same_key(pair, elsewhere):
    """A 502 frees the key, so that each of the SDK's own retries is a new try."""
    before = spent_nano(pair.first, pair.secret)
    with pytest.raises(openai.InternalServerError):
        elsewhere.with_options(max_retries=2).chat.completions.create(
            model="broken", messages=HELLO, **under("sdk-broken")
        )
    newest = elsewhere.get("/requests?limit=3", cast_to=object)["data"]
    assert [record["status"] for record in newest] == ["engine_failed"] * 3
    assert spent_nano(pair.first, pair.secret) == before
    answer = elsewhere.chat.completions.create(model="demo", messages=HELLO, **under("sdk-broken"))
    assert answer.choices[0].message.content


def test_a_call_that_cannot_be_replayed_is_not_retried_by_the_sdk(pair, client, elsewhere):
    client.chat.completions.create(model="long", messages=HELLO, stream=False, **under("sdk-long"))
    big = client.with_options(max_retries=0).chat.completions.with_raw_response.create(
        model="long", messages=HELLO, stream=True, **under("sdk-long-stream")
    )
    size_bytes = sum(len(piece) for piece in big.http_response.iter_bytes())
    assert size_bytes > 1024 * 1024
    with pytest.raises(openai.ConflictError) as refused:
        elsewhere.chat.completions.create(
            model="long", messages=HELLO, stream=True, **under("sdk-long-stream")
        )
    error = refused.value
    assert error.code == "idempotency_replay_unavailable"
    assert error.body["reason"] == "too_large"
    assert error.body["outcome"] == "completed"
    assert error.response.headers["x-should-retry"] == "false"
    record = client.get(f"/requests/{error.body['original_request_id']}", cast_to=object)
    assert record["cost"]["amount_nano"] > 0
