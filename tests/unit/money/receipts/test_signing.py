"""Every settled call is signed once, whoever settled it, whenever it turned up, whoever signs."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from tests.support.settled import OTHER_SEED, SEED, Desk
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.money.receipts import service as receipts
from tokenbooth.money.receipts import signer
from tokenbooth.money.receipts.proofs import TREES_KEPT_MAX
from tokenbooth.money.receipts.service import (
    BATCH_CALLS_MAX,
    CHARGES_AT_ONCE_MAX,
    Proofs,
    Signer,
    Span,
)
from tokenbooth.signing.merkle import MerkleTree

BATCHES = "SELECT count(*) FROM receipt_batch"
DUE = "SELECT id FROM receipt_due ORDER BY id"
LEAVES = "SELECT request_id, leaf_index FROM receipt_leaf ORDER BY batch_id, leaf_index"


def named(*numbers: int) -> list[dict[str, object]]:
    return [{"request_id": f"req_{number:05}"} for number in numbers]


def test_settled_calls_wait_and_are_signed_charge_by_charge_free_ones_last(desk: Desk) -> None:
    desk.settle(*named(3, 1))
    desk.settle(*named(2), *({**call, "charged": False} for call in named(7, 4)))
    waiting = ["charge:org_a:1", "charge:org_a:2", "req_00004", "req_00007"]
    assert desk.rows(DUE) == [(each,) for each in waiting]
    assert desk.sign_all() == 5
    assert desk.rows(DUE) == []
    signed = [name for name, _ in desk.rows(LEAVES)]
    assert set(signed[:2]) == {"req_00001", "req_00003"}
    assert signed[2:] == ["req_00002", "req_00004", "req_00007"]
    assert [index for _, index in desk.rows(LEAVES)] == [0, 1, 2, 3, 4]
    assert desk.rows(BATCHES) == [(1,)]


def test_a_running_call_waits_until_it_is_settled(desk: Desk) -> None:
    ended = ("outcome", "reason", "input_tokens", "output_tokens", "reasoning_tokens")
    open_row = dict.fromkeys((*ended, "usage_source", "ended_us"))
    desk.settle({**named(1)[0], **open_row, "state": "open", "charged": False})
    assert desk.rows(DUE) == []
    assert desk.sign_all() == 0
    with pytest.raises(Problem) as refused:
        desk.read(lambda op, tx: receipts.receipt(op, tx, "org_a", "req_00001"))
    assert refused.value.code is Code.RECEIPT_NOT_READY
    assert refused.value.retry_after_s == 1
    desk.write(lambda op, tx: receipts.sign_these(op, tx, desk.signer, ["req_00001"]))
    assert desk.rows(BATCHES) == [(0,)]
    assert desk.rows(DUE) == []
    desk.sql(
        "UPDATE call_record SET state = 'void', outcome = 'interrupted', reason = 'It stopped.',"
        " input_tokens = 0, output_tokens = 0, reasoning_tokens = 0, usage_source = 'bound',"
        " ended_us = 5"
    )
    assert desk.sign_all() == 1
    made = desk.receipt("req_00001")
    assert (made["outcome"], made["amount_nano"], made["charged"]) == ("interrupted", 0, False)


def test_a_late_row_with_an_old_id_is_not_passed_over(desk: Desk) -> None:
    desk.settle(*named(100))
    desk.sign_all()
    desk.settle(*named(7))
    assert desk.sign_all() == 1
    assert desk.receipt("req_00007")["request_id"] == "req_00007"


def test_no_batch_grows_beyond_its_bound(desk: Desk) -> None:
    desk.settle(*named(*range(2 * BATCH_CALLS_MAX + 5)))
    assert desk.sign_all() == 2 * BATCH_CALLS_MAX + 5
    sizes = desk.rows("SELECT size FROM receipt_batch ORDER BY size")
    assert sizes == [(5,), (BATCH_CALLS_MAX,), (BATCH_CALLS_MAX,)]
    leaves = desk.rows("SELECT batch_id, count(*), max(leaf_index) FROM receipt_leaf GROUP BY 1")
    assert sorted((count, last + 1) for _, count, last in leaves) == sorted(
        (size, size) for (size,) in sizes
    )


def test_a_charge_of_many_calls_is_signed_in_steps(desk: Desk) -> None:
    """It stays on the list until its last call is signed, and others come off meanwhile."""
    desk.settle(*named(1))
    desk.settle(*named(*range(100, 100 + 2 * BATCH_CALLS_MAX)))
    desk.settle({**named(2)[0], "charged": False})

    def once() -> tuple[int, bool]:
        return desk.write(lambda op, tx: receipts.sign_due(op, tx, desk.signer))

    assert once() == (BATCH_CALLS_MAX, True)
    assert desk.rows(DUE) == [("charge:org_a:2",), ("req_00002",)]
    assert once() == (BATCH_CALLS_MAX, True)
    assert desk.rows(DUE) == [("charge:org_a:2",), ("req_00002",)]
    assert once() == (2, False)
    assert desk.rows(DUE) == []
    assert desk.rows("SELECT size FROM receipt_batch ORDER BY size") == [
        (2,),
        (BATCH_CALLS_MAX,),
        (BATCH_CALLS_MAX,),
    ]


def test_many_small_charges_are_signed_together(desk: Desk) -> None:
    count = CHARGES_AT_ONCE_MAX + 6
    for number in range(count):
        desk.settle(*named(number))
    desk.settle({**named(count)[0], "charged": False})
    first = desk.write(lambda op, tx: receipts.sign_due(op, tx, desk.signer))
    assert first == (CHARGES_AT_ONCE_MAX + 1, True)
    assert desk.sign_all() == 6
    assert desk.rows("SELECT size FROM receipt_batch ORDER BY size") == [
        (6,),
        (CHARGES_AT_ONCE_MAX + 1,),
    ]


def test_nothing_to_sign_writes_nothing(desk: Desk) -> None:
    assert desk.sign_all() == 0
    assert desk.rows(BATCHES) == [(0,)]
    assert desk.rows("SELECT count(*) FROM receipt_key") == [(0,)]


def test_a_signature_that_is_lost_with_its_transaction_is_made_again(desk: Desk) -> None:
    desk.settle(*named(1, 2))

    def broken(op: object, tx: object) -> None:
        receipts.sign_due(op, tx, desk.signer)
        raise RuntimeError("the power went")

    with pytest.raises(RuntimeError):
        desk.write(broken)
    assert desk.rows(BATCHES) == [(0,)]
    assert desk.sign_all() == 2


def test_calls_are_signed_on_demand_and_not_twice(desk: Desk) -> None:
    desk.settle(*named(1, 2, 3))
    assert desk.read(lambda op, tx: receipts.receipt(op, tx, "org_a", "req_00002")) is None
    ask = ["req_00002", "req_none"]
    desk.write(lambda op, tx: receipts.sign_these(op, tx, desk.signer, ask))
    assert desk.rows(DUE) == [("charge:org_a:1",)]
    desk.write(lambda op, tx: receipts.sign_these(op, tx, desk.signer, ask))
    assert desk.rows(BATCHES) == [(1,)]
    assert desk.rows(DUE) == [("charge:org_a:1",)]
    assert desk.sign_all() == 2
    assert desk.receipt("req_00002")["proof"]["tree_size"] == 1
    assert desk.receipt("req_00003")["proof"]["tree_size"] == 2


def test_a_signed_call_that_came_back_onto_the_list_only_leaves_it(desk: Desk) -> None:
    """As after a restore, whose rows fill the list anew."""
    desk.settle(*named(1, 2))
    desk.sign_all()
    desk.sql("INSERT INTO receipt_due VALUES ('charge:org_a:1', 'charge'), ('req_00002', 'call')")
    desk.settle(*named(3))
    assert desk.sign_all() == 1
    assert desk.rows(DUE) == []
    assert desk.rows(BATCHES) == [(2,)]
    desk.sql("INSERT INTO receipt_due VALUES ('charge:org_a:1', 'charge')")
    assert desk.sign_all() == 0
    assert desk.rows(DUE) == []
    assert desk.rows(BATCHES) == [(2,)]


def test_another_organizations_receipt_is_as_unknown_as_none(desk: Desk) -> None:
    desk.settle(*named(1))
    desk.sign_all()
    for org, request_id in (("org_b", "req_00001"), ("org_a", "req_none")):
        with pytest.raises(Problem) as refused:
            desk.receipt(request_id, org)
        assert refused.value.code is Code.RECORD_NOT_FOUND


def test_memory_of_trees_and_prices_is_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was let go of is read again, and says the same."""
    monkeypatch.setattr(signer, "PRICES_KEPT_MAX", 2)
    for model in ("a", "b", "c"):
        desk.price(model)
    count = TREES_KEPT_MAX + 2
    for number in range(count):
        desk.settle({**named(number)[0], "model": "abc"[number % 3]})
        desk.sign_all()
    proofs = Proofs(desk.signer.shelf)
    span = Span("org_a", 0, 2**52)
    page = desk.read(lambda op, tx: receipts.page(op, tx, proofs, span, None))
    assert [line.document["model"] for line in page.lines] == [*"abc" * (count // 3)]
    for line in page.lines:
        assert line.document == desk.receipt(str(line.document["request_id"]))


def test_a_rotated_key_leaves_old_receipts_as_they_were(desk: Desk) -> None:
    desk.settle(*named(1))
    desk.sign_all()
    before = desk.receipt("req_00001")
    desk.signer = Signer(OTHER_SEED)
    desk.settle(*named(2))
    desk.sign_all()
    assert desk.receipt("req_00001") == before
    old, new = Signer(SEED).key, Signer(OTHER_SEED).key
    assert desk.receipt("req_00002")["proof"]["key_id"] == new.key_id
    found = desk.read(receipts.keys)
    assert [(line.id, line.public) for line in found] == [
        (old.key_id, old.public),
        (new.key_id, new.public),
    ]
    desk.settle(*named(3))
    desk.sign_all()
    assert desk.read(receipts.keys) == found


def test_a_record_that_was_changed_behind_our_back_gets_no_receipt(desk: Desk) -> None:
    desk.settle(*named(1, 2))
    desk.sign_all()
    desk.forged("UPDATE call_record SET output_tokens = 21 WHERE request_id = 'req_00001'")
    with pytest.raises(Problem) as refused:
        desk.receipt("req_00001")
    assert refused.value.code is Code.INTERNAL
    assert "req_00001 differs from leaf 0" in refused.value.detail
    assert desk.receipt("req_00002")["usage"]["output_tokens"] == 20


def test_a_loss_noted_later_does_not_touch_the_receipt(desk: Desk) -> None:
    desk.settle(*named(1))
    desk.sign_all()
    before = desk.receipt("req_00001")
    desk.sql("UPDATE call_record SET operator_loss_nano = 9")
    assert desk.receipt("req_00001") == before


@pytest.mark.parametrize("table", ["receipt_key", "receipt_batch", "receipt_leaf"])
def test_what_was_signed_is_neither_changed_nor_deleted(desk: Desk, table: str) -> None:
    desk.settle(*named(1))
    desk.sign_all()
    before = desk.rows(f"SELECT * FROM {table}")
    changes = {
        "receipt_key": "created_us = 1",
        "receipt_batch": "signed_us = 1",
        "receipt_leaf": "leaf_index = 9",
    }
    for statement in (f"UPDATE {table} SET {changes[table]}", f"DELETE FROM {table}"):
        with pytest.raises(DBAPIError):
            desk.sql(statement)
    assert desk.rows(f"SELECT * FROM {table}") == before


@pytest.mark.parametrize(
    "change",
    [
        "size = size + 1",
        "root = substr(root, 1, 31)",
        "signature = substr(signature, 1, 63)",
        "leaves = substr(leaves, 1, 31)",
    ],
)
def test_no_batch_is_born_wrong(desk: Desk, change: str) -> None:
    desk.settle(*named(1))
    desk.sign_all()
    name, expression = change.split(" = ", 1)
    columns = ["id", "format", "size", "root", "leaves", "key_id", "signature", "signed_us"]
    wanted = ", ".join(
        expression if each == name else "'other'" if each == "id" else each for each in columns
    )
    with pytest.raises(DBAPIError, match="ck_receipt_batch"):
        desk.sql(f"INSERT INTO receipt_batch SELECT {wanted} FROM receipt_batch")


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rounds=st.lists(st.sets(st.integers(0, 99_999), min_size=1, max_size=9), max_size=6),
    breaks=st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_each_call_has_one_leaf_that_its_batch_really_holds(
    desk: Desk, rounds: list[set[int]], breaks: list[bool]
) -> None:
    """Rounds in any order of ids, with signing in between or not."""
    known = {name for (name,) in desk.rows("SELECT request_id FROM call_record")}
    for numbers, sign_now in zip(rounds, breaks, strict=False):
        fresh = [call for call in named(*numbers) if call["request_id"] not in known]
        known |= {str(call["request_id"]) for call in fresh}
        desk.settle(*fresh)
        if sign_now:
            desk.sign_all()
    desk.sign_all()
    leaves = desk.rows("SELECT request_id, batch_id, leaf_index FROM receipt_leaf")
    assert {name for name, _, _ in leaves} == known
    assert len({(batch, index) for _, batch, index in leaves}) == len(known)
    for size, root, joined in desk.rows("SELECT size, root, leaves FROM receipt_batch"):
        hashes = [bytes(joined)[start : start + 32] for start in range(0, 32 * size, 32)]
        assert MerkleTree(hashes).root == bytes(root)
