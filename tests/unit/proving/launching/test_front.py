"""The front door of a lab: the real ten steps, called with keys, without a socket."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from tokenbooth.control import accounts, prices
from tokenbooth.core.receipt import LimitScope
from tokenbooth.launch.stages import service as stages
from tokenbooth.launch.stages.service import Stage, StageAsk
from tokenbooth.money.ledger import service as ledger
from tokenbooth.money.prices.service import PriceAsk
from tokenbooth.proving.launching.front import FrontDoor, new_key, open_front
from tokenbooth.proving.launching.lab import Lab

T = TypeVar("T")


@pytest.fixture
def lab(lab: Lab) -> Lab:
    """With a price on ``demo``, and two organizations that have paid in advance."""
    with lab.tx() as tx:
        op = lab.op()
        prices.price_model(op, tx, PriceAsk("demo", 3_000_000, 12_000_000), lab.ids, confirmed=True)
        for name in ("acme", "zenith"):
            accounts.create_organization(op, tx, accounts.OrganizationAsk(name), lab.ids)
            accounts.add_credit(op, tx, name, 10**9, "prepaid")
    return lab


def through(lab: Lab, act: Callable[[FrontDoor], Awaitable[T]]) -> T:
    async def run() -> T:
        async with open_front(lab) as front:
            return await act(front)

    return asyncio.run(run())


def spent_nano(lab: Lab, name: str) -> int:
    with lab.tx() as tx:
        found = accounts.organizations(lab.op(), tx)
        limits = next(each.limits for each in found if each.org.name == name)
        return next(e.spent_nano for e in limits if e.scope is LimitScope.ORGANIZATION)


def proven(lab: Lab) -> bool:
    """Whether the ledger comes out against itself."""
    with lab.tx() as tx:
        proof = ledger.verify(lab.op(), tx)
    return proof.difference_nano == 0 and not proof.problems


def test_a_call_is_answered_and_paid_from_the_balance_of_its_own_organization(lab: Lab) -> None:
    secret = new_key(lab, "acme")
    found = through(lab, lambda front: front.call(secret, "demo"))
    assert (found.status, found.code) == (200, "")
    assert found.headers["content-type"].startswith("application/json")
    assert spent_nano(lab, "acme") > 0
    assert spent_nano(lab, "zenith") == 0
    assert proven(lab)


def test_what_was_charged_is_in_the_ledger_when_it_was_told(lab: Lab) -> None:
    secret = new_key(lab, "acme")

    async def act(front: FrontDoor) -> tuple[int, int]:
        await front.call(secret, "demo")
        await front.told()
        first = spent_nano(lab, "acme")
        for _ in range(3):
            await front.call(secret, "demo")
        await front.told()
        return first, spent_nano(lab, "acme")

    first, last = through(lab, act)
    assert last == 4 * first > 0


def test_who_has_no_key_is_told_apart_from_who_asks_for_nothing_there_is(lab: Lab) -> None:
    secret = new_key(lab, "acme")

    async def act(front: FrontDoor) -> list[tuple[int, str]]:
        calls = (("tb-nobody", "demo"), ("", "demo"), (secret, "no-such-model"), (secret, ""))
        found = [await front.call(*each) for each in calls]
        return [(each.status, each.code) for each in found]

    nobody, nothing, unknown, unnamed = through(lab, act)
    assert nobody == (401, "invalid_api_key")
    assert nothing == (401, "missing_api_key")
    assert unknown == (404, "model_not_found")
    assert unnamed[0] in (400, 404)


def test_a_closed_model_is_hidden_and_one_on_a_waitlist_is_not(lab: Lab) -> None:
    secret = new_key(lab, "acme")
    found = []
    for stage in (Stage.CLOSED, Stage.WAITLIST):
        lab.clock.us += 1
        with lab.tx() as tx:
            stages.move(lab.op(), tx, StageAsk(model="demo", stage=stage))
        answer = through(lab, lambda front: front.call(secret, "demo"))
        found.append((answer.status, answer.code))
    assert found == [(404, "model_not_found"), (403, "model_not_open")]
    assert spent_nano(lab, "acme") == 0, "a refusal costs nothing"


def test_calls_that_come_at_once_are_all_answered_and_each_is_paid_once(lab: Lab) -> None:
    secret = new_key(lab, "acme")

    async def act(front: FrontDoor) -> tuple[int, int, int]:
        await front.call(secret, "demo")
        await front.told()
        one = spent_nano(lab, "acme")
        found = await asyncio.gather(*(front.call(secret, "demo") for _ in range(6)))
        await front.told()
        return one, sum(each.status == 200 for each in found), spent_nano(lab, "acme")

    one, answered, spent = through(lab, act)
    assert answered == 6
    assert proven(lab)
    assert spent == 7 * one > 0


def test_a_caller_that_goes_away_in_the_middle_leaves_books_that_come_out(lab: Lab) -> None:
    secret = new_key(lab, "acme")

    async def act(front: FrontDoor) -> int:
        gone = asyncio.create_task(front.call(secret, "demo"))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        return (await front.call(secret, "demo")).status

    assert through(lab, act) == 200
    assert proven(lab)


def test_a_door_that_is_opened_again_gave_back_what_it_had_borrowed(lab: Lab) -> None:
    secret, spent = new_key(lab, "acme"), []
    for _ in range(2):
        assert through(lab, lambda front: front.call(secret, "demo")).status == 200
        spent.append(spent_nano(lab, "acme"))
    assert spent[1] == 2 * spent[0], "the same call costs the same, and nothing else is missing"


def test_keys_of_one_organization_differ_and_are_the_same_in_every_run(lab: Lab) -> None:
    first, second = new_key(lab, "acme"), new_key(lab, "acme")
    assert first != second
    assert len({first, second, new_key(lab, "zenith")}) == 3
