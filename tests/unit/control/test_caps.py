"""Lowering a cap under which money is leased: what nobody uses is called back first."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.support.bank import CALLER, Bank, opened_bank
from tests.support.stores import fresh_options
from tokenbooth.control import caps
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Usage
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.ledger import service as ledger

T = TypeVar("T")


class BankStore:
    """The bank as a store; each verb is a transaction of its own."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self.writes = 0

    async def read(self, verb: Callable[[Tx], T]) -> T:
        return await self._bank._store.read(verb)

    async def write(self, verb: Callable[[Tx], T]) -> T:
        self.writes += 1
        return await self._bank._store.write(verb)


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    with opened_bank(fresh_options(tmp_path)) as opened:
        opened.price(1000, 2000)
        opened.fund(1000)
        yield opened


def lower(
    bank: Bank, limit: int | None, meanwhile: Callable[[int], Awaitable[None]]
) -> tuple[int, Problem | None]:
    """Pauses taken, and the refusal, if it was one."""
    pauses = 0

    async def pause() -> None:
        nonlocal pauses
        pauses += 1
        await meanwhile(pauses)

    def verb(tx: Tx) -> None:
        ledger.set_limit(bank.op, tx, LimitScope.KEY, CALLER.key_id, limit)

    async def scene() -> Problem | None:
        try:
            await caps.set_cap(BankStore(bank), bank.op, verb, pause)
        except Problem as problem:
            return problem
        return None

    problem = bank._runner.run(scene())
    return pauses, problem


async def nobody(pause: int) -> None:
    """No process answers."""


def answers(bank: Bank, after: int = 1) -> Callable[[int], Awaitable[None]]:
    """All processes look for recalls in that pause; their rounds run beside the verb's."""

    def answer() -> None:
        outer = bank._runner
        with asyncio.Runner() as bank._runner:
            bank.answer()
        bank._runner = outer

    async def meanwhile(pause: int) -> None:
        if pause == after:
            await asyncio.to_thread(answer)

    return meanwhile


def test_a_cap_above_what_is_used_is_set_at_once(bank: Bank) -> None:
    bank.hold("req_1")
    assert lower(bank, 120, nobody) == (0, None)
    assert bank.limits()["key"].limit_nano == 120


@pytest.mark.parametrize("after", [1, 5])
def test_unused_leases_are_called_back(bank: Bank, after: int) -> None:
    bank.hold("req_1", output_tokens_max=400)
    bank.settle("req_1", usage=Usage(100, 0))
    bank.flush()
    pauses, problem = lower(bank, 100, answers(bank, after))
    assert (pauses, problem) == (after, None)
    assert bank.limits()["key"].remaining_nano == 0
    assert bank.verify().problems == ()


def test_what_running_calls_hold_is_not_called_back(bank: Bank) -> None:
    bank.hold("req_1")
    pauses, problem = lower(bank, 119, answers(bank))
    assert pauses == caps.TRIES_MAX
    assert problem is not None
    assert problem.code is Code.STATE_CONFLICT
    assert problem.facts["held_nano"] == 120
    assert bank.limits()["key"].limit_nano is None


def test_nobody_waits_for_a_cap_below_what_is_spent(bank: Bank) -> None:
    bank.hold("req_1")
    bank.settle("req_1")
    bank.flush()
    pauses, problem = lower(bank, 119, nobody)
    assert pauses == 0
    assert problem is not None
    assert problem.facts["spent_nano"] == 120


def test_another_refusal_is_not_tried_again(bank: Bank) -> None:
    pauses, problem = lower(bank, -1, nobody)
    assert pauses == 0
    assert problem is not None
    assert problem.code is Code.INVALID_VALUE


def test_lifting_a_cap_needs_nobody(bank: Bank) -> None:
    bank.hold("req_1")
    assert lower(bank, None, nobody) == (0, None)
