"""Receipts, statement and ledger over calls that real replicas held, settled and lost."""

import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.bank import CALLER, USD, Bank, opened_bank
from tests.support.changed import changed
from tests.support.settled import SEED
from tests.support.stores import fresh_options
from tokenbooth.core.delta import Usage
from tokenbooth.core.receipt import Outcome
from tokenbooth.money.receipts import service as receipts
from tokenbooth.money.receipts.service import Proofs, Signer, Span, StatementCheck

ORGS = ("org_a", "org_b")
REPLICAS = ("replica_a", "replica_b")
SIGNER = Signer(SEED)
TOKENS = st.integers(0, 150)
CALLS = st.tuples(
    st.sampled_from(REPLICAS),
    st.sampled_from(ORGS),
    st.builds(
        Usage, TOKENS, TOKENS, st.none() | TOKENS, TOKENS, images=TOKENS, searches=st.integers(0, 2)
    ),
    st.booleans(),
    st.sampled_from(Outcome),
)
STEPS = st.lists(CALLS | st.sampled_from(["flush", "sign", "forfeit", "leave"]), max_size=14)


def play(bank: Bank, steps: list[Any]) -> list[str]:
    """The ids of the calls that ended; ``leave`` begins one that never does."""
    ended = []
    for number, step in enumerate(steps):
        name = f"req_{number:03}"
        match step:
            case "flush":
                bank.flush()
            case "sign":
                sign(bank)
            case "forfeit":
                bank.replica(REPLICAS[0])
                bank.flush()
                bank.forfeit(REPLICAS[0])
                del bank.replicas[REPLICAS[0]]
                bank.replica(REPLICAS[0])
            case "leave":
                bank.hold(name, on=REPLICAS[1])
            case (on, org, usage, charge, outcome):
                caller = changed(CALLER, org_id=org, project_id=f"p_{org}", key_id=f"k_{org}")
                bank.hold(name, on=on, caller=caller, output_tokens_max=200)
                bank.settle(name, usage=usage, charge=charge, outcome=outcome)
                ended.append((name, org))
    bank.flush()
    sign(bank)
    return ended


def sign(bank: Bank) -> None:
    more = True
    while more:
        _, more = bank.write(lambda op, tx: receipts.sign_due(op, tx, SIGNER))


def statement(bank: Bank, span: Span) -> list[receipts.Json]:
    proofs, lines, last = Proofs(), [], None
    page = bank.read(lambda op, tx: receipts.page(op, tx, proofs, span, None))
    while page.lines:
        assert page.unsigned == ()
        lines += [line.document for line in page.lines]
        last = page.last
        page = bank.read(lambda op, tx, at=last: receipts.page(op, tx, proofs, span, at))
    return lines


def charged_nano(bank: Bank, span: Span) -> int:
    ((found,),) = bank.rows(
        "SELECT coalesce(sum(p.amount_nano), 0) FROM ledger_posting p"
        f" JOIN ledger_txn t ON t.id = p.txn_id WHERE p.account_id = 'revenue:{span.org_id}'"
        f" AND t.created_us >= {span.since_us} AND t.created_us < {span.until_us}"
    )
    return int(found)


def agrees(bank: Bank, span: Span) -> None:
    check = StatementCheck({SIGNER.key.public})
    lines = [json.loads(json.dumps(line)) for line in statement(bank, span)]
    for line in lines:
        steps = check.receipt(line)
        assert all(step.ok for step in steps), steps
    assert sum(int(line["amount_nano"]) for line in lines) == charged_nano(bank, span)


@settings(max_examples=25, deadline=None, database=None)
@given(STEPS, st.integers(0, 100))
def test_receipts_of_any_period_add_up_to_the_postings_of_that_period(
    tmp_path_factory: Any, steps: list[Any], percent: int
) -> None:
    directory: Path = tmp_path_factory.mktemp("bank")
    with opened_bank(fresh_options(directory)) as bank:
        bank.price(1_234_567, 7_654_321, 345_678)
        begin_us = bank.clock.us
        for org in ORGS:
            bank.fund(USD, org)
        ended = play(bank, steps)
        middle_us = begin_us + (bank.clock.us - begin_us) * percent // 100
        for org in ORGS:
            for since, until in ((0, middle_us), (middle_us, 2**52), (0, 2**52)):
                agrees(bank, Span(org, since, until))
        assert bank.rows("SELECT count(*) FROM receipt_leaf") == [(len(ended),)]
        for name, org in ended:
            found = bank.read(lambda op, tx, n=name, o=org: receipts.receipt(op, tx, o, n))
            steps_of = receipts.verify(found, {SIGNER.key.public})
            assert all(step.ok for step in steps_of), steps_of
            assert found["amount_nano"] == bank.call(name, org).cost_nano
        assert bank.verify().problems == ()
