"""Money under attack, over HTTP on both databases: the last cent, tiny balances, lying engines."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.support.attack import (
    account,
    assert_sound,
    body,
    chat,
    get,
    many,
    open_holds,
    record_of,
    records,
    spent_nano,
    until,
)
from tests.support.instances import in_booth
from tokenbooth.control import prices
from tokenbooth.money.prices.service import PriceAsk

INPUT_TOKENS = 8
CALL_NANO = INPUT_TOKENS * 1000 + 8 * 4000


def test_two_hundred_calls_for_the_last_cent_never_pass_it(target):
    credit_nano = 20 * CALL_NANO + CALL_NANO - 1
    secret = account(target.instance, "last-cent", credit_nano)
    found = asyncio.run(many(target.address, secret, 200, body("demo", max_tokens=8)))
    assert set(found) == {200, 429}
    until(lambda: open_holds(target.instance) == 0)
    total = sum(r["cost"]["amount_nano"] for r in records(target.address, secret))
    assert total == spent_nano(target.address, secret) <= credit_nano
    assert found[200] >= 20
    assert credit_nano - total < INPUT_TOKENS * 1000 + 4000


def test_several_choices_are_bought_together_or_not_at_all(target):
    least_nano = INPUT_TOKENS * 1000 + 4 * 4000
    secret = account(target.instance, "choices", 2 * least_nano - 1)
    first = chat(target.address, secret, body("demo", n=4, max_tokens=8))
    assert first.status == 200
    assert first.headers["x-tokenbooth-output-lowered"].startswith("2; by=balance")
    refused = chat(target.address, secret, body("demo", n=4))
    assert refused.status == 429
    assert refused.document()["error"]["code"] == "insufficient_quota"
    assert spent_nano(target.address, secret) <= 2 * least_nano - 1


@pytest.mark.parametrize("limit", [2**31 - 1, 2**31, 2**63, 10**40, 0, -1])
def test_absurd_output_limits_are_refused_by_name(sqlite_target, limit):
    answer = chat(sqlite_target.address, sqlite_target.secret, body("demo", max_tokens=limit))
    assert answer.status == 400
    assert answer.document()["error"]["code"] in ("invalid_value", "malformed_json")


@pytest.mark.parametrize("stream", [False, True])
def test_an_engine_that_lies_about_usage_leaves_no_hold_and_no_debt(target, stream):
    for model in ("negative", "too-large"):
        answer = chat(target.address, target.secret, body(model, stream=stream, max_tokens=4))
        assert answer.status == 200
        record = record_of(target.address, target.secret, answer.headers["x-request-id"])
        assert record["status"] == "completed"
        assert 0 < record["cost"]["amount_nano"] <= record["held"]["amount_nano"]
    assert open_holds(target.instance) == 0


@pytest.mark.parametrize("price_pico", [0, 1, 2**63 - 1])
def test_prices_at_their_edges_neither_overflow_nor_invent_money(target, price_pico):
    secret = account(target.instance, f"edge-{price_pico}", 10**6)

    def publish(booth, op, tx):
        ask = PriceAsk("echo", price_pico, price_pico)
        prices.price_model(op, tx, ask, booth.ids, confirmed=True)

    in_booth(target.instance, publish)
    answer = chat(target.address, secret, body("echo"))
    assert answer.status == (429 if price_pico > 1 else 200)
    assert spent_nano(target.address, secret) == 0
    assert open_holds(target.instance) == 0


def test_a_new_price_does_not_touch_a_call_that_runs(target):
    secret = account(target.instance, "repriced")
    before = get(target.address, "/v1/models/demo", secret).document()["pricing"]["version"]
    answer = chat(target.address, secret, body("demo"))

    def publish(output_pico: int) -> Any:
        price = PriceAsk("demo", 10**6, output_pico)
        return in_booth(
            target.instance,
            lambda booth, op, tx: prices.price_model(op, tx, price, booth.ids, confirmed=True),
        ).version_id

    after = publish(5 * 10**6)
    record = record_of(target.address, secret, answer.headers["x-request-id"])
    assert record["cost"]["price_version"] == before != after
    publish(4 * 10**6)


def test_the_ledger_proves_itself_after_all_this(target):
    until(lambda: open_holds(target.instance) == 0)
    assert_sound(target.instance)
    statuses = Counter(r["status"] for r in records(target.address, target.secret))
    assert "running" not in statuses
