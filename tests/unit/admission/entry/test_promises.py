import pytest

from tokenbooth.admission.entry import promises
from tokenbooth.admission.entry.promises import Promises
from tokenbooth.admission.entry.shares import Shares
from tokenbooth.admission.entry.spare import Spare

S = 1_000_000


def test_a_promise_counts_once_and_only_in_its_time() -> None:
    given = Promises()
    assert given.give("a", 0, 2 * S, S) == 2 * S
    assert not given.take("a", 2 * S - 1)
    assert not given.take("b", 2 * S)
    assert given.take("a", 2 * S)
    assert not given.take("a", 2 * S)
    assert given.count == 0


def test_promises_of_a_tenant_are_apart_and_others_wait_for_none_of_them() -> None:
    given = Promises()
    assert [given.give("a", 0, S, 3 * S) for _ in range(3)] == [S, 4 * S, 7 * S]
    assert given.give("b", 0, S, 3 * S) == S
    assert (given.owed("a"), given.owed("b"), given.owed("c")) == (3, 1, 0)


def test_a_promise_that_nobody_keeps_ends() -> None:
    given = Promises()
    given.give("a", 0, 2 * S, S)
    given.give("a", 0, 2 * S, S)
    assert not given.take("a", 60 * S)
    given.give("gone", 0, 2 * S, S)
    for now_s in (60, 61):
        given.give("b", now_s * S, S, S)
    assert (given.owed("gone"), given.owed("a")) == (0, 0)


def test_promises_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promises, "PROMISES_MAX", 600)
    given = Promises()
    for number in range(2_000):
        given.give("a" if number < 1_000 else f"{number}", 0, S, S)
    assert given.owed("a") == 512
    assert given.count == 600


def test_a_part_is_of_those_who_were_here_lately() -> None:
    shares = Shares()
    shares.entered("a", 0)
    assert not shares.over("a", 1, heavy=True)
    shares.entered("b", 0)
    assert shares.active == 2
    shares.entered("a", 0)
    assert not shares.over("a", 6, heavy=False)
    assert shares.over("a", 4, heavy=False)
    assert shares.over("a", 5, heavy=True)
    assert not shares.over("new", 8, heavy=True)
    shares.left("b")
    for now_s in (20, 40):
        shares.entered("a", now_s * S)
    assert shares.active == 1
    shares.left("b")


def test_what_is_left_free_grows_when_others_wait_beside_them_and_only_then() -> None:
    spare = Spare()
    spare.has_to_wait()
    assert spare.places(10) == 10
    spare.inside = 1
    for _ in range(4):
        spare.has_to_wait()
    assert spare.places(10) == 8
    for _ in range(30):
        spare.has_to_wait()
    assert spare.places(10) == 1
    for _ in range(2_000):
        spare.got_in()
    assert spare.places(10) == 10
