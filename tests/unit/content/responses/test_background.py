"""Responses that run in the background: begun, ended once, cancelled, and their events."""

import pytest

from tests.support.booth import Noise
from tests.support.claims import KEEP_US, ClaimDesk
from tests.unit.content.responses.test_stored import ask, drop, drop_over, found, keep, rows
from tokenbooth.content.responses import service as responses
from tokenbooth.content.responses.service import GROUPS
from tokenbooth.content.responses.sql import RUNNING_EXTRA_US
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

KEY = b"k" * 32


def begin(desk: ClaimDesk, response_id: str = "resp_1", **fields) -> bool:
    wanted = ask(desk, response_id, background=True, **fields)
    return desk.write(lambda op, tx: responses.begin(op, tx, wanted, b"begun"))


def finish(desk: ClaimDesk, sealed: bytes = b"over", response_id: str = "resp_1") -> None:
    desk.write(lambda op, tx: responses.finish(op, tx, desk.ours, response_id, sealed))


def add(desk: ClaimDesk, first: int, sealed: bytes, owner: str = "") -> None:
    key = (owner or desk.ours, "resp_1")
    desk.write(lambda op, tx: responses.add_events(op, tx, key, first, sealed))


def groups(desk: ClaimDesk, first: int) -> list[tuple[int, bytes]]:
    key = (desk.ours, "resp_1")
    return list(desk.read(lambda op, tx: responses.events(op, tx, key, first)))


def cancelled(desk: ClaimDesk, replica_id: str = "rep_a") -> frozenset[str]:
    return desk.read(lambda op, tx: responses.cancelled(op, tx, replica_id))


def past(desk: ClaimDesk, epoch: int, replica_id: str = "rep_a") -> list[str]:
    read = desk.read(lambda op, tx: responses.past(op, tx, replica_id, epoch))
    return [row.response_id for row in read]


def test_it_runs_until_it_is_over_and_ends_once(desk: ClaimDesk):
    assert begin(desk)
    running = found(desk)
    assert running is not None
    assert (running.running, running.background, running.sealed) == (True, True, b"begun")
    finish(desk)
    finish(desk, b"another end")
    over = found(desk)
    assert over is not None
    assert (over.running, over.background, over.sealed) == (False, True, b"over")


def test_while_it_runs_nobody_deletes_it_or_goes_on_from_it(desk: ClaimDesk):
    begin(desk)
    for ask_for in (
        lambda: drop(desk),
        lambda: desk.read(lambda op, tx: responses.chain(op, tx, desk.ours, "resp_1", 99)),
    ):
        with pytest.raises(Problem) as refused:
            ask_for()
        assert refused.value.code is Code.STATE_CONFLICT
    finish(desk)
    drop(desk)
    assert rows(desk) == []


def test_what_did_not_come_to_run_never_was_and_what_ended_stays(desk: ClaimDesk):
    begin(desk)
    desk.write(lambda op, tx: responses.withdraw(op, tx, desk.ours, "resp_1"))
    assert rows(desk) == []
    begin(desk)
    finish(desk)
    desk.write(lambda op, tx: responses.withdraw(op, tx, desk.ours, "resp_1"))
    assert rows(desk) == ["resp_1"]


def test_a_project_that_keeps_no_answers_begins_none_and_one_that_runs_is_let_run(desk: ClaimDesk):
    begin(desk)
    desk.keep(kept=False)
    assert not begin(desk, "resp_2")
    assert drop_over(desk) == 0
    finish(desk)
    assert drop_over(desk) == 1


def test_one_that_expires_while_it_runs_is_deleted_a_day_later(desk: ClaimDesk):
    begin(desk)
    desk.clock.us += KEEP_US
    assert found(desk) is None
    assert drop_over(desk) == 0
    desk.clock.us += RUNNING_EXTRA_US
    assert drop_over(desk) == 1


def test_a_wish_to_end_reaches_the_process_that_runs_it(desk: ClaimDesk):
    begin(desk)
    begin(desk, "resp_2")
    begin(desk, "resp_3", replica_id="rep_b")
    for name in ("resp_1", "resp_3", "resp_4"):
        desk.write(lambda op, tx, n=name: responses.cancel(op, tx, desk.ours, n))
    desk.write(lambda op, tx: responses.cancel(op, tx, desk.theirs, "resp_2"))
    assert cancelled(desk) == {"resp_1"}
    assert cancelled(desk, "rep_b") == {"resp_3"}
    row = found(desk)
    assert row is not None
    assert row.cancelled
    finish(desk)
    assert cancelled(desk) == frozenset()


def test_those_of_earlier_runs_are_found_by_their_own_process(desk: ClaimDesk):
    begin(desk, "resp_1")
    begin(desk, "resp_2", epoch=2)
    begin(desk, "resp_3", replica_id="rep_b")
    keep(desk, "resp_4")
    assert past(desk, 2) == ["resp_1"]
    assert past(desk, 3) == ["resp_1", "resp_2"]
    assert past(desk, 9, "rep_b") == ["resp_3"]


def test_events_are_read_from_the_group_that_holds_the_first_one_wanted(desk: ClaimDesk):
    begin(desk)
    for first, sealed in ((0, b"a"), (5, b"b"), (9, b"c")):
        add(desk, first, sealed)
    assert groups(desk, 0) == [(0, b"a"), (5, b"b"), (9, b"c")]
    assert groups(desk, 4) == groups(desk, 0)
    assert groups(desk, 5) == groups(desk, 8) == [(5, b"b"), (9, b"c")]
    assert groups(desk, 100) == [(9, b"c")]


def test_a_group_that_is_told_again_has_grown(desk: ClaimDesk):
    begin(desk)
    add(desk, 0, b"short")
    add(desk, 0, b"longer")
    assert groups(desk, 0) == [(0, b"longer")]


def test_a_page_of_groups_is_bounded(desk: ClaimDesk):
    begin(desk)
    for first in range(GROUPS + 3):
        add(desk, first, b"x")
    assert len(groups(desk, 0)) == GROUPS
    assert len(groups(desk, GROUPS - 1)) == 4


def test_one_that_is_over_or_was_never_there_says_nothing_more(desk: ClaimDesk):
    add(desk, 0, b"early")
    begin(desk)
    finish(desk)
    add(desk, 0, b"late")
    assert groups(desk, 0) == []


def test_events_are_deleted_with_their_response(desk: ClaimDesk):
    begin(desk)
    begin(desk, project_id=desk.theirs)
    add(desk, 0, b"ours")
    add(desk, 0, b"theirs", desk.theirs)
    finish(desk)
    drop(desk)
    assert desk.rows("SELECT sealed FROM response_events") == [(b"theirs",)]


def test_events_open_only_in_their_own_place():
    key = ("proj_1", "resp_1")
    sealed = responses.sealed_events((b"one", b"two"), key, 5, KEY, Noise())
    assert b"one" not in sealed
    assert responses.events_of(sealed, key, 5, KEY) == (b"one", b"two")
    others = ((key, 4, KEY), (("proj_2", "resp_1"), 5, KEY), (key, 5, b"x" * 32))
    for other, first, secret in others:
        with pytest.raises(Problem) as refused:
            responses.events_of(sealed, other, first, secret)
        assert refused.value.code is Code.RESPONSE_NOT_FOUND
