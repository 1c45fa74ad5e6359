"""Reports are JSON-ready, exact, and say nothing of what is not known yet."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.ops import CountingIds, ManualClock
from tests.support.replica import Replica
from tokenbooth.access.keys import service as access_keys
from tokenbooth.catalog.models.service import Deployment, ModelAsk
from tokenbooth.control import accounts, documents, keys, models, offers, prices, reports
from tokenbooth.core.caller import Caller, Scope
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Usage
from tokenbooth.core.features import Capabilities, Feature
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome
from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.money.leases.service import Ending, HoldAsk, PoolOptions
from tokenbooth.money.ledger.service import Verification
from tokenbooth.money.meter.service import CallRecord, PageAsk
from tokenbooth.money.prices.service import PriceAsk

US = 10**6


@pytest.fixture
def caller(op: Op, tx: Tx, mint: keys.Mint, ids: CountingIds, acme: Any) -> Caller:
    """A caller of acme, with a priced model ``m`` on offer."""
    ask = ModelAsk(name="m", deployments=(models.scripted_deployment(),))
    models.add_model(op, tx, ask, ids)
    prices.price_model(op, tx, PriceAsk("m", 1_000_000, 2_000_000), ids, confirmed=False)
    minted = keys.create_key(op, tx, keys.NewKey(org="acme", name="k", cap_nano=10**9), mint)
    return access_keys.authenticate(op, tx, minted.secret, mint.pepper)


@dataclass
class OneTx:
    """A ledger in one open transaction, for a process that books each step at once."""

    op: Op
    tx: Tx
    clock: ManualClock

    def write(self, verb: Any) -> Any:
        return verb(self.op, self.tx)

    seen = write

    def answer(self, *, but: str) -> None:
        """There is no other process."""


@pytest.fixture
def replica(op: Op, tx: Tx, clock: ManualClock) -> Replica:
    return Replica(OneTx(op, tx, clock), "rep_1", PoolOptions(block_nano_max=0))


def hold(replica: Replica, op: Op, tx: Tx, caller: Caller, request_id: str) -> None:
    price = prices.current_price(op, tx, "m")
    assert price is not None
    replica.hold(
        HoldAsk(
            request_id=request_id,
            caller=caller,
            model="m",
            price=price,
            input_tokens=10,
            output_tokens_max=20,
            choices=1,
            stream=True,
            stated=True,
            strict=False,
            step_tokens=20,
        )
    )
    replica.flush()


def settle(replica: Replica, op: Op, request_id: str, **fields: Any) -> None:
    ending: dict[str, Any] = {
        "request_id": request_id,
        "outcome": Outcome.COMPLETED,
        "reason": "",
        "usage": Usage(10, 5, cached_input_tokens=4),
        "charge": True,
        "started_us": op.now(),
        "first_output_us": op.now() + 1500,
        "ended_us": op.now() + 2_000_001,
        "fingerprint": "fp",
        "deployment_id": None,
    }
    replica.settle(Ending(**{**ending, **fields}))
    replica.flush()


def test_a_running_call_has_no_usage_and_costs_nothing_so_far(
    replica: Replica, op: Op, tx: Tx, caller: Caller
) -> None:
    hold(replica, op, tx, caller, "req_1")
    found: Any = reports.call(op, tx, caller, "req_1")
    assert (found["status"], found["usage"], found["ended_at"]) == ("running", None, None)
    assert found["cost"]["amount_nano"] == 0
    assert found["held"]["amount_nano"] == 10_000 + 40_000
    balance: Any = reports.balance(op, tx, caller)
    assert balance["spendable"]["amount_nano"] == 10**9 - 50_000


def test_a_settled_call_is_exact(replica: Replica, op: Op, tx: Tx, caller: Caller) -> None:
    hold(replica, op, tx, caller, "req_1")
    settle(replica, op, "req_1")
    found: Any = reports.call(op, tx, caller, "req_1")
    assert found["status"] == "completed"
    assert found["cost"]["amount"] == "0.000020000"
    assert found["usage"]["prompt_tokens_details"] == {"cached_tokens": 4}
    assert found["first_output_at"] == "2023-11-14T22:13:20.001500Z"
    assert found["ended_at"] == "2023-11-14T22:13:22.000001Z"
    assert found["system_fingerprint"] == "fp"
    assert found["reason"] is None


def test_an_uncharged_call_says_why(replica: Replica, op: Op, tx: Tx, caller: Caller) -> None:
    hold(replica, op, tx, caller, "req_1")
    settle(replica, op, "req_1", outcome=Outcome.ENGINE_FAILED, reason="it broke", charge=False)
    found: Any = reports.call(op, tx, caller, "req_1")
    assert (found["status"], found["reason"]) == ("engine_failed", "it broke")
    assert found["cost"]["amount_nano"] == 0


def test_the_sum_of_all_calls_is_what_left_the_balance(
    replica: Replica, op: Op, tx: Tx, clock: ManualClock, caller: Caller
) -> None:
    for number in range(7):
        clock.us += US
        hold(replica, op, tx, caller, f"req_{number}")
        settle(replica, op, f"req_{number}", usage=Usage(number, 2 * number))
    page: Any = reports.calls(op, tx, caller, PageAsk(limit=100))
    listed = sum(row["cost"]["amount_nano"] for row in page["data"])
    usage: Any = reports.usage_report_json(reports.usage(op, tx, caller.org_id, 0, clock.us + US))
    (total,) = reports.totals(op, tx)
    balance: Any = reports.balance(op, tx, caller)
    spent = balance["limits"][0]["spent"]["amount_nano"]
    assert listed == spent == usage["total_cost"]["amount_nano"] == total.total.cost_nano > 0
    document: Any = reports.org_usage_json(total)
    assert (document["organization"], document["calls"]) == ("acme", 7)
    assert reports.usage_of(op, tx, "acme", 0, clock.us + US).lines[0].calls == 7


def test_a_booth_without_calls_has_no_totals(op: Op, tx: Tx) -> None:
    assert reports.totals(op, tx) == ()


def test_what_is_held_is_one_number_also_while_calls_grow(
    replica: Replica, op: Op, tx: Tx, caller: Caller
) -> None:
    hold(replica, op, tx, caller, "req_1")
    assert replica.extend("req_1", 50)
    replica.flush()
    (line,) = reports.totals(op, tx)
    balance: Any = reports.balance(op, tx, caller)
    document: Any = reports.org_usage_json(line)
    held_nano = balance["limits"][0]["held"]["amount_nano"]
    assert document["held"]["amount_nano"] == held_nano == 10_000 + 100_000
    assert document["running"] == 1


def test_an_empty_balance_cannot_be_spent(
    op: Op, tx: Tx, ids: CountingIds, mint: keys.Mint
) -> None:
    accounts.create_organization(op, tx, accounts.OrganizationAsk("poor"), ids)
    secret = keys.create_key(op, tx, keys.NewKey(org="poor", name="k"), mint).secret
    found: Any = reports.balance(op, tx, access_keys.authenticate(op, tx, secret, mint.pepper))
    assert found["spendable"]["amount"] == "0.000000000"


def test_abilities_are_joined_over_deployments_and_windows_cut(
    op: Op, tx: Tx, ids: CountingIds, caller: Caller
) -> None:
    two = (models.scripted_deployment(), models.scripted_deployment())
    models.add_model(op, tx, ModelAsk(name="two", deployments=two, context_tokens=4096), ids)
    prices.price_model(op, tx, PriceAsk("two", 1, 1), ids, confirmed=False)
    known = iter(
        [
            Capabilities(frozenset({Feature.TOOLS}), context_tokens=8192),
            Capabilities(frozenset({Feature.SEED}), context_tokens=None),
        ]
    )

    def abilities(deployment: Deployment) -> Capabilities | None:
        return next(known)

    found = offers.offer_row(offers.offer(op, tx, caller, "two", abilities))
    assert found["context_length"] == 4096
    assert found["features"] == ["seed", "tools"]


def test_nothing_known_is_said_as_null(op: Op, tx: Tx, caller: Caller) -> None:
    found = offers.offer_row(offers.offer(op, tx, caller, "m", lambda deployment: None))
    assert (found["context_length"], found["capabilities"]) == (None, None)


def test_a_key_with_an_allow_list_is_not_told_what_else_exists(
    op: Op, tx: Tx, caller: Caller
) -> None:
    bound = Caller(
        caller.org_id, caller.project_id, caller.key_id, frozenset(Scope), frozenset({"other"})
    )
    assert offers.offers(op, tx, bound, lambda deployment: None) == ()
    codes = set()
    for name in ("m", "nothing", "\0"):
        with pytest.raises(Problem) as caught:
            offers.offer(op, tx, bound, name, lambda deployment: None)
        codes.add(caught.value.code)
    assert codes == {Code.MODEL_NOT_ALLOWED}


@pytest.mark.parametrize(
    ("found", "sound"),
    [
        (Verification(3, 0, 0, ()), True),
        (Verification(3, 0, 5, ()), True),
        (Verification(3, 1, 0, ()), False),
        (Verification(3, 0, 0, ("a posting without a pair",)), False),
    ],
)
def test_books_are_sound_without_any_difference(found: Verification, sound: bool) -> None:
    assert reports.is_sound(found) is sound
    assert reports.verification_json(found)["sound"] is sound


def test_the_ledger_is_recomputed(replica: Replica, op: Op, tx: Tx, caller: Caller) -> None:
    hold(replica, op, tx, caller, "req_1")
    found = reports.verification(op, tx)
    assert found.open_holds == 1
    assert reports.is_sound(found)


TIME_US = st.integers(0, 4_102_444_800 * US)


@given(TIME_US)
def test_a_moment_can_be_read_back_to_the_microsecond(time_us: int) -> None:
    from datetime import datetime

    text = documents.iso_moment(time_us)
    assert text is not None
    read = datetime.fromisoformat(text)
    assert int(read.timestamp()) * US + read.microsecond == time_us
    assert text.startswith(documents.iso_day(time_us))
    short = documents.iso_time(time_us)
    assert short is not None
    assert text.startswith(short.removesuffix("Z"))


def test_no_time_is_null() -> None:
    assert documents.iso_moment(None) is None
    assert documents.iso_time(None) is None


def test_no_document_holds_a_float(replica: Replica, op: Op, tx: Tx, caller: Caller) -> None:
    hold(replica, op, tx, caller, "req_1")
    settle(replica, op, "req_1")
    shown = [
        reports.balance(op, tx, caller),
        reports.calls(op, tx, caller, PageAsk(limit=5)),
        *map(offers.offer_row, offers.offers(op, tx, caller, lambda deployment: None)),
        reports.usage_report_json(reports.usage(op, tx, caller.org_id, 0, op.now() + US)),
        *(documents.account_json(line) for line in accounts.organizations(op, tx)),
        *(documents.project_line_json(line) for line in accounts.projects(op, tx, None)),
        *(documents.key_line_json(line) for line in keys.keys(op, tx, None)),
        *(documents.model_json(line) for line in models.models(op, tx)),
    ]

    def refuse_float(text: str) -> None:
        raise AssertionError(f"a float: {text}")

    for document in shown:
        json.loads(json.dumps(document), parse_float=refuse_float)


def test_another_tenants_call_cannot_be_read(
    replica: Replica, op: Op, tx: Tx, caller: Caller
) -> None:
    hold(replica, op, tx, caller, "req_1")
    stranger = Caller("org_other", "proj_x", "key_x", frozenset(Scope))
    for request_id in ("req_1", "req_none", "a\0b", "\ud800"):
        with pytest.raises(Problem) as caught:
            reports.call(op, tx, stranger, request_id)
        assert caught.value.code is Code.RECORD_NOT_FOUND


def test_a_record_without_a_fingerprint_is_complete(op: Op) -> None:
    record = CallRecord(
        request_id="req_1",
        org_id="o",
        project_id="p",
        key_id="k",
        end_customer="cust",
        model="m",
        stream=False,
        outcome=Outcome.INTERRUPTED,
        reason="stopped",
        usage=None,
        cost_nano=0,
        held_nano=7,
        price_version="price_1",
        tier=ServiceTier.FLEX,
        data_terms=DataTerms.CONTRIBUTOR,
        operator_loss_nano=3,
        created_us=0,
        started_us=None,
        first_output_us=None,
        ended_us=None,
        fingerprint=None,
    )
    found = reports.call_json(record, "EUR")
    assert found["usage"] is None
    assert found["end_customer"] == "cust"
    assert "operator_loss" not in found
    assert found["cost"]["currency"] == "EUR"
    assert (found["service_tier"], found["data_terms"]) == ("flex", "contributor")
