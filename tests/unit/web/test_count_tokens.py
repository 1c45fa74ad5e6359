"""``POST /v1/messages/count_tokens`` as a client sees it."""

import asyncio
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from tests.support.booth import MemoryBody, MemorySink, TestBooth, open_test_booth
from tokenbooth.core.ports import CallHead
from tokenbooth.engines.scripted.values import ScriptOptions
from tokenbooth.protocols.anthropic_messages import ANTHROPIC_MESSAGES
from tokenbooth.protocols.openapi import openapi_document
from tokenbooth.web import count_tokens as module
from tokenbooth.web.count_tokens import count_endpoint

COUNT = jsonschema_rs.Draft202012Validator(
    {
        "$ref": "#/components/schemas/TokenCount",
        "components": openapi_document("1")["components"],
    }
)
LONG = "many words " * 4000


@pytest.fixture
def play(tmp_path: Path):
    def run(scene, *scripts: ScriptOptions, **options: Any) -> None:
        async def work() -> None:
            async with open_test_booth(tmp_path, *scripts, **options) as booth:
                await scene(booth)

        asyncio.run(work())

    return run


def body(text: str = "hello there", **fields: Any) -> dict[str, Any]:
    return {"model": "demo", "messages": [{"role": "user", "content": text}], **fields}


async def counted(booth: TestBooth, asked: Any = None, headers: Any = None) -> MemorySink:
    sent = {"x-api-key": booth.secret} if headers is None else headers
    path = "/v1/messages/count_tokens"
    head = CallHead("POST", path, sent, {"beta": "true"}, {})
    sink = MemorySink()
    raw = MemoryBody(msgspec.json.encode(asked or body()))
    await count_endpoint(booth.rooms, ANTHROPIC_MESSAGES)(booth.new_op(), head, raw, sink)
    assert sink.ends == 1
    return sink


def test_the_count_is_what_the_call_is_charged_for(play):
    asked = body(
        system="Be kind.",
        tools=[{"name": "look", "description": "Look.", "input_schema": {"type": "object"}}],
    )

    async def scene(booth: TestBooth) -> None:
        answer = await counted(booth, asked)
        assert answer.status == 200
        COUNT.validate(answer.document)
        assert answer.document["input_tokens_exact"] is True
        await booth.ask({**asked, "max_tokens": 5}, dialect=ANTHROPIC_MESSAGES)
        usage = (await booth.record()).usage
        assert usage is not None
        assert answer.document["input_tokens"] == usage.input_tokens

    play(scene)


def test_it_is_free_also_for_a_purse_that_is_empty(play):
    async def scene(booth: TestBooth) -> None:
        assert (await counted(booth)).status == 200
        assert await booth.spent_nano() == 0

    play(scene, credit_nano=0)


def test_a_prompt_that_fits_no_window_is_counted_too(play):
    async def scene(booth: TestBooth) -> None:
        found = (await counted(booth, body(LONG))).document["input_tokens"]
        assert found > 4000
        refused = await booth.ask({**body(LONG), "max_tokens": 5}, dialect=ANTHROPIC_MESSAGES)
        assert refused.document["error"]["code"] == "context_length_exceeded"

    play(scene, ScriptOptions(context_tokens=100))


def test_notes_and_rate_limits_are_told_and_a_count_takes_none(play):
    async def scene(booth: TestBooth) -> None:
        answers = [await counted(booth, body(novel=1)) for _ in range(3)]
        assert {a.headers["x-tokenbooth-notes"] for a in answers} == {"novel=ignored: unknown here"}
        assert len({a.headers["x-ratelimit-remaining-requests"] for a in answers}) == 1

    play(scene)


@pytest.mark.parametrize(
    ("asked", "headers", "status", "kind"),
    [
        (body(), {}, 401, "authentication_error"),
        (body(model="none-such"), None, 404, "not_found_error"),
        (body(messages=[]), None, 400, "invalid_request_error"),
    ],
)
def test_refusals_are_those_of_the_dialect(play, asked, headers, status, kind):
    async def scene(booth: TestBooth) -> None:
        answer = await counted(booth, asked, headers)
        assert (answer.status, answer.document["error"]["type"]) == (status, kind)

    play(scene)


def test_a_key_may_count_only_for_its_own_models(play):
    async def scene(booth: TestBooth) -> None:
        assert (await counted(booth)).status == 200
        assert (await counted(booth, body(model="other"))).status == 403

    play(scene, key={"models": frozenset({"demo"})})


def test_a_crowd_of_counts_waits_and_then_is_turned_away(play, monkeypatch):
    async def scene(booth: TestBooth) -> None:
        monkeypatch.setattr(module, "COUNTS_AT_ONCE", 1)
        monkeypatch.setattr(module, "COUNTS_QUEUE_MAX", 1)
        endpoint = count_endpoint(booth.rooms, ANTHROPIC_MESSAGES)
        head = CallHead("POST", "/v1/messages/count_tokens", {"x-api-key": booth.secret}, {}, {})
        sinks = [MemorySink() for _ in range(3)]
        raw = MemoryBody(msgspec.json.encode(body()))
        await asyncio.gather(*(endpoint(booth.new_op(), head, raw, sink) for sink in sinks))
        assert sorted(sink.status or 0 for sink in sinks) == [200, 200, 529]
        (refused,) = [sink for sink in sinks if sink.status == 529]
        assert "token counts" in refused.document["error"]["message"]
        assert "retry-after" in refused.headers

    play(scene)
