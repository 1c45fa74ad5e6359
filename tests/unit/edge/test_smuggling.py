"""Bytes that could be read in two ways: ours is nowhere laxer than nginx, but where explained."""

import asyncio

import pytest

from tests.smuggling.__main__ import all_of_ours, recorded
from tests.smuggling.corpus import cases
from tests.smuggling.explained import EXPLAINED
from tests.smuggling.verdicts import Verdict, laxer

CALL = ("GET", "/outer", "")
OTHER = ("GET", "/inner", "")


@pytest.fixture(scope="module")
def mine() -> dict[str, Verdict]:
    return asyncio.run(all_of_ours())


def test_there_are_enough_cases_and_nginx_was_asked_about_each():
    assert len(cases()) >= 150
    assert set(recorded()) == {case.name for case in cases()}


def test_ours_is_laxer_only_where_that_is_explained(mine):
    theirs = recorded()
    lax = {name: laxer(mine[name], theirs[name]) for name in mine}
    assert {name for name, why in lax.items() if why} == set(EXPLAINED)


def test_no_case_is_a_fault_of_the_server_and_plain_calls_pass(mine):
    assert not [name for name, each in mine.items() if max(each.statuses, default=0) >= 500]
    plain = [name for name in mine if name.startswith("plain: ")]
    assert [mine[name].calls for name in plain] == [recorded()[name].calls for name in plain]


@pytest.mark.parametrize(
    ("ours", "theirs", "is_laxer"),
    [
        ((), (), False),
        ((CALL,), (CALL,), False),
        ((), (CALL,), False),
        ((CALL,), (CALL, OTHER), False),
        ((CALL,), (), True),
        ((CALL, OTHER), (CALL,), True),
        ((OTHER,), (CALL,), True),
        ((CALL, CALL), (CALL, OTHER), True),
    ],
)
def test_what_counts_as_laxer(ours, theirs, is_laxer):
    assert bool(laxer(Verdict((), ours), Verdict((), theirs))) is is_laxer
