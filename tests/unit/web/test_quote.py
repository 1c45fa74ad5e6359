"""``POST /v1/quote`` as a client sees it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from tests.support.booth import MemoryBody, MemorySink, TestBooth, chat, open_test_booth
from tokenbooth.core.ports import CallHead
from tokenbooth.protocols.openai_chat import OPENAI_CHAT
from tokenbooth.protocols.openapi import openapi_document
from tokenbooth.web import quote as module
from tokenbooth.web.quote import quote_endpoint

COMPONENTS = openapi_document("1")["components"]
QUOTE = jsonschema_rs.Draft202012Validator(
    {"$ref": "#/components/schemas/Quote", "components": COMPONENTS}
)


@pytest.fixture
def play(tmp_path: Path):
    def run(scene, **options: Any) -> None:
        async def work() -> None:
            async with open_test_booth(tmp_path, **options) as booth:
                await scene(booth)

        asyncio.run(work())

    return run


async def asked(
    booth: TestBooth,
    body: Any = None,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> MemorySink:
    endpoint = quote_endpoint(booth.rooms, {OPENAI_CHAT.name: OPENAI_CHAT}, OPENAI_CHAT.name)
    sent = {"authorization": f"Bearer {booth.secret}"} if headers is None else headers
    head = CallHead("POST", "/v1/quote", sent, query or {}, {})
    sink = MemorySink()
    raw = MemoryBody(msgspec.json.encode(body or chat(max_tokens=50)))
    await endpoint(booth.new_op(), head, raw, sink)
    assert sink.ends == 1
    return sink


def test_the_document_of_a_call_that_fits(play):
    async def scene(booth: TestBooth) -> None:
        answer = await asked(booth)
        assert answer.status == 200
        found = answer.document
        QUOTE.validate(found)
        worst_nano = found["input_tokens"] * 1000 + 50 * 4000
        assert found["object"] == "quote"
        assert found["dialect"] == "openai_chat"
        assert found["currency"] == found["price"]["currency"] == "USD"
        assert (found["tier"], found["data_terms"]) == ("standard", "private")
        assert found["worst_case"]["amount_nano"] == worst_nano == found["hold"]["amount_nano"]
        assert found["worst_case"]["amount"] == f"0.{worst_nano:09d}"
        assert found["fits"] is True
        assert found["refusal"] is None
        assert found["lowered_output_tokens_max"] is None
        assert found["input_tokens_exact"] is True
        assert [limit["scope"] for limit in found["limits"]] == [
            "balance",
            "organization",
            "project",
            "key",
        ]
        assert found["limits"][0]["affordable_output_tokens"] > 50
        assert found["limits"][1]["affordable_output_tokens"] is None

    play(scene)


def test_the_document_of_a_call_that_would_be_lowered(play):
    async def scene(booth: TestBooth) -> None:
        found = (await asked(booth)).document
        QUOTE.validate(found)
        assert found["fits"] is False
        assert found["lowered_output_tokens_max"] == found["affordable_output_tokens"] > 0
        assert found["hold"]["amount_nano"] < found["worst_case"]["amount_nano"]
        assert found["refusal"] is None

    play(scene, credit_nano=100_000)


def test_the_document_of_a_call_that_would_be_refused(play):
    async def scene(booth: TestBooth) -> None:
        answer = await asked(booth)
        assert answer.status == 200
        found = answer.document
        QUOTE.validate(found)
        assert found["hold"] is None
        assert found["refusal"]["code"] == "insufficient_quota"
        assert found["refusal"]["limit_source"] == "balance"
        assert found["refusal"]["remedy"]
        assert found["affordable_output_tokens"] == 0

    play(scene, credit_nano=0)


def test_strictness_is_quoted_too(play):
    async def scene(booth: TestBooth) -> None:
        headers = {"authorization": f"Bearer {booth.secret}", "x-tokenbooth-strict": "1"}
        found = (await asked(booth, headers=headers)).document
        QUOTE.validate(found)
        assert found["refusal"]["code"] == "output_limit_unaffordable"
        assert found["refusal"]["affordable_output_tokens"] == found["affordable_output_tokens"]

    play(scene, credit_nano=100_000)


@pytest.mark.parametrize(
    ("query", "code", "param"),
    [
        ({"dialect": "klingon"}, "invalid_value", "dialect"),
        ({"dialect": ""}, "invalid_value", "dialect"),
        ({"model": "demo"}, "unknown_parameter", "model"),
    ],
)
def test_an_unknown_dialect_or_parameter_is_named(play, query, code, param):
    async def scene(booth: TestBooth) -> None:
        answer = await asked(booth, query=query)
        assert answer.status == 400
        error = answer.document["error"]
        assert (error["code"], error["param"]) == (code, param)

    play(scene)


def test_the_dialect_may_be_named(play):
    async def scene(booth: TestBooth) -> None:
        answer = await asked(booth, query={"dialect": "openai_chat"})
        assert answer.status == 200

    play(scene)


def test_a_stranger_and_a_bad_body_are_answered_in_the_words_of_the_account(play):
    async def scene(booth: TestBooth) -> None:
        stranger = await asked(booth, headers={})
        assert stranger.status == 401
        assert stranger.headers["www-authenticate"] == "Bearer"
        bad = await asked(booth, {"model": "demo"})
        assert bad.status == 400
        assert bad.document["error"]["param"] == "messages"

    play(scene)


def test_rate_limits_are_shown_and_not_used_up(play):
    async def scene(booth: TestBooth) -> None:
        left = [(await asked(booth)).headers["x-ratelimit-remaining-requests"] for _ in range(5)]
        assert len(set(left)) == 1

    play(scene)


def test_a_crowd_of_quotes_waits_and_then_is_turned_away(play, monkeypatch):
    async def scene(booth: TestBooth) -> None:
        monkeypatch.setattr(module, "QUOTES_AT_ONCE", 1)
        monkeypatch.setattr(module, "QUOTES_QUEUE_MAX", 1)
        endpoint = quote_endpoint(booth.rooms, {OPENAI_CHAT.name: OPENAI_CHAT}, OPENAI_CHAT.name)
        head = CallHead("POST", "/v1/quote", {"authorization": f"Bearer {booth.secret}"}, {}, {})
        sinks = [MemorySink() for _ in range(3)]
        raw = MemoryBody(msgspec.json.encode(chat()))
        await asyncio.gather(*(endpoint(booth.new_op(), head, raw, sink) for sink in sinks))
        assert sorted(sink.status or 0 for sink in sinks) == [200, 200, 503]
        (refused,) = [sink for sink in sinks if sink.status == 503]
        assert refused.document["error"]["code"] == "engine_overloaded"
        assert "retry-after" in refused.headers

    play(scene)


class SlowBody:
    """A body of which not all has come; ``rest`` brings it."""

    def __init__(self, raw: bytes) -> None:
        self._raw, self.asked, self.rest = raw, asyncio.Event(), asyncio.Event()

    async def read(self, bytes_max: int) -> bytes:
        self.asked.set()
        await self.rest.wait()
        return self._raw


def test_who_sends_a_body_slowly_keeps_nobody_from_a_quote(play, monkeypatch):
    async def scene(booth: TestBooth) -> None:
        monkeypatch.setattr(module, "QUOTES_AT_ONCE", 1)
        monkeypatch.setattr(module, "QUOTES_QUEUE_MAX", 0)
        endpoint = quote_endpoint(booth.rooms, {OPENAI_CHAT.name: OPENAI_CHAT}, OPENAI_CHAT.name)
        head = CallHead("POST", "/v1/quote", {"authorization": f"Bearer {booth.secret}"}, {}, {})
        raw = msgspec.json.encode(chat())
        slow, late, prompt = SlowBody(raw), MemorySink(), MemorySink()
        sending = asyncio.create_task(endpoint(booth.new_op(), head, slow, late))
        await slow.asked.wait()
        await endpoint(booth.new_op(), head, MemoryBody(raw), prompt)
        assert prompt.status == 200
        slow.rest.set()
        await sending
        assert late.status == 200

    play(scene)
