"""The ten steps for raw prompts: counted, held, screened and charged as any call."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from tests.support.booth import (
    INPUT_PICO,
    OUTPUT_PICO,
    MemoryBody,
    MemorySink,
    TestBooth,
    open_test_booth,
)
from tokenbooth.boot import DIALECTS
from tokenbooth.core.ports import CallHead
from tokenbooth.core.receipt import Outcome
from tokenbooth.engines.scripted.values import Fault, ScriptOptions
from tokenbooth.gateway.serve import serve
from tokenbooth.protocols.openai_completions import OPENAI_COMPLETIONS
from tokenbooth.safety.screening.service import Policy


def in_loop(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await scenario()

    asyncio.run(bounded())


async def ask(booth: TestBooth, **fields: Any) -> MemorySink:
    sink = MemorySink()
    head = CallHead("POST", "/v1/completions", {"authorization": f"Bearer {booth.secret}"}, {}, {})
    body = MemoryBody(json.dumps({"model": "demo", "prompt": "hello there", **fields}).encode())
    await serve(booth.rooms, OPENAI_COMPLETIONS, booth.new_op(), head, body, sink)
    assert sink.ends == 1
    return sink


def test_the_dialect_is_known_by_its_name() -> None:
    assert DIALECTS["openai_completions"] is OPENAI_COMPLETIONS


def test_a_raw_prompt_costs_its_own_tokens_and_no_template(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, ScriptOptions(chunks=5)) as booth:
            body = (await ask(booth)).document
            usage = body["usage"]
            assert (usage["prompt_tokens"], usage["completion_tokens"]) == (2, 5)
            assert usage["cost"]["amount_nano"] == (2 * INPUT_PICO + 5 * OUTPUT_PICO) // 1000
            assert (await booth.record()).cost_nano == usage["cost"]["amount_nano"]
            assert (await booth.verified()).open_holds == 0

    in_loop(scenario)


def test_a_stream_says_the_same_and_tells_its_cost_last(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, ScriptOptions(chunks=5)) as booth:
            whole = (await ask(booth, echo=True)).document
            options = {"include_usage": True}
            sink = await ask(booth, echo=True, stream=True, stream_options=options)
            *chunks, done = sink.events
            text = "".join(c["choices"][0]["text"] for c in chunks if c["choices"])
            assert done == "[DONE]"
            assert text == whole["choices"][0]["text"]
            assert text.startswith("hello there")
            assert chunks[-1]["usage"]["cost"] == whole["usage"]["cost"]

    in_loop(scenario)


def test_several_prompts_are_one_call(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, ScriptOptions(chunks=5)) as booth:
            body = (await ask(booth, prompt=["a", "b c"], n=2)).document
            assert [choice["index"] for choice in body["choices"]] == [0, 1, 2, 3]
            assert all(choice["text"] for choice in body["choices"])
            assert (body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"]) == (3, 20)
            record = await booth.record()
            assert record.cost_nano == (3 * INPUT_PICO + 20 * OUTPUT_PICO) // 1000
            assert (await booth.verified()).open_holds == 0

    in_loop(scenario)


def test_each_prompt_has_the_whole_window(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, ScriptOptions(context_tokens=12)) as booth:
            many = (await ask(booth, prompt=["a b c d e f g h"] * 4, max_tokens=3)).document
            assert many["usage"]["prompt_tokens"] == 32
            over = await ask(booth, prompt=["a", "a b c d e f g h i j k l"], max_tokens=1)
            assert over.status == 400
            assert over.document["error"]["code"] == "context_length_exceeded"
            assert over.document["error"]["param"] == "prompt"

    in_loop(scenario)


def test_a_prompt_that_fails_costs_nothing_for_any(tmp_path: Path):
    async def scenario():
        script = ScriptOptions(chunks=3, fault=Fault.FAIL, fault_after_chunks=2)
        async with open_test_booth(tmp_path, script) as booth:
            sink = await ask(booth, prompt=["a", "b"])
            assert sink.status == 502
            record = await booth.record()
            assert (record.outcome, record.cost_nano) == (Outcome.ENGINE_FAILED, 0)

    in_loop(scenario)


def test_what_an_engine_cannot_do_with_a_raw_prompt_is_refused_by_name(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, ScriptOptions(features=frozenset())) as booth:
            error = (await ask(booth)).document["error"]
            assert (error["code"], error["param"]) == ("unsupported_feature", "prompt")
        with_raw = tmp_path / "raw"
        with_raw.mkdir()
        async with open_test_booth(with_raw) as booth:
            error = (await ask(booth, suffix="end")).document["error"]
            assert (error["code"], error["param"]) == ("unsupported_feature", "suffix")

    in_loop(scenario)


def test_the_operators_phrases_hold_for_prompts_too(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, policy=Policy(("forbidden",))) as booth:
            error = (await ask(booth, prompt=["fine", "a forbidden word"])).document["error"]
            assert (error["code"], error["param"]) == ("content_policy_violation", "prompt")

    in_loop(scenario)
