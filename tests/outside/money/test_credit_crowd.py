"""Fifty credits under one reference at once are one effect and one answer, on both databases."""

import asyncio
from typing import Any

import pytest

from tests.support.bank import USD
from tests.support.ops import ManualClock, make_op
from tokenbooth.core.codes import Code
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope, LimitState
from tokenbooth.money.ledger import service as ledger
from tokenbooth.store.open import open_store
from tokenbooth.store.options import StoreOptions

OP = make_op(ManualClock())
CROWD = 50
CHAIN = ((LimitScope.BALANCE, "org_a"),)


def crowd(options: StoreOptions, amounts: list[int]) -> tuple[list[Any], LimitState, Any]:
    """Credit them all at once from two processes' stores; the answers, the balance, the proof."""

    async def scene() -> tuple[list[Any], LimitState, Any]:
        stores = [open_store(options), open_store(options)]

        def credit(number: int, amount_nano: int) -> Any:
            def verb(tx: Tx) -> LimitState:
                return ledger.credit(OP, tx, "org_a", amount_nano, "invoice 7")

            return stores[number % 2].write(verb)

        try:
            told = await asyncio.gather(
                *(credit(n, amount) for n, amount in enumerate(amounts)), return_exceptions=True
            )
            (balance,) = await stores[0].read(lambda tx: ledger.limits(OP, tx, CHAIN))
            return told, balance, await stores[0].read(lambda tx: ledger.verify(OP, tx))
        finally:
            for store in stores:
                await store.close()

    return asyncio.run(scene())


def test_fifty_times_the_same_is_once(store_options: StoreOptions) -> None:
    told, balance, proof = crowd(store_options, [5 * USD] * CROWD)
    assert told == [balance] * CROWD
    assert balance.limit_nano == 5 * USD
    assert (proof.difference_nano, proof.problems) == (0, ())


@pytest.mark.parametrize("others", [1, 25])
def test_with_other_amounts_in_the_crowd_one_wins_and_the_others_are_named(
    store_options: StoreOptions, others: int
) -> None:
    amounts = [5 * USD] * (CROWD - others) + [7 * USD] * others
    told, balance, proof = crowd(store_options, amounts)
    assert balance.limit_nano in (5 * USD, 7 * USD)
    for amount, answer in zip(amounts, told, strict=True):
        if amount == balance.limit_nano:
            assert answer == balance
        else:
            assert isinstance(answer, Problem)
            assert (answer.code, answer.param) == (Code.STATE_CONFLICT, "ref")
            assert answer.facts == {"booked_nano": balance.limit_nano}
    assert (proof.difference_nano, proof.problems) == (0, ())
