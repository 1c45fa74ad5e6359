"""Embeddings through the official `openai` package: a real model, a scripted one, an upstream."""

from collections.abc import Iterator
from itertools import pairwise

import openai
import pytest

from tests.outside.api.conftest import Running


@pytest.fixture
def client(running: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=running.secret, base_url=running.base_url, max_retries=0) as made:
        yield made


def balance_nano(client: openai.OpenAI) -> int:
    return client.get("/balance", cast_to=object)["spendable"]["amount_nano"]


def likeness(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_a_real_model_knows_what_is_alike(client: openai.OpenAI) -> None:
    before = balance_nano(client)
    texts = ["a cat sleeps on the sofa", "the kitten naps on a couch", "shares fell on the market"]
    answer = client.embeddings.create(model="potion", input=texts)
    cat, kitten, shares = (row.embedding for row in answer.data)
    assert len(cat) == 256
    assert likeness(cat, cat) == pytest.approx(1, abs=1e-5)
    assert likeness(cat, kitten) > likeness(cat, shares) + 0.2
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 10
    assert balance_nano(client) == before - answer.usage.model_extra["cost"]["amount_nano"] < before


@pytest.mark.parametrize("model", ["potion", "demo", "far"])
def test_both_formats_and_fewer_dimensions(client: openai.OpenAI, model: str) -> None:
    packed = client.embeddings.create(model=model, input="once upon a time")
    plain = client.embeddings.create(model=model, input="once upon a time", encoding_format="float")
    assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-6)
    short = client.embeddings.create(model=model, input=["a", "b"], dimensions=16)
    assert [len(row.embedding) for row in short.data] == [16, 16]
    assert [row.index for row in short.data] == [0, 1]


@pytest.mark.parametrize(
    ("fields", "kind", "param"),
    [
        ({"model": "plain"}, openai.BadRequestError, "model"),
        ({"model": "none-such"}, openai.NotFoundError, "model"),
        ({"input": [1, 2]}, openai.BadRequestError, "input"),
        ({"dimensions": 1000}, openai.BadRequestError, "dimensions"),
        ({"input": "word " * 9000}, openai.BadRequestError, "input"),
        ({"model": "broken"}, openai.InternalServerError, None),
    ],
)
def test_errors_name_the_parameter(client: openai.OpenAI, fields, kind, param) -> None:
    before = balance_nano(client)
    with pytest.raises(kind) as refused:
        client.embeddings.create(**{"model": "potion", "input": "hi", **fields})
    assert refused.value.body.get("param") == param
    assert balance_nano(client) == before


def test_a_model_of_vectors_writes_no_text(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="potion", messages=[{"role": "user", "content": "hi"}])
    assert refused.value.body["param"] == "model"
    row = client.models.retrieve("potion").model_dump()
    assert row["modalities"] == {"input": ["text"], "output": ["embedding"]}
    assert row["features"] == ["embeddings"]


def test_the_record_and_receipt_are_those_of_a_call(client: openai.OpenAI) -> None:
    raw = client.embeddings.with_raw_response.create(model="potion", input=["a"] * 64)
    record = client.get(f"/requests/{raw.headers['x-request-id']}", cast_to=object)
    assert (record["status"], record["usage"]["completion_tokens"]) == ("completed", 0)
    assert record["cost"]["amount_nano"] == record["held"]["amount_nano"] > 0
    assert all(one.index < other.index for one, other in pairwise(raw.parse().data))
