"""Whole price lists, organizations in their books, and locks by name."""

from typing import Any

import pytest

from tests.support.ops import CountingIds, ManualClock
from tests.support.tariffs import lines_of
from tokenbooth.catalog.models.service import ModelAsk
from tokenbooth.control import (
    accounts,
    documents,
    keys,
    models,
    offers,
    price_books,
    prices,
    reports,
)
from tokenbooth.control.price_books import LockAsk
from tokenbooth.control.price_documents import (
    book_json,
    change_json,
    lock_json,
    version_json,
)
from tokenbooth.control.price_sheet import ModelSheet, PriceSheet
from tokenbooth.core.caller import Caller
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.money.prices import service as book
from tokenbooth.money.prices.service import DEFAULT, Book, PriceLock, Step, Tariff

PLAIN = (ServiceTier.STANDARD, DataTerms.PRIVATE)
FLEX = (ServiceTier.FLEX, DataTerms.PRIVATE)
SHARED = (ServiceTier.STANDARD, DataTerms.CONTRIBUTOR)
DAY_US = 86_400_000_000


def tariff(terms: tuple[ServiceTier, DataTerms] = PLAIN, *above: Step, **picos: int) -> Tariff:
    return Tariff(*terms, (Step(0, lines_of(**(picos or {"input": 1, "output": 2}))), *above))


def refusal(work: Any, *asked: Any, **fields: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        work(*asked, **fields)
    return caught.value


@pytest.fixture
def europe(op: Op, tx: Tx, ids: CountingIds) -> Book:
    """Models ``m`` and ``n`` on offer, and a book in EUR without a price."""
    for name in ("m", "n"):
        ask = ModelAsk(name=name, deployments=(models.scripted_deployment(),))
        models.add_model(op, tx, ask, ids)
    return book.create_book(op, tx, "europe", "EUR", ids)


@pytest.fixture
def acme_eu(op: Op, tx: Tx, ids: CountingIds, europe: Book) -> str:
    ask = accounts.OrganizationAsk("acme", book="europe")
    return accounts.create_organization(op, tx, ask, ids).id


def publish(op: Op, tx: Tx, ids: Any, sheet: PriceSheet, *, confirmed: bool = False) -> Any:
    changes = price_books.changes_of(op, tx, sheet)
    return prices.publish_all(op, tx, changes, ids, confirmed=confirmed)


def test_a_whole_list_is_published_at_once(op: Op, tx: Tx, ids: CountingIds, europe: Book) -> None:
    first = ModelSheet("m", (tariff(FLEX), tariff()))
    made = publish(op, tx, ids, PriceSheet("europe", "EUR", (first, ModelSheet("n", (tariff(),)))))
    assert [(v.model, v.currency) for v in made] == [("m", "EUR"), ("n", "EUR")]
    assert made[0].tariffs == (tariff(), tariff(FLEX))
    assert price_books.versions_in(op, tx, "europe") == made
    assert price_books.versions_in(op, tx, "default") == ()
    again = publish(op, tx, ids, PriceSheet("europe", "EUR", (first,)))
    assert again == ()
    assert price_books.versions_in(op, tx, europe.id) == made


@pytest.mark.parametrize(
    ("sheet", "code", "param"),
    [
        (PriceSheet("asia", "EUR", ()), Code.NAME_NOT_FOUND, "book"),
        (PriceSheet("europe", "USD", ()), Code.STATE_CONFLICT, "currency"),
        (PriceSheet("default", "EUR", ()), Code.STATE_CONFLICT, "currency"),
        (
            PriceSheet("europe", "EUR", (ModelSheet("ghost", (tariff(),)),)),
            Code.MODEL_NOT_FOUND,
            "model",
        ),
        (
            PriceSheet("europe", "EUR", (ModelSheet("m", (tariff(input=1),)),)),
            Code.INVALID_VALUE,
            "output",
        ),
        (
            PriceSheet("europe", "EUR", (ModelSheet("m", (tariff(), tariff())),)),
            Code.INVALID_VALUE,
            "tier",
        ),
    ],
)
def test_a_list_that_does_not_fit_is_refused_by_name(
    op: Op, tx: Tx, europe: Book, sheet: PriceSheet, code: Code, param: str
) -> None:
    problem = refusal(price_books.changes_of, op, tx, sheet)
    assert (problem.code, problem.param) == (code, param)


def test_an_organization_lives_in_the_currency_of_its_book(
    op: Op, tx: Tx, mint: keys.Mint, acme_eu: str
) -> None:
    (line,) = accounts.organizations(op, tx)
    document: Any = documents.account_json(line)
    assert (document["price_book"], document["currency"]) == ("europe", "EUR")
    assert {limit["currency"] for limit in document["limits"]} == {"EUR"}
    (project,) = accounts.projects(op, tx, "acme")
    assert documents.project_line_json(project)["limits"][0]["currency"] == "EUR"  # type: ignore[index]
    minted = keys.create_key(op, tx, keys.NewKey(org="acme", name="k"), mint)
    (key,) = keys.keys(op, tx, "acme")
    assert key.currency == keys.cap_key(op, tx, minted.key.id, 5).currency == "EUR"
    caller = Caller(acme_eu, project.project.id, key.key.id, frozenset())
    balance: Any = reports.balance(op, tx, caller)
    assert balance["currency"] == "EUR"
    assert {limit["currency"] for limit in balance["limits"]} == {"EUR"}
    report = reports.usage_of(op, tx, "acme", 0, 1)
    assert reports.usage_report_json(report)["total_cost"]["currency"] == "EUR"  # type: ignore[index]


def test_an_organization_of_an_unknown_book_is_not_made(op: Op, tx: Tx, ids: CountingIds) -> None:
    ask = accounts.OrganizationAsk("acme", book="nowhere")
    problem = refusal(accounts.create_organization, op, tx, ask, ids)
    assert problem.code is Code.NAME_NOT_FOUND
    assert accounts.organizations(op, tx) == ()


def test_a_book_is_changed_before_the_first_money_and_never_after(
    op: Op, tx: Tx, acme_eu: str, europe: Book
) -> None:
    assert accounts.set_book(op, tx, "acme", "default").book == DEFAULT
    assert accounts.set_book(op, tx, "acme", "europe").book == europe
    assert refusal(accounts.set_book, op, tx, "acme", "asia").code is Code.NAME_NOT_FOUND
    assert refusal(accounts.set_book, op, tx, "nobody", "europe").code is Code.NAME_NOT_FOUND
    accounts.add_credit(op, tx, "acme", 1, "first")
    problem = refusal(accounts.set_book, op, tx, "acme", "default")
    assert (problem.code, problem.param) == (Code.STATE_CONFLICT, "book")
    (line,) = accounts.organizations(op, tx)
    assert line.book == europe


def test_a_project_says_what_may_become_of_its_content(
    op: Op, tx: Tx, ids: CountingIds, acme_eu: str
) -> None:
    accounts.create_project(op, tx, "acme", "web", cap_nano=None, ids=ids)
    line = accounts.set_data_terms(op, tx, "acme", "web", DataTerms.CONTRIBUTOR)
    assert (line.project.data_terms, line.currency) == (DataTerms.CONTRIBUTOR, "EUR")
    terms = {p.project.name: p.project.data_terms for p in accounts.projects(op, tx, "acme")}
    assert terms == {"default": DataTerms.PRIVATE, "web": DataTerms.CONTRIBUTOR}
    assert documents.project_json(line.project)["data_terms"] == "contributor"
    problem = refusal(accounts.set_data_terms, op, tx, "acme", "app", DataTerms.PRIVATE)
    assert problem.code is Code.NAME_NOT_FOUND


def test_models_are_listed_at_the_prices_of_the_callers_own_terms(
    op: Op, tx: Tx, ids: CountingIds, acme_eu: str
) -> None:
    sheets = (ModelSheet("m", (tariff(input=5, output=6), tariff(SHARED))),)
    publish(op, tx, ids, PriceSheet("europe", "EUR", sheets), confirmed=True)
    publish(op, tx, ids, PriceSheet("default", "USD", (ModelSheet("n", (tariff(),)),)))

    def listed(terms: DataTerms, name: str = "m") -> Any:
        caller = Caller(acme_eu, "p", "k", frozenset(), data_terms=terms)
        found = offers.offers(op, tx, caller, lambda _deployment: None)
        rows: list[Any] = [offers.offer_row(each) for each in found]
        assert [row["id"] for row in rows] == [name]
        assert found == (offers.offer(op, tx, caller, name, lambda _deployment: None),)
        return rows[0]["pricing"]

    private, shared = listed(DataTerms.PRIVATE), listed(DataTerms.CONTRIBUTOR)
    assert (private["input"], private["currency"]) == ("0.000005", "EUR")
    assert (shared["input"], shared["data_terms"]) == ("0.000001", "contributor")
    publish(op, tx, ids, PriceSheet("europe", "EUR", (ModelSheet("n", (tariff(SHARED),)),)))
    assert listed(DataTerms.PRIVATE) == private
    caller = Caller(acme_eu, "p", "k", frozenset())
    problem = refusal(offers.offer, op, tx, caller, "n", lambda _deployment: None)
    assert problem.code is Code.PRICE_UNKNOWN


def test_a_lock_without_a_version_keeps_what_is_paid_now(
    op: Op, tx: Tx, ids: CountingIds, acme_eu: str, clock: ManualClock
) -> None:
    (first,) = publish(op, tx, ids, PriceSheet("europe", "EUR", (ModelSheet("m", (tariff(),)),)))
    made = price_books.lock_price(op, tx, LockAsk("acme", "m", until_us=clock.us + DAY_US))
    assert (made.lock.version_id, made.lock.from_us) == (first.id, clock.us)
    assert (made.org_name, made.holds) == ("acme", True)
    dearer = ModelSheet("m", (tariff(input=2, output=2),))
    publish(op, tx, ids, PriceSheet("europe", "EUR", (dearer,)))
    assert prices.offered_version(op, tx, acme_eu, "m") == first
    assert price_books.lock_lines(op, tx, None) == (made,)
    assert price_books.lock_lines(op, tx, "acme") == (made,)
    clock.us += DAY_US
    assert price_books.lock_lines(op, tx, None) == ()


def test_a_lock_of_later_does_not_hold_yet_and_can_be_ended(
    op: Op, tx: Tx, ids: CountingIds, acme_eu: str, clock: ManualClock
) -> None:
    (version,) = publish(op, tx, ids, PriceSheet("europe", "EUR", (ModelSheet("m", (tariff(),)),)))
    ask = LockAsk("acme", "m", version.id, from_us=clock.us + DAY_US)
    assert not price_books.lock_price(op, tx, ask).holds
    assert len(price_books.unlock_price(op, tx, "acme", "m")) == 1
    assert price_books.lock_lines(op, tx, "acme") == ()
    assert refusal(price_books.unlock_price, op, tx, "acme", "m").code is Code.NAME_NOT_FOUND


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (LockAsk("nobody", "m"), Code.NAME_NOT_FOUND),
        (LockAsk("acme", "ghost"), Code.PRICE_UNKNOWN),
        (LockAsk("acme", "m", "price_x"), Code.PRICE_UNKNOWN),
    ],
)
def test_a_lock_on_nothing_is_refused(
    op: Op, tx: Tx, acme_eu: str, ask: LockAsk, code: Code
) -> None:
    assert refusal(price_books.lock_price, op, tx, ask).code is code


def test_documents_of_books_versions_and_locks(
    op: Op, tx: Tx, ids: CountingIds, europe: Book
) -> None:
    assert book_json(DEFAULT) == {
        "object": "price_book",
        "id": "default",
        "name": "default",
        "currency": "USD",
        "decimals": 2,
    }
    above = Step(9, lines_of(input=6, output=8))
    stepped = tariff(FLEX, above, input=3, output=4)
    (made,) = publish(
        op, tx, ids, PriceSheet("europe", "EUR", (ModelSheet("m", (tariff(), stepped)),))
    )
    found: Any = version_json(made)
    assert (found["id"], found["book_id"], found["currency"]) == (made.id, europe.id, "EUR")
    assert [(row["tier"], row["context_min_tokens"], row["input"]) for row in found["lines"]] == [
        ("standard", 0, "0.000001"),
        ("flex", 0, "0.000003"),
        ("flex", 9, "0.000006"),
    ]
    locked = PriceLock(org_id="o", model="m", sequence=1, version_id="v", from_us=0, until_us=None)
    assert lock_json(locked)["from"] == "1970-01-01T00:00:00.000000Z"
    assert lock_json(locked)["until"] is None


def test_a_document_of_a_change_names_steps_and_what_is_removed(
    op: Op, tx: Tx, ids: CountingIds, europe: Book
) -> None:
    sheet = PriceSheet("europe", "EUR", (ModelSheet("m", (tariff(), tariff(FLEX))),))
    (change,) = price_books.changes_of(op, tx, sheet)
    first: Any = change_json(change)
    assert (first["changed"], first["before"], first["tenfold_steps"]) == (True, None, [])
    (made,) = publish(op, tx, ids, sheet)
    dearer = PriceSheet("europe", "EUR", (ModelSheet("m", (tariff(input=10, output=2),)),))
    (change,) = price_books.changes_of(op, tx, dearer)
    second: Any = change_json(change)
    assert second["before"] == made.id
    assert len(second["tenfold_steps"]) == 1
    assert second["removed"] == [{"tier": "flex", "data_terms": "private"}]
    (change,) = price_books.changes_of(op, tx, sheet)
    assert change_json(change)["changed"] is False
