"""Prices and calls of before the price book stay what they were, on both databases."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.support.ops import make_op
from tokenbooth.core.delta import Usage
from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.money.meter import service as meter
from tokenbooth.money.prices import service as prices
from tokenbooth.money.prices.service import Meter, Price
from tokenbooth.store.migrate import migrate, upgrade
from tokenbooth.store.once import run_once
from tokenbooth.store.options import StoreOptions

PLAIN = (ServiceTier.STANDARD, DataTerms.PRIVATE)
OLD_CALL = {
    "request_id": "'req_1'",
    "org_id": "'org_1'",
    "project_id": "'proj_1'",
    "key_id": "'key_1'",
    "model": "'m'",
    "stream": "0",
    "replica_id": "'rep'",
    "price_version": "'price_1'",
    "held_nano": "100",
    "held_input_tokens": "10",
    "held_output_tokens": "10",
    "created_us": "5",
    "state": "'posted'",
    "swept": "0",
    "outcome": "'completed'",
    "reason": "'done'",
    "input_tokens": "10",
    "output_tokens": "5",
    "cached_input_tokens": "2",
    "reasoning_tokens": "1",
    "usage_source": "'engine'",
    "cost_nano": "20",
    "operator_loss_nano": "0",
    "ended_us": "6",
}
OLD_ROWS = (
    "INSERT INTO organization VALUES ('org_1', 'acme', 1, 1, 1, 1, 'me')",
    "INSERT INTO project VALUES ('proj_1', 'org_1', 'default', 1, 'me')",
    "INSERT INTO price_version VALUES ('price_1', 'm', 1, 'me', 1)",
    "INSERT INTO price_version VALUES ('price_2', 'm', 2, 'me', 2)",
    "INSERT INTO price_line VALUES ('price_1', 'input', 1000)",
    "INSERT INTO price_line VALUES ('price_1', 'output', 2000)",
    "INSERT INTO price_line VALUES ('price_2', 'input', 1500)",
    "INSERT INTO price_line VALUES ('price_2', 'cached_input', 150)",
    "INSERT INTO price_line VALUES ('price_2', 'output', 2500)",
    "INSERT INTO ledger_txn VALUES ('charge:org_1:req_1', 'charge', 'org_1', 'req_1', 'me', 5)",
    f"INSERT INTO call_record ({', '.join(OLD_CALL)}) VALUES ({', '.join(OLD_CALL.values())})",
)


@pytest.fixture
def migrated(empty_options: StoreOptions) -> StoreOptions:
    """A database of the second revision with a price and a call, brought up to date."""
    if empty_options.is_sqlite:
        empty_options.sqlite_path.touch()
    run_once(empty_options, lambda tx: upgrade(tx, "0002"))
    run_once(empty_options, lambda tx: [tx.execute(text(row)) for row in OLD_ROWS])
    migrate(empty_options)
    return empty_options


def test_an_old_price_is_a_standard_private_price_in_dollars(migrated: StoreOptions) -> None:
    op = make_op()
    version = run_once(migrated, lambda tx: prices.offered(op, tx, "org_1", "m"))
    found = prices.price_in(version, *PLAIN)
    lines = {Meter.INPUT: 1500, Meter.CACHED_INPUT: 150, Meter.OUTPUT: 2500}
    assert found == Price("price_2", "m", lines)
    assert found.currency == "USD"
    assert run_once(migrated, lambda tx: prices.current(op, tx, "m")) == found
    history = run_once(migrated, lambda tx: prices.history(op, tx, "m"))
    assert [(v.id, v.sequence, v.book_id) for v in history] == [
        ("price_2", 2, "default"),
        ("price_1", 1, "default"),
    ]


def test_an_old_call_costs_what_it_cost(migrated: StoreOptions) -> None:
    op = make_op()
    record = run_once(migrated, lambda tx: meter.call(op, tx, "org_1", "req_1"))
    assert record.usage == Usage(10, 5, 2, 1)
    assert (record.tier.value, record.data_terms.value) == ("standard", "private")
    version = run_once(migrated, lambda tx: prices.version(op, tx, record.price_version, "m"))
    price = prices.price_in(version, record.tier, record.data_terms)
    assert prices.cost_nano(price, record.usage) == record.cost_nano == 20


def test_a_new_version_follows_the_old_ones(migrated: StoreOptions) -> None:
    op = make_op()

    class Fixed:
        def new(self, prefix: str) -> str:
            return f"{prefix}_3"

    ask = prices.PriceAsk("m", 1, 2)
    run_once(migrated, lambda tx: prices.publish(op, tx, ask, Fixed()))
    newest, *_ = run_once(migrated, lambda tx: prices.history(op, tx, "m"))
    assert (newest.id, newest.sequence) == ("price_3", 3)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE price_line SET unit_pico = 1",
        "DELETE FROM price_line",
        "UPDATE price_version SET book_id = 'other'",
        "DELETE FROM price_version",
        "UPDATE call_record SET tier = 'flex'",
        "UPDATE call_record SET data_terms = 'contributor'",
        "UPDATE call_record SET searches = 1",
        "UPDATE call_record SET cost_nano = 1",
        "DELETE FROM call_record",
        "UPDATE project SET data_terms = 'public'",
    ],
)
def test_what_was_booked_stays_guarded(migrated: StoreOptions, statement: str) -> None:
    with pytest.raises(DBAPIError):
        run_once(migrated, lambda tx: tx.execute(text(statement)))


def test_a_project_is_private_until_it_says_otherwise(migrated: StoreOptions) -> None:
    select = text("SELECT data_terms FROM project")
    assert run_once(migrated, lambda tx: tx.execute(select).scalar_one()) == "private"
    change = text("UPDATE project SET data_terms = 'contributor'")
    run_once(migrated, lambda tx: tx.execute(change))
    assert run_once(migrated, lambda tx: tx.execute(select).scalar_one()) == "contributor"
