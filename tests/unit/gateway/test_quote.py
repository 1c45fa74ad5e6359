"""A quote is the hold that the same body would take, and leaves no trace."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from tests.support.booth import (
    INPUT_PICO,
    OUTPUT_PICO,
    MemoryBody,
    TestBooth,
    chat,
    open_test_booth,
)
from tokenbooth.control import accounts
from tokenbooth.core.caller import Caller
from tokenbooth.core.codes import Code
from tokenbooth.core.ports import CallHead
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope, LimitState
from tokenbooth.engines.scripted.values import ScriptOptions
from tokenbooth.gateway.quote import Quote, quote, quoted
from tokenbooth.money.leases.service import Hold, HoldAsk
from tokenbooth.money.prices.service import UNBOUNDED_TOKENS, Meter, Price
from tokenbooth.money.windows import Period
from tokenbooth.protocols.openai_chat import OPENAI_CHAT
from tokenbooth.store.tables.metadata import METADATA

Scene = Callable[[TestBooth], Awaitable[None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., None]:
    def run(scene: Scene, *scripts: ScriptOptions, **options: Any) -> None:
        async def work() -> None:
            async with open_test_booth(tmp_path, *scripts, **options) as booth:
                await scene(booth)

        asyncio.run(work())

    return run


async def quote_of(
    booth: TestBooth, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> Quote:
    sent = {"authorization": f"Bearer {booth.secret}", **(headers or {})}
    head = CallHead("POST", "/v1/quote", sent, {}, {})
    raw = MemoryBody(msgspec.json.encode(body))
    return await quote(booth.rooms, OPENAI_CHAT, booth.new_op(), head, raw, nullcontext())


def watch_holds(booth: TestBooth) -> list[Hold]:
    """Every hold that the till takes from now on."""
    taken: list[Hold] = []
    hold = booth.rooms.till.hold

    async def watched(op: Any, ask: Any) -> Hold:
        taken.append(await hold(op, ask))
        return taken[-1]

    booth.rooms.till.hold = watched  # type: ignore[method-assign]
    return taken


@pytest.mark.parametrize(
    ("fields", "credit_nano"),
    [
        ({"max_tokens": 50}, 10**9),
        ({"max_tokens": 1}, 10**9),
        ({"max_tokens": 50, "n": 3}, 10**9),
        ({"max_tokens": 50, "stream": True}, 10**9),
        ({}, 10**9),
        ({"n": 2}, 10**9),
        ({"max_tokens": 50}, 60_000),
        ({"max_tokens": 50, "n": 3}, 60_000),
        ({}, 60_000),
        ({"n": 2}, 60_000),
    ],
)
def test_the_quoted_hold_is_the_hold_that_the_call_takes(play, fields, credit_nano):
    async def scene(booth: TestBooth) -> None:
        taken = watch_holds(booth)
        found = await quote_of(booth, chat(**fields))
        answer = await booth.ask(chat(**fields))
        assert answer.status == 200
        (hold,) = taken
        assert found.refusal is None
        assert found.sized is not None
        assert found.sized.amount_nano == hold.amount_nano
        assert found.sized.output_tokens_max == hold.output_tokens_max
        assert found.input_tokens == hold.input_tokens
        if found.stated and found.fits:
            assert found.worst_case_nano == hold.amount_nano
        assert found.sized.lowered == ("x-tokenbooth-output-lowered" in answer.headers)
        assert (await booth.record()).cost_nano <= found.worst_case_nano

    play(scene, credit_nano=credit_nano)


@pytest.mark.parametrize(
    ("body", "headers", "credit_nano"),
    [
        (chat(max_tokens=50), {}, 100),
        (chat(), {}, 0),
        (chat(max_tokens=50), {"x-tokenbooth-strict": "1"}, 60_000),
    ],
)
def test_what_would_be_refused_is_quoted_with_the_very_refusal(play, body, headers, credit_nano):
    async def scene(booth: TestBooth) -> None:
        found = await quote_of(booth, body, headers)
        assert found.sized is None
        assert not found.fits
        assert found.refusal is not None
        sent = {"authorization": f"Bearer {booth.secret}", **headers}
        answer = await booth.ask(body, headers=sent)
        assert answer.status == 429
        error = answer.document["error"]
        assert error["code"] == found.refusal.code.text
        for name, fact in found.refusal.facts.items():
            assert error[name] == fact

    play(scene, credit_nano=credit_nano)


def test_a_cap_that_renews_is_quoted_as_it_is_held(play):
    async def scene(booth: TestBooth) -> None:
        taken = watch_holds(booth)
        found = await quote_of(booth, chat(max_tokens=50))
        key = found.limits[-1]
        assert key.state.window is not None
        assert (key.state.limit_nano, key.fits) == (60_000, False)
        assert (await booth.ask(chat(max_tokens=50))).status == 200
        assert found.sized is not None
        assert found.sized.amount_nano == taken[0].amount_nano
        again = await quote_of(booth, chat(max_tokens=50))
        assert again.limits[-1].state.spent_nano == (await booth.record(2)).cost_nano

    play(scene, key={"cap_nano": 60_000, "cap_period": Period.DAY})


async def rows(booth: TestBooth) -> dict[str, list[Any]]:
    return await booth.store.read(
        lambda tx: {
            name: [tuple(row) for row in tx.execute(select(table))]
            for name, table in METADATA.tables.items()
        }
    )


def test_a_quote_changes_nothing(play):
    async def scene(booth: TestBooth) -> None:
        await booth.ask(chat(max_tokens=4))
        await booth.rooms.till.flushed()
        rates = booth.rooms.rates.state((await quote_of(booth, chat())).caller)
        before = await rows(booth)
        for body in (chat(), chat(max_tokens=50), chat(n=2), chat(max_tokens=5, stream=True)):
            await quote_of(booth, body)
        assert await rows(booth) == before
        assert booth.rooms.rates.state((await quote_of(booth, chat())).caller) == rates
        assert len(booth.rooms.live) == 0
        assert booth.rooms.gates.waiting() == {} or not any(booth.rooms.gates.waiting().values())

    play(scene)


def test_a_quote_asks_the_engine_to_count_and_not_to_run(play):
    async def scene(booth: TestBooth) -> None:
        for _ in range(3):
            await quote_of(booth, chat())
        (engine,) = booth.rooms.engines._engines.values()
        told = await engine.counters()
        assert told is not None
        assert (told.input_tokens, told.output_tokens) == (0, 0)

    play(scene)


def test_every_level_tells_for_itself(play):
    async def scene(booth: TestBooth) -> None:
        await booth.store.write(
            lambda tx: accounts.cap_project(booth.op, tx, "acme", "default", 50_000)
        )
        found = await quote_of(booth, chat(max_tokens=100))
        by_scope = {limit.state.scope: limit for limit in found.limits}
        assert list(by_scope) == list(LimitScope)
        assert [limit.fits for limit in found.limits] == [True, True, False, True]
        project = by_scope[LimitScope.PROJECT]
        input_nano = found.input_tokens * INPUT_PICO // 1000
        assert project.affordable_output_tokens == (50_000 - input_nano) // (OUTPUT_PICO // 1000)
        assert by_scope[LimitScope.ORGANIZATION].affordable_output_tokens is None
        assert found.affordable_output_tokens == project.affordable_output_tokens
        assert not found.fits
        assert found.sized is not None
        assert found.sized.output_tokens_max == project.affordable_output_tokens

    play(scene)


def test_what_was_spent_a_moment_ago_is_in_the_quote(play):
    async def scene(booth: TestBooth) -> None:
        await booth.ask(chat(max_tokens=4))
        found = await quote_of(booth, chat())
        assert found.limits[0].state.spent_nano == (await booth.record(1)).cost_nano > 0

    play(scene)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"model": "demo"}, Code.MISSING_FIELD),
        ({**chat(), "model": "none"}, Code.MODEL_NOT_FOUND),
        (chat("word " * 10_000), Code.CONTEXT_LENGTH_EXCEEDED),
        (chat(max_tokens=10**9), Code.INVALID_VALUE),
    ],
)
def test_what_no_call_could_be_is_refused_as_the_call_would_be(play, body, code):
    async def scene(booth: TestBooth) -> None:
        with pytest.raises(Problem) as refused:
            await quote_of(booth, body)
        assert refused.value.code is code

    play(scene)


def test_a_stranger_gets_no_quote(play):
    async def scene(booth: TestBooth) -> None:
        head = CallHead("POST", "/v1/quote", {}, {}, {})
        with pytest.raises(Problem) as refused:
            await quote(
                booth.rooms, OPENAI_CHAT, booth.new_op(), head, MemoryBody(b"{}"), nullcontext()
            )
        assert refused.value.code is Code.MISSING_KEY

    play(scene)


def ask_of(price: Price, **fields: Any) -> HoldAsk:
    plain: dict[str, Any] = {
        "request_id": "r",
        "caller": Caller("o", "p", "k", frozenset()),
        "model": "m",
        "price": price,
        "input_tokens": 10,
        "output_tokens_max": 20,
        "choices": 1,
        "stream": False,
        "stated": True,
        "strict": False,
        "step_tokens": 8,
    }
    return HoldAsk(**(plain | fields))


def limits_of(*limits: int | None, held: int = 0) -> tuple[LimitState, ...]:
    return tuple(
        LimitState(scope, "x", limit, 0, held if limit is not None else 0)
        for scope, limit in zip(LimitScope, limits, strict=True)
    )


PRICE = Price("v", "m", {Meter.INPUT: 1000, Meter.OUTPUT: 1000})
FREE_OUTPUT = Price("v", "m", {Meter.INPUT: 1000, Meter.OUTPUT: 0})


def test_free_output_has_no_bound_of_money():
    found = quoted(ask_of(FREE_OUTPUT), limits_of(10, None, None, None), input_exact=True)
    assert found.fits
    assert found.affordable_output_tokens is None
    assert UNBOUNDED_TOKENS not in {limit.affordable_output_tokens for limit in found.limits}
    poor = quoted(ask_of(FREE_OUTPUT), limits_of(9, None, None, None), input_exact=True)
    assert poor.affordable_output_tokens == 0
    assert poor.refusal is not None


def test_an_unstated_limit_is_held_in_steps_and_its_worst_case_is_whole():
    found = quoted(ask_of(PRICE, stated=False), limits_of(20, None, None, None), input_exact=False)
    assert found.worst_case_nano == 30
    assert not found.fits
    assert found.sized is not None
    assert found.sized.amount_nano == 18
    assert found.affordable_output_tokens == 10
    assert not found.input_exact


def test_holds_of_others_are_told_as_worth_waiting_for():
    found = quoted(ask_of(PRICE), limits_of(30, None, None, None, held=25), input_exact=True)
    assert found.refusal is not None
    assert found.refusal.retry_after_s == 1
    assert found.limits[0].affordable_output_tokens == 0


def test_affordable_tokens_are_those_of_one_choice():
    found = quoted(ask_of(PRICE, choices=3), limits_of(30, 26, None, None), input_exact=True)
    assert [limit.affordable_output_tokens for limit in found.limits] == [6, 5, None, None]
    assert found.affordable_output_tokens == 5
    assert found.sized is not None
    assert (found.sized.output_tokens_max, found.sized.amount_nano) == (5, 25)
