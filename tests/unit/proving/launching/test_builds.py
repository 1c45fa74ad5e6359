"""Seeded builds: evidence with room passes each gate, and each planted fault stops it."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.launches import CASE, piece
from tests.support.stores import lay_out
from tokenbooth.control.launching import shipped_policy
from tokenbooth.launch.gates.rules import judge
from tokenbooth.launch.gates.service import Gate, Mark, Need, Sense, read_policy
from tokenbooth.launch.readiness.service import Verdict
from tokenbooth.launch.stages.service import Stage
from tokenbooth.proving.launching import builds
from tokenbooth.proving.launching.builds import (
    DEMAND_PER_MINUTE,
    POPULATION,
    Build,
    Fault,
    body_for,
    play_builds,
)
from tokenbooth.proving.launching.lab import open_lab

POLICY = read_policy(shipped_policy())
GATES = [gate for gates in POLICY.edges.values() for gate in gates]
ASKED = replace(
    CASE,
    forecast_milli=POPULATION * DEMAND_PER_MINUTE * 1000 // 60,
    predecessor={gate.kind: {"score_permille": 900} for gate in GATES},
)


def marked(gate: Gate, body: dict[str, object]) -> Mark:
    found = piece(body, kind=gate.kind)
    return judge(replace(gate, fresh_us=10**12), [found], ASKED).mark


@settings(max_examples=60)
@given(st.sampled_from(GATES), st.integers(0, 10**6))
def test_figures_with_room_meet_every_need_of_every_gate(gate: Gate, seed: int) -> None:
    assert marked(gate, body_for(gate, Random(seed), short=False)) is Mark.PASS


@settings(max_examples=60)
@given(st.sampled_from(GATES), st.integers(0, 10**6))
def test_figures_that_fall_short_miss_exactly_one_need(gate: Gate, seed: int) -> None:
    body = body_for(gate, Random(seed), short=True)
    found = judge(replace(gate, fresh_us=10**12), [piece(body, kind=gate.kind)], ASKED)
    assert found.mark is Mark.FAIL
    assert sum(not reading.met for reading in found.readings) == 1


@given(st.sampled_from(GATES), st.integers(0, 10**6), st.booleans())
def test_figures_are_a_function_of_their_seed(gate: Gate, seed: int, short: bool) -> None:
    first, again = (body_for(gate, Random(seed), short=short) for _ in range(2))
    assert first == again
    assert all(isinstance(each, int | str) for each in first.values()), "nothing has fractions"


@pytest.mark.parametrize("bound", [True, False, 0, 7, "fast"])
def test_a_need_of_one_value_is_missed_by_another_of_its_type(bound: bool | int | str) -> None:
    gate = replace(GATES[0], needs=(Need(figure="mode", sense=Sense.IS, bound=bound),))
    assert marked(gate, body_for(gate, Random(1), short=False)) is Mark.PASS
    missed = body_for(gate, Random(1), short=True)["mode"]
    assert type(missed) is type(bound)
    assert missed != bound


@pytest.mark.parametrize("sense", [Sense.AT_LEAST, Sense.AT_MOST])
@pytest.mark.parametrize("bound", [0, 1, 2, 10**9])
def test_a_bound_is_missed_on_its_own_side_however_small_it_is(sense: Sense, bound: int) -> None:
    gate = replace(GATES[0], needs=(Need(figure="n", sense=sense, bound=bound),))
    assert marked(gate, body_for(gate, Random(2), short=True)) is Mark.FAIL
    assert marked(gate, body_for(gate, Random(2), short=False)) is Mark.PASS


@pytest.fixture(scope="module", autouse=True)
def quick_labs() -> Iterator[None]:
    """Databases of labs are copied here, and not made by every migration again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builds, "open_lab", partial(open_lab, prepare=lay_out))
        yield


@pytest.fixture(scope="module")
def unready() -> tuple[Build, ...]:
    return play_builds(range(3), ready=False)


def test_every_unready_build_is_a_no_go_that_names_what_takes_longest(
    unready: tuple[Build, ...],
) -> None:
    for build in unready:
        assert build.right
        assert 1 <= len(build.planted) <= 3
        assert build.first in build.planted
        assert (build.verdict, build.named) == (Verdict.NO_GO, build.first)


def test_nothing_is_planted_in_a_ready_build_and_it_is_a_go() -> None:
    for build in play_builds(range(2), ready=True):
        assert (build.verdict, build.first, build.named) == (Verdict.GO, None, None)
        assert not build.planted
        assert build.right
        assert build.stage in (Stage.PRIVATE_PREVIEW, Stage.PUBLIC_PREVIEW, Stage.GA)


def test_a_build_does_not_depend_on_those_that_were_judged_before_it(
    unready: tuple[Build, ...],
) -> None:
    assert play_builds([2], ready=False) == (unready[2],)
    assert len({tuple(sorted(build.planted.items())) for build in unready}) > 1


def test_no_seeds_are_no_builds() -> None:
    assert play_builds([], ready=True) == ()


class OneFault(Random):
    """Dice that open a build to private preview, and plant one fault in its gate of billing."""

    wanted = Fault.MISSING

    def choice(self, seq: object) -> object:  # type: ignore[override]
        options = tuple(seq)  # type: ignore[call-overload]
        if Stage.PRIVATE_PREVIEW in options:
            return Stage.PRIVATE_PREVIEW
        return self.wanted if self.wanted in options else options[0]

    def sample(self, population: object, k: int, *, counts: object = None) -> list[str]:  # type: ignore[override]
        return ["billing"]


@pytest.mark.parametrize("fault", Fault)
def test_each_sort_of_fault_stops_a_build_by_itself(
    monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    monkeypatch.setattr(OneFault, "wanted", fault)
    monkeypatch.setattr("tokenbooth.proving.launching.builds.random.Random", OneFault)
    (build,) = play_builds([1], ready=False)
    assert build.planted == {"billing": fault}
    assert (build.verdict, build.named, build.right) == (Verdict.NO_GO, "billing", True)
