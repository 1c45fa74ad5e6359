"""The same ten steps in the dialect of Responses: price, limits and ends are those of a chat."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.support.booth import MemoryBody, MemorySink, TestBooth, chat, open_test_booth
from tests.support.responses import checked_body, events, folded
from tokenbooth.boot import DIALECTS
from tokenbooth.core.ports import CallHead
from tokenbooth.core.receipt import Outcome
from tokenbooth.engines.scripted.values import Fault, ScriptOptions
from tokenbooth.gateway.serve import serve
from tokenbooth.protocols.openai_responses import OPENAI_RESPONSES
from tokenbooth.safety.screening.service import Policy


def in_loop(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await scenario()

    asyncio.run(bounded())


async def ask(booth: TestBooth, *, secret: str | None = None, **fields: Any) -> MemorySink:
    sink = MemorySink()
    headers = {"authorization": f"Bearer {secret or booth.secret}"}
    head = CallHead("POST", "/v1/responses", headers, {}, {})
    body = MemoryBody(json.dumps({"model": "demo", "input": "hello there", **fields}).encode())
    await serve(booth.rooms, OPENAI_RESPONSES, booth.new_op(), head, body, sink)
    assert sink.ends == 1
    return sink


def test_the_dialect_is_known_by_its_name() -> None:
    assert DIALECTS["openai_responses"] is OPENAI_RESPONSES
    assert all(name == dialect.name for name, dialect in DIALECTS.items())


def test_the_same_question_costs_the_same_in_both_dialects(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            body = (await ask(booth)).document
            checked_body(body)
            first = await booth.record()
            plain = (await booth.ask(chat())).document
            assert (
                body["output"][0]["content"][0]["text"]
                == (plain["choices"][0]["message"]["content"])
            )
            assert body["usage"]["cost"] == plain["usage"]["cost"]
            assert body["id"] == f"resp_{first.request_id.removeprefix('req_')}"
            assert (first.outcome, first.cost_nano) == (
                Outcome.COMPLETED,
                body["usage"]["cost"]["amount_nano"],
            )
            assert (await booth.verified()).open_holds == 0

    in_loop(scenario)


def test_a_stream_folds_to_the_whole_answer_and_tells_its_cost_last(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, ScriptOptions(reasoning_tokens=3)) as booth:
            whole = (await ask(booth)).document
            sink = await ask(booth, stream=True)
            assert sink.headers["content-type"].startswith("text/event-stream")
            assert "x-tokenbooth-held" in sink.headers
            found = folded(events(sink.body))
            assert text_of(found) == text_of(whole)
            assert found["usage"]["cost"]["amount_nano"] == (await booth.record()).cost_nano
            assert found["usage"]["output_tokens_details"] == {"reasoning_tokens": 3}

    in_loop(scenario)


def text_of(body: dict[str, Any]) -> list[Any]:
    return [(item["type"], [part["text"] for part in item["content"]]) for item in body["output"]]


def test_notes_stand_in_the_header(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            for stream in (False, True):
                sink = await ask(booth, truncation="auto", zebra=1, stream=stream)
                assert sink.headers["x-tokenbooth-notes"] == (
                    "truncation=ignored: an input that is too long is refused, "
                    "zebra=ignored: unknown here"
                )

    in_loop(scenario)


@pytest.mark.parametrize(
    ("fields", "status", "code", "param"),
    [
        ({"model": "none"}, 404, "model_not_found", "model"),
        ({"max_output_tokens": 10**6}, 400, "invalid_value", "max_output_tokens"),
        ({"input": "word " * 9000}, 400, "context_length_exceeded", "input"),
        ({"reasoning": {"effort": "low"}}, 400, "unsupported_feature", "reasoning.effort"),
        ({"input": "a bad phrase"}, 400, "content_policy_violation", "input"),
        ({"conversation": "conv_1"}, 400, "unsupported_feature", "conversation"),
        ({"secret": "tb_live_wrong"}, 401, "invalid_api_key", "authorization"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_refusals_name_the_fields_of_this_dialect(
    tmp_path: Path, fields: dict[str, Any], status: int, code: str, param: str, stream: bool
):
    async def scenario():
        async with open_test_booth(tmp_path, policy=Policy(("bad phrase",))) as booth:
            sink = await ask(booth, stream=stream, **fields)
            error = sink.document["error"]
            assert sink.status == status
            assert error["param"] == param
            assert error["code"] == code
            assert await booth.spent_nano() == 0

    in_loop(scenario)


def test_a_failure_before_the_start_is_an_answer_and_after_it_an_event(tmp_path: Path):
    async def scenario():
        broken = ScriptOptions(fault=Fault.FAIL, fault_after_chunks=2)
        async with open_test_booth(tmp_path, broken) as booth:
            sink = await ask(booth)
            assert (sink.status, sink.document["error"]["code"]) == (502, "engine_failed")
            late = await ask(booth, stream=True)
            assert late.status == 200
            response = folded(events(late.body))
            assert response["status"] == "failed"
            assert response["error"]["tokenbooth_code"] == "engine_failed"
            assert response["output"][0]["status"] == "incomplete"
            assert (await booth.record()).outcome is Outcome.ENGINE_FAILED

    in_loop(scenario)


@pytest.mark.parametrize("stream", [False, True])
def test_where_the_money_ends_the_answer_does_too(tmp_path: Path, stream: bool):
    async def scenario():
        long = ScriptOptions(chunks=2000)
        async with open_test_booth(tmp_path, long, credit_nano=3_000_000) as booth:
            sink = await ask(booth, stream=stream)
            body = folded(events(sink.body)) if stream else sink.document
            checked_body(body)
            assert body["status"] == "incomplete"
            assert body["incomplete_details"] == {"reason": "max_output_tokens"}
            assert body["stopped"] == "cap_reached"
            assert (await booth.record()).outcome is Outcome.CAP_REACHED

    in_loop(scenario)
