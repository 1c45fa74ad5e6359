"""Messages through the ten steps: the same prices, limits and ends as a chat, in its own words."""

import asyncio
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.booth import MemoryBody, TestBooth, chat, open_test_booth
from tests.support.messages_stream import events_of, folded
from tokenbooth.core.features import Feature
from tokenbooth.core.ports import CallHead
from tokenbooth.engines.scripted.values import Fault, ScriptOptions
from tokenbooth.gateway.quote import quote
from tokenbooth.protocols.anthropic_messages import ANTHROPIC_MESSAGES

HI = [{"role": "user", "content": "hello there"}]
THINKER = ScriptOptions(chunks=4, reasoning_tokens=8)
EFFORT = {"output_config": {"effort": "low"}}
NO_EFFORT = "output_config.effort=ignored: this model takes no effort level"


@pytest.fixture
def play(tmp_path: Path):
    def run(scene, *scripts: ScriptOptions, **options: Any) -> None:
        async def work() -> None:
            async with open_test_booth(tmp_path, *scripts, **options) as booth:
                await scene(booth)

        asyncio.run(work())

    return run


async def ask(booth: TestBooth, headers: Any = None, **fields: Any) -> Any:
    body = {"model": "demo", "messages": HI, **fields}
    return await booth.ask(body, dialect=ANTHROPIC_MESSAGES, headers=headers)


@pytest.mark.parametrize("stream", [False, True])
def test_a_message_costs_what_the_same_chat_costs(play, stream):
    async def scene(booth: TestBooth) -> None:
        await booth.ask(chat(max_tokens=50, stream=stream))
        talk = await booth.record()
        answer = await ask(booth, max_tokens=50, stream=stream)
        record = await booth.record()
        assert (record.cost_nano, record.usage) == (talk.cost_nano, talk.usage)
        message = folded(answer.body) if stream else answer.document
        assert message["usage"]["cost"]["amount_nano"] == record.cost_nano
        assert message["id"] == f"msg_{record.request_id}"
        await booth.verified()

    play(scene)


def test_the_key_may_come_in_either_header(play):
    async def scene(booth: TestBooth) -> None:
        for headers in (
            {"x-api-key": booth.secret, "anthropic-version": "2023-06-01", "anthropic-beta": "a,b"},
            {"authorization": f"Bearer {booth.secret}"},
        ):
            assert (await ask(booth, headers, max_tokens=5)).status == 200
        refused = await ask(booth, {}, max_tokens=5)
        assert refused.status == 401
        assert refused.document["error"]["type"] == "authentication_error"

    play(scene)


def test_the_exact_input_is_told_before_the_run(play):
    async def scene(booth: TestBooth) -> None:
        first, *_ = events_of((await ask(booth, stream=True)).body)
        usage = (await booth.record()).usage
        assert usage is not None
        assert first["message"]["usage"]["input_tokens"] == usage.input_tokens

    play(scene)


def test_a_limit_over_the_models_own_is_refused_under_its_name_here(play):
    async def scene(booth: TestBooth) -> None:
        error = (await ask(booth, max_tokens=10**9)).document["error"]
        assert (error["code"], error["param"]) == ("invalid_value", "max_tokens")
        assert error["message"].startswith("max_tokens is 1000000000;")

    play(scene)


@pytest.mark.parametrize("stream", [False, True])
def test_an_empty_purse_is_400_and_names_the_limit(play, stream):
    async def scene(booth: TestBooth) -> None:
        answer = await ask(booth, max_tokens=50, stream=stream)
        assert answer.status == 400
        assert answer.headers["x-should-retry"] == "false"
        error = answer.document["error"]
        assert error["type"] == "invalid_request_error"
        assert error["code"] == "insufficient_quota"
        assert error["remedy"] in error["message"]
        assert error["limit_source"] == "balance"

    play(scene, credit_nano=100)


def test_money_that_ends_a_stream_is_told_in_it(play):
    async def scene(booth: TestBooth) -> None:
        message = folded((await ask(booth, stream=True)).body)
        assert (message["stop_reason"], message["stopped"]) == ("max_tokens", "cap_reached")
        assert (await booth.record()).outcome == "cap_reached"
        await booth.verified()

    play(scene, ScriptOptions(chunks=400), credit_nano=200_000, output_step_tokens=8)


def test_an_effort_reaches_a_model_that_takes_one(play):
    async def scene(booth: TestBooth) -> None:
        loud = await ask(booth, max_tokens=50, output_config={"effort": "high"})
        assert "x-tokenbooth-notes" not in loud.headers
        thoughts = loud.document["usage"]["output_tokens_details"]["thinking_tokens"]
        none = await ask(booth, max_tokens=50, thinking={"type": "disabled"})
        assert none.document["usage"]["output_tokens_details"]["thinking_tokens"] == 0
        assert [block["type"] for block in none.document["content"]] == ["text"]
        assert thoughts == 2 * THINKER.reasoning_tokens

    play(scene, THINKER)


def test_an_effort_is_ignored_with_a_note_where_one_candidate_takes_none(play):
    async def scene(booth: TestBooth) -> None:
        answer = await ask(booth, max_tokens=50, **EFFORT)
        assert answer.status == 200
        assert answer.headers["x-tokenbooth-notes"] == NO_EFFORT
        thoughts = answer.document["usage"]["output_tokens_details"]["thinking_tokens"]
        assert thoughts == THINKER.reasoning_tokens
        stated = await booth.ask(chat(max_tokens=50, reasoning_effort="low"))
        assert "x-tokenbooth-notes" not in stated.headers

    play(scene, THINKER, ScriptOptions(features=frozenset({Feature.STOP})))


def test_a_stated_effort_of_a_chat_is_still_refused_by_a_model_without(play):
    async def scene(booth: TestBooth) -> None:
        assert (await ask(booth, max_tokens=50, **EFFORT)).status == 200
        refused = await booth.ask(chat(max_tokens=50, reasoning_effort="low"))
        assert refused.document["error"]["param"] == "reasoning_effort"

    play(scene, ScriptOptions(features=frozenset()))


def test_a_feature_that_a_model_lacks_is_refused_under_its_name_here(play):
    tool = {"name": "look", "input_schema": {"type": "object"}}

    async def scene(booth: TestBooth) -> None:
        for fields, param in (
            ({"tools": [tool]}, "tools"),
            ({"stop_sequences": ["a"]}, "stop_sequences"),
        ):
            answer = await ask(booth, max_tokens=9, **fields)
            assert (answer.status, answer.document["error"]["param"]) == (400, param)

    play(scene, ScriptOptions(features=frozenset()))


def test_the_stop_sequence_that_was_met_is_named(play):
    async def scene(booth: TestBooth) -> None:
        words = (await ask(booth)).document["content"][0]["text"].split()
        answer = (await ask(booth, stop_sequences=["no such", words[2]])).document
        assert (answer["stop_reason"], answer["stop_sequence"]) == ("stop_sequence", words[2])
        assert answer["content"][0]["text"].split() == words[:2]

    play(scene)


@pytest.mark.parametrize("stream", [False, True])
def test_an_engine_that_fails_late(play, stream):
    async def scene(booth: TestBooth) -> None:
        answer = await ask(booth, max_tokens=50, stream=stream)
        if not stream:
            assert (answer.status, answer.document["error"]["type"]) == (502, "api_error")
            return
        *_, last = events_of(answer.body)
        assert (last["type"], last["error"]["code"]) == ("error", "engine_failed")
        assert b"message_stop" not in answer.body

    play(scene, ScriptOptions(fault=Fault.FAIL, fault_after_chunks=3))


def test_a_repeated_key_gets_the_same_stream_for_nothing(play):
    async def scene(booth: TestBooth) -> None:
        headers = {"x-api-key": booth.secret, "idempotency-key": "once"}
        first = await ask(booth, headers, max_tokens=9, stream=True)
        spent = await booth.spent_nano()
        again = await ask(booth, headers, max_tokens=9, stream=True)
        assert again.body == first.body
        assert "x-tokenbooth-replayed" in again.headers
        assert await booth.spent_nano() == spent

    play(scene)


def test_a_quote_of_a_message_is_kept_by_the_message(play):
    asked = {"model": "demo", "messages": HI, "system": "Be kind.", "max_tokens": 40}

    async def scene(booth: TestBooth) -> None:
        head = CallHead("POST", "/v1/quote", {"x-api-key": booth.secret}, {}, {})
        raw = MemoryBody(msgspec.json.encode(asked))
        rooms = booth.rooms
        found = await quote(rooms, ANTHROPIC_MESSAGES, booth.new_op(), head, raw, nullcontext())
        message = (await ask(booth, **asked)).document
        usage = message["usage"]
        assert found.input_tokens == usage["input_tokens"]
        assert 0 < usage["cost"]["amount_nano"] <= found.worst_case_nano

    play(scene)


def test_rate_limits_are_told_in_the_names_of_the_dialect(play):
    async def scene(booth: TestBooth) -> None:
        told = (await ask(booth, max_tokens=5)).headers
        left = told["anthropic-ratelimit-requests-remaining"]
        assert left == told["x-ratelimit-remaining-requests"]
        assert told["anthropic-ratelimit-tokens-reset"].endswith("Z")
        others = (await booth.ask(chat("demo", max_tokens=5))).headers
        assert "x-ratelimit-remaining-requests" in others
        assert "anthropic-ratelimit-requests-remaining" not in others

    play(scene)
