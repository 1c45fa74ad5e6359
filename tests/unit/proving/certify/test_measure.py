"""The course of a measurement, from the first look to the ladder, on an endpoint that is known."""

from functools import cache
from typing import Any

import pytest

from tests.support.memory_loop import run
from tests.support.paper_engine import PaperEngine, loop_clock
from tokenbooth.control.certificates import DAY_US, signed, verified
from tokenbooth.proving.certify import measure as course
from tokenbooth.proving.certify.caller import Endpoint
from tokenbooth.proving.certify.measure import Ask, Measured, NotMeasured, measure
from tokenbooth.signing.keys import SigningKey
from tokenbooth.verify.certificates.service import LegKind, figures, pack_for
from tokenbooth.verify.ladder.service import Level, Outcome
from tokenbooth.verify.packs.service import Family, Probe
from tokenbooth.verify.search.service import Promise

QUICK_S = 30
KNEE_PER_KS = 40_000  # eight slots, and a fifth of a second for each call
PROMISE = Promise(300_000, 50_000)
ASK = Ask(endpoint=Endpoint("http://x/v1", "toy"), promise=PROMISE, time_s=QUICK_S, seed=5)
KEY = SigningKey(bytes(32))


@pytest.fixture(autouse=True)
def on_loop_time(monkeypatch: pytest.MonkeyPatch) -> None:
    loop_clock(monkeypatch)


class Course:
    """One measurement with all that was told meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.told: list[tuple[str, int, int]] = []

    def __call__(self, engine: PaperEngine, ask: Ask = ASK) -> Measured:
        self._monkeypatch.setattr(course, "Caller", lambda _endpoint: engine)
        return run(measure(ask, lambda *said: self.told.append(said)))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Course:
    return Course(monkeypatch)


@pytest.fixture(scope="module")
def plain() -> tuple[Measured, PaperEngine, list[tuple[str, int, int]]]:
    """One quick course of a faultless endpoint, for all that look at its result."""
    with pytest.MonkeyPatch.context() as patch:
        loop_clock(patch)
        engine, made = PaperEngine(), Course(patch)
        return made(engine), engine, made.told


def test_a_quick_course_certifies_a_rate_just_below_the_knee(plain: Any) -> None:
    figures_ = plain[0].figures
    assert 0.6 < figures_.calls_per_ks / KNEE_PER_KS <= 1.02
    assert 4 <= figures_.concurrency <= 20
    assert figures_.attainment.low_ppm >= PROMISE.attainment_ppm
    assert figures_.delay.good
    assert {each.outcome for each in figures_.ladder} == {Outcome.PASSED}
    assert figures_.binding == "ttft"


def test_its_legs_are_two_askings_alone_then_the_search_then_the_ladder(plain: Any) -> None:
    kinds = [leg.kind for leg in plain[0].legs]
    assert kinds == sorted(kinds, key=[LegKind.ALONE, LegKind.SEARCH, LegKind.LEVEL].index)
    assert kinds.count(LegKind.ALONE) == 2
    assert kinds.count(LegKind.SEARCH) >= 3
    levels = [leg.level for leg in plain[0].legs if leg.kind is LegKind.LEVEL]
    assert {Level(0, 25), Level(0, 50), Level(0, 75)} <= set(levels)
    assert Level(0, 100) not in levels


def test_the_samples_are_of_its_legs_and_begin_at_its_beginning(plain: Any) -> None:
    found = plain[0]
    assert {sample.leg for sample in found.samples} == set(range(len(found.legs)))
    assert [sample.leg for sample in found.samples] == sorted(s.leg for s in found.samples)
    assert 0 <= found.samples[0].due_us < 1_000
    for number, leg in enumerate(found.legs):
        assert sum(each.leg == number for each in found.samples) >= leg.warm + leg.counted


def test_what_it_says_can_be_computed_again_from_its_evidence(plain: Any) -> None:
    found = plain[0]
    assert figures(*found.evidence) == found.figures
    document = signed(found.evidence, {"model": "toy"}, (DAY_US, DAY_US), KEY)
    assert all(step.ok for step in verified(document, (KEY.public,), DAY_US))


def test_it_names_the_endpoint_and_how_long_it_took(plain: Any) -> None:
    found, engine, _ = plain
    assert found.fingerprint == "paper-1"
    assert found.took_s > found.samples[-1].due_us // 1_000_000 > 1
    assert engine.closed
    assert engine.inside == 0
    assert engine.calls >= len(found.samples)


def test_progress_goes_through_its_stages_in_order(plain: Any) -> None:
    told = plain[2]
    stages = list(dict.fromkeys(name for name, _, _ in told))
    assert stages[:4] == ["first look", "scout", "alone", "probe"]
    assert "confirm" in stages
    assert "25 % of the rate" in stages
    assert all(0 <= done <= total for _, done, total in told)


def test_the_same_seed_asks_the_same_probes_at_the_same_moments(
    measured: Course, plain: Any
) -> None:
    again = measured(PaperEngine())
    assert again.legs == plain[0].legs
    assert [each.probe for each in again.samples] == [each.probe for each in plain[0].samples]
    assert again.plan.pack == plain[0].plan.pack


def test_a_short_course_leaves_needles_out_and_a_long_one_does_not(plain: Any) -> None:
    assert Family.NEEDLE not in plain[0].plan.pack.families
    assert set(pack_for(5, short=False).families) == set(Family)


def test_a_batch_at_which_answers_are_wrong_bounds_what_is_certified(measured: Course) -> None:
    """Wrong with just sixteen calls inside and at no other number, as a kernel of its own is."""
    made = measured(PaperEngine(slots=32, wrong=lambda inside, probe: inside == 16))
    found = made.figures
    assert found.latency_concurrency > 16
    assert found.concurrency <= 8
    by_level = {each.level: each.outcome for each in found.ladder}
    assert by_level[Level(16, 0)] is Outcome.FAILED
    assert (found.first_failing, found.binding) == ("batch 16", "quality")
    asked = [leg.level for leg in made.legs if leg.kind is LegKind.LEVEL]
    assert asked.count(Level(16, 0)) == 2, "what failed is asked once more"
    assert min(level.batch for level in asked if level.batch) > made.legs[0].batch


def test_answers_that_break_under_any_load_certify_nothing(measured: Course) -> None:
    found = measured(PaperEngine(wrong=lambda inside, probe: inside > 1)).figures
    assert (found.concurrency, found.calls_per_ks) == (0, 0)
    assert found.latency_concurrency > 0
    assert found.binding == "quality"


def test_an_endpoint_that_is_never_right_certifies_nothing_and_ends(measured: Course) -> None:
    """There is no probe that could be lost: a ladder would say nothing."""
    engine = PaperEngine(wrong=lambda inside, probe: True)
    with pytest.raises(NotMeasured, match="no probe was answered right without load"):
        measured(engine)
    assert engine.closed


def test_an_endpoint_too_slow_for_its_promise_is_measured_and_not_certified(
    measured: Course,
) -> None:
    ask = Ask(endpoint=ASK.endpoint, promise=Promise(50_000, 50_000), time_s=QUICK_S, seed=5)
    made = measured(PaperEngine(), ask)
    assert made.figures.concurrency == made.figures.latency_concurrency == 0
    assert {leg.kind for leg in made.legs} == {LegKind.ALONE, LegKind.SEARCH}
    assert made.figures.ladder == ()


def test_limits_under_load_are_counted_as_calls_that_were_not_good(measured: Course) -> None:
    """A key with a limit of four at once: what is beyond it is no capacity."""
    limit = PaperEngine(slots=64, status=lambda inside: "status 429" if inside > 4 else "ok")
    found = measured(limit).figures
    assert found.statuses["status 429"] > 0
    assert found.concurrency <= 4


@pytest.mark.parametrize("status", ["status 401", "status 404", "broken: OSError", "no end"])
def test_an_endpoint_that_refuses_is_not_measured_and_the_message_says_what_to_change(
    measured: Course, status: str
) -> None:
    engine = PaperEngine(status=lambda _inside: status)
    with pytest.raises(NotMeasured, match=status) as caught:
        measured(engine)
    assert "check its address, model and key" in str(caught.value)
    assert engine.calls == 1
    assert engine.closed


def test_two_names_of_one_endpoint_are_both_told(measured: Course) -> None:
    class Changing(PaperEngine):
        async def ask(self, probe: Probe, within_s: float):
            self._name = "engine-b" if self.calls > 100 else "engine-a"
            return await super().ask(probe, within_s)

    assert measured(Changing()).fingerprint == "engine-a + engine-b"


def test_the_scout_sends_no_more_at_once_than_it_may(measured: Course) -> None:
    ask = Ask(endpoint=ASK.endpoint, promise=PROMISE, time_s=QUICK_S, seed=5, batch_max=4)
    measured(PaperEngine(slots=64), ask)
    scouted = [done for name, done, _ in measured.told if name == "scout"]
    assert scouted == [4]


@cache
def kept(count: int) -> tuple[int, ...]:
    return tuple(range(100, 100 + count))


@pytest.mark.parametrize("count", [1, 2, 7, 40])
@pytest.mark.parametrize("warm", [0, 1, 3, 7, 64])
def test_after_the_calls_that_do_not_count_each_kept_probe_counts_once(
    count: int, warm: int
) -> None:
    order = course._shifted(kept(count), warm)
    counted = [order[place % count] for place in range(warm, warm + count)]
    assert counted == list(kept(count))
