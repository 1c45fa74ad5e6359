"""The ten steps for embeddings: held and charged by the input alone."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from tests.support.booth import INPUT_PICO, MemoryBody, MemorySink, TestBooth, open_test_booth
from tokenbooth.core.ports import CallHead
from tokenbooth.core.receipt import Outcome
from tokenbooth.engines.scripted.values import Fault, ScriptOptions
from tokenbooth.gateway.serve import serve
from tokenbooth.protocols.openai_embeddings import OPENAI_EMBEDDINGS
from tokenbooth.safety.screening.service import Policy


def in_loop(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await scenario()

    asyncio.run(bounded())


async def ask(booth: TestBooth, **fields: Any) -> MemorySink:
    sink = MemorySink()
    head = CallHead("POST", "/v1/embeddings", {"authorization": f"Bearer {booth.secret}"}, {}, {})
    body = MemoryBody(json.dumps({"model": "demo", "input": "hello there", **fields}).encode())
    await serve(booth.rooms, OPENAI_EMBEDDINGS, booth.new_op(), head, body, sink)
    assert sink.ends == 1
    return sink


def test_only_input_is_charged(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, ScriptOptions(embedding_dimensions=4)) as booth:
            body = (await ask(booth, input=["one two", "three", "one two"])).document
            vectors = [row["embedding"] for row in body["data"]]
            assert vectors[0] == vectors[2] != vectors[1]
            assert {len(vector) for vector in vectors} == {4}
            record = await booth.record()
            assert (record.outcome, record.cost_nano) == (
                Outcome.COMPLETED,
                5 * INPUT_PICO // 1000,
            )
            assert record.held_nano == record.cost_nano
            assert body["usage"]["cost"]["amount_nano"] == record.cost_nano
            assert (await booth.verified()).open_holds == 0

    in_loop(scenario)


def test_without_money_nothing_is_embedded(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, credit_nano=5 * INPUT_PICO // 1000) as booth:
            assert (await ask(booth, input="a b c d e f")).status == 429
            assert (await ask(booth, input="a b c d e")).status == 200
            assert (await ask(booth, input="a")).status == 429
            assert (await booth.verified()).open_holds == 0

    in_loop(scenario)


def test_a_failure_costs_nothing(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, ScriptOptions(fault=Fault.FAIL)) as booth:
            assert (await ask(booth)).status == 502
            record = await booth.record()
            assert (record.outcome, record.cost_nano) == (Outcome.ENGINE_FAILED, 0)

    in_loop(scenario)


def test_refusals_name_the_field(tmp_path: Path):
    async def scenario():
        script = ScriptOptions(context_tokens=4, embedding_dimensions=8)
        async with open_test_booth(tmp_path, script, policy=Policy(("forbidden",))) as booth:
            for fields, param in (
                ({"input": ["a", "a b c d e"]}, "input"),
                ({"input": ["a", "forbidden"]}, "input"),
                ({"dimensions": 9}, "dimensions"),
            ):
                sink = await ask(booth, **fields)
                assert (sink.status, sink.document["error"]["param"]) == (400, param)
            assert (await ask(booth, input=["a b c"] * 4)).status == 200
            assert (await booth.verified()).open_holds == 0

    in_loop(scenario)


def test_a_model_without_vectors_is_the_wrong_model(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, ScriptOptions(features=frozenset())) as booth:
            error = (await ask(booth)).document["error"]
            assert (error["code"], error["param"]) == ("unsupported_feature", "model")

    in_loop(scenario)
