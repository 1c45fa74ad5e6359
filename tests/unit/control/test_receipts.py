"""One receipt for its owner, all keys for everybody, and all that waits in bounded steps."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.settled import OTHER_SEED, SEED, Desk, opened_desk
from tests.support.stores import fresh_options
from tokenbooth.control import receipts
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.money.receipts.checking import verify
from tokenbooth.money.receipts.service import BATCH_CALLS_MAX, Signer


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with opened_desk(fresh_options(tmp_path)) as opened:
        opened.price()
        yield opened


def asked(desk: Desk, request_id: str, org: str = "org_a"):
    return desk.runner.run(receipts.receipt(desk.store, desk.op, desk.signer, org, request_id))


def signed(desk: Desk) -> int:
    return desk.runner.run(receipts.sign_waiting(desk.store, desk.op, desk.signer))


def test_a_receipt_is_signed_when_it_is_asked_for(desk: Desk) -> None:
    desk.settle({"request_id": "req_1"}, {"request_id": "req_2"})
    found = asked(desk, "req_1")
    assert all(step.ok for step in verify(found, {desk.signer.key.public}))
    assert asked(desk, "req_1") == found
    assert signed(desk) == 1
    assert asked(desk, "req_1") == found
    assert desk.rows("SELECT count(*) FROM receipt_batch") == [(2,)]


@pytest.mark.parametrize("request_id", ["req_none", "\0", "req_1\n", "\ud800", ""])
def test_no_call_has_no_receipt(desk: Desk, request_id: str) -> None:
    desk.settle({"request_id": "req_1"})
    for org in ("org_a", "org_b"):
        with pytest.raises(Problem) as refused:
            asked(desk, request_id, org)
        assert refused.value.code is Code.RECORD_NOT_FOUND


def test_another_tenants_call_is_not_even_signed(desk: Desk) -> None:
    desk.settle({"request_id": "req_1"})
    with pytest.raises(Problem) as refused:
        asked(desk, "req_1", "org_b")
    assert refused.value.code is Code.RECORD_NOT_FOUND
    assert desk.rows("SELECT count(*) FROM receipt_batch") == [(0,)]


def test_all_that_waits_is_signed_in_batches(desk: Desk) -> None:
    count = BATCH_CALLS_MAX + 1
    desk.settle(*({"request_id": f"req_{number:04}"} for number in range(count)))
    assert signed(desk) == count
    assert desk.rows("SELECT size FROM receipt_batch ORDER BY size") == [(1,), (BATCH_CALLS_MAX,)]
    assert signed(desk) == 0


def test_a_full_last_batch_is_followed_by_an_empty_look(desk: Desk) -> None:
    desk.settle(*({"request_id": f"req_{number:04}"} for number in range(BATCH_CALLS_MAX)))
    assert signed(desk) == BATCH_CALLS_MAX
    assert desk.rows("SELECT count(*) FROM receipt_batch") == [(1,)]


def test_every_key_is_told_with_the_one_in_use(desk: Desk) -> None:
    def told():
        found = desk.read(lambda op, tx: receipts.public_keys(op, tx, desk.signer))
        return receipts.keys_json(found, desk.signer)["data"]

    old, new = Signer(SEED).key, Signer(OTHER_SEED).key
    (only,) = told()
    assert (only["id"], only["first_used_at"], only["current"]) == (old.key_id, None, True)
    assert (only["public_key"], only["algorithm"]) == (old.public.hex(), "ed25519")
    desk.settle({"request_id": "req_1"})
    signed(desk)
    assert told() == [{**only, "first_used_at": "2023-11-14T22:13:20Z"}]
    desk.signer = Signer(OTHER_SEED)
    assert [(each["id"], each["current"]) for each in told()] == [
        (old.key_id, False),
        (new.key_id, True),
    ]
