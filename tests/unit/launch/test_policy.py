"""A policy is read whole or not at all."""

import pytest

from tests.support.launches import KEY
from tokenbooth.control.launching import shipped_policy
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.launch.gates.service import Need, Sense, read_policy
from tokenbooth.launch.stages.service import Stage

HEAD = "version = 1\n"
GATE = """
[[ga.gate]]
name = "a"
title = "A"
kind = "a/1"
fresh_hours = 1
lead_days = 2
reproduce = "run a"
need = [{}]
"""


def gate(need: str) -> bytes:
    return (HEAD + GATE.format(need)).encode()


def test_the_shipped_policy_asks_for_more_at_each_edge() -> None:
    policy = read_policy(shipped_policy())
    sizes = [len(policy.edges[stage]) for stage in policy.edges]
    assert list(policy.edges) == [Stage.PRIVATE_PREVIEW, Stage.PUBLIC_PREVIEW, Stage.GA]
    assert sizes == [5, 8, 7]
    first, last = policy.edges[Stage.PRIVATE_PREVIEW][0], policy.edges[Stage.GA][0]
    assert first.name == last.name == "capacity"
    assert len(last.needs) > len(first.needs)
    assert policy.populations[Stage.GA] > policy.populations[Stage.PRIVATE_PREVIEW]
    assert policy.trusted == frozenset()


@pytest.mark.parametrize(
    ("text", "need"),
    [
        ("{figure='x', at_least=1}", Need(figure="x", sense=Sense.AT_LEAST, bound=1)),
        ("{figure='x', at_most=0}", Need(figure="x", sense=Sense.AT_MOST, bound=0)),
        ("{figure='x', is=false}", Need(figure="x", sense=Sense.IS, bound=False)),
        ("{figure='x', is='y'}", Need(figure="x", sense=Sense.IS, bound="y")),
        (
            "{figure='x', at_least_of_forecast=5}",
            Need(figure="x", sense=Sense.AT_LEAST, of_forecast=5),
        ),
        (
            "{figure='x', at_least_of_predecessor=5}",
            Need(figure="x", sense=Sense.AT_LEAST, of_predecessor=5),
        ),
        (
            "{figure='x', at_most_of_predecessor=5}",
            Need(figure="x", sense=Sense.AT_MOST, of_predecessor=5),
        ),
    ],
)
def test_each_bound_is_read(text: str, need: Need) -> None:
    (found,) = read_policy(gate(text)).edges[Stage.GA]
    assert found.needs == (need,)
    assert (found.fresh_us, found.lead_days) == (3_600_000_000, 2)


def test_an_empty_policy_has_no_gates_and_keys_are_read() -> None:
    raw = f"{HEAD}trusted_keys = ['{KEY.public.hex()}']\nuntested = ['x']".encode()
    policy = read_policy(raw)
    assert policy.edges[Stage.GA] == ()
    assert (policy.trusted, policy.untested) == ({KEY.public}, ("x",))
    assert policy.digest != read_policy(HEAD.encode()).digest


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (b"", "version"),
        (b"version = 2", "version must be 1"),
        (b"version = ", "nvalid"),
        (b"\xff", "utf-8"),
        (HEAD.encode() + b"extra = 1", "extra"),
        (HEAD.encode() + b"trusted_keys = ['00']", "trusted_keys"),
        (gate("{figure='x'}"), "exactly one bound"),
        (gate("{figure='x', at_least=1, at_most=2}"), "exactly one bound"),
        (gate("{figure='x', at_lest=1}"), "at_lest"),
        (gate("{figure='x', at_least=1.5}"), "at_least"),
        (gate("{figure='x', is=1}") + GATE.format("{figure='x', is=1}").encode(), "two gates"),
    ],
)
def test_a_wrong_policy_is_refused_by_its_place(raw: bytes, word: str) -> None:
    with pytest.raises(Problem) as caught:
        read_policy(raw)
    assert (caught.value.code, caught.value.param) == (Code.INVALID_VALUE, "policy")
    assert word in caught.value.public
