"""A leg on a loop whose time jumps: when calls are due, how late they are, and how it ends."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.memory_loop import run
from tests.support.paper_engine import PaperEngine, loop_clock
from tokenbooth.proving.certify.legs import CUT, INSIDE_MAX, TOO_MANY, Generator, Load, poisson_us
from tokenbooth.verify.certificates.service import Sample
from tokenbooth.verify.dice.service import Dice
from tokenbooth.verify.packs.service import Pack, Probe

CALL_US = 200_000
ROUNDING_US = 100


@pytest.fixture(autouse=True)
def on_loop_time(monkeypatch: pytest.MonkeyPatch) -> None:
    loop_clock(monkeypatch)


def quiet(_count: int) -> None:
    """Nobody listens."""


def played(
    load: Load,
    wanted: int,
    engine: Callable[[], PaperEngine] = PaperEngine,
    told: Callable[[int], None] = quiet,
) -> tuple[list[Sample], PaperEngine]:
    async def work() -> tuple[list[Sample], PaperEngine]:
        made = engine()
        generator = Generator(made, Pack(1), 5.0)
        return await generator.play(load, lambda seen: len(seen) >= wanted, told), made

    return run(work())


def test_an_open_loop_sends_on_time_however_slow_the_endpoint_is() -> None:
    load = Load(0, range(9), warm=5, calls=40, calls_per_ks=20_000)
    for slots in (1, 100):
        samples, _ = played(load, 40, lambda slots=slots: PaperEngine(slots=slots))
        assert len(samples) == 45
        assert all(0 <= each.sent_us - each.due_us < ROUNDING_US for each in samples)
    assert [each.due_us for each in samples] == poisson_us(45, 20_000, Dice(1, "arrivals 0"))


def test_waiting_inside_of_the_endpoint_counts_from_when_the_call_was_due() -> None:
    load = Load(0, range(9), warm=0, calls=30, calls_per_ks=100_000)
    samples, _ = played(load, 30, lambda: PaperEngine(slots=1))
    waits = [each.first_us - each.due_us for each in samples]
    assert waits[-1] > 20 * CALL_US
    assert all(
        one.first_us + CALL_US - ROUNDING_US < two.first_us for one, two in pairwise(samples)
    )


def test_each_leg_has_moments_of_its_own_and_the_same_in_every_run() -> None:
    def dues(leg: int) -> list[int]:
        samples, _ = played(Load(leg, range(3), 0, 20, calls_per_ks=50_000), 20)
        return [each.due_us for each in samples]

    assert dues(1) == dues(1)
    assert dues(1) != dues(2)


@given(calls=st.integers(1, 200), rate=st.integers(1, 10**9), seed=st.integers(0, 2**48))
@settings(max_examples=30)
def test_moments_are_in_order_and_inside_of_their_time(calls: int, rate: int, seed: int) -> None:
    moments = poisson_us(calls, rate, Dice(seed, "x"))
    span_us = calls * 1_000_000_000 // rate
    assert len(moments) == calls
    assert moments == sorted(moments)
    assert all(0 <= each <= span_us for each in moments)


@pytest.mark.parametrize("batch", [1, 2, 7, 16])
def test_a_closed_loop_holds_its_batch_from_the_first_call_to_the_last(batch: int) -> None:
    load = Load(0, range(5), warm=batch, calls=60, batch=batch)
    samples, engine = played(load, 60, lambda: PaperEngine(slots=32))
    assert engine.most == batch
    assert {each.inside for each in samples[batch:]} == {batch}
    assert engine.inside == 0


def test_a_closed_loop_sends_the_next_call_when_one_ended() -> None:
    samples, _ = played(Load(0, range(3), warm=0, calls=10, batch=1), 10)
    for one, two in pairwise(samples[:10]):
        assert 0 <= two.due_us - one.end_us < ROUNDING_US


def test_what_is_under_way_at_the_end_is_cut_and_says_so() -> None:
    samples, engine = played(Load(0, range(3), warm=0, calls=50, batch=8), 12)
    assert [each.status for each in samples[:12]] == ["ok"] * 12
    cut = [each for each in samples if each.status == CUT]
    assert 0 < len(cut) <= 8
    assert {(each.first_us, each.end_us, each.output_tokens) for each in cut} == {(-1, -1, 0)}
    assert engine.inside == 0


def test_what_ended_early_waits_for_those_that_were_sent_before_it() -> None:
    """Else slow calls would be counted late, and a stop in the middle would leave them out."""
    heard: list[list[int]] = []

    def enough(seen: Sequence[Sample]) -> bool:
        heard.append([each.probe for each in seen])
        return len(seen) >= 6

    class Uneven(PaperEngine):
        async def ask(self, probe: Probe, within_s: float):
            found = await super().ask(probe, within_s)
            return found if probe.number else await super().ask(probe, within_s)

    async def work() -> list[Sample]:
        load = Load(0, range(6), warm=0, calls=6, batch=3)
        return await Generator(Uneven(), Pack(1), 5.0).play(load, enough, quiet)

    samples = run(work())
    assert heard[-1] == [0, 1, 2, 3, 4, 5]
    assert [len(each) for each in heard] == [1, 2, 3, 4, 5, 6]
    assert samples[0].end_us > samples[1].end_us


def test_progress_is_told_for_each_call_that_counts() -> None:
    told: list[int] = []
    played(Load(0, range(3), warm=4, calls=9, batch=2), 9, told=told.append)
    assert told == list(range(1, 10))


def test_more_at_once_than_the_generator_sends_is_a_fault_of_its_own() -> None:
    load = Load(0, range(3), warm=0, calls=INSIDE_MAX + 40, calls_per_ks=10**9)
    samples, engine = played(load, INSIDE_MAX + 40, lambda: PaperEngine(slots=4_000))
    over = [each for each in samples if each.status == TOO_MANY]
    assert len(over) == 40
    assert engine.most == INSIDE_MAX
    assert all(each.first_us == -1 and each.answer == "" for each in over)


def test_failed_calls_are_samples_as_others_are() -> None:
    refusing = lambda: PaperEngine(status=lambda inside: "status 429" if inside > 2 else "ok")  # noqa: E731
    samples, _ = played(Load(0, range(3), warm=0, calls=20, batch=4), 20, refusing)
    statuses = [each.status for each in samples[:20]]
    assert {"ok", "status 429"} >= set(statuses)
    assert statuses.count("status 429") > 5


class Bursting(PaperEngine):
    """A caller with a fault of its own: the fifth call raises."""

    async def ask(self, probe: Probe, within_s: float):
        if self.calls == 4:
            raise ZeroDivisionError("a fault of the caller")
        return await super().ask(probe, within_s)


@pytest.mark.parametrize("more", [{"batch": 2}, {"calls_per_ks": 10_000}])
def test_a_fault_of_the_caller_ends_the_leg_and_is_raised(more: dict[str, int]) -> None:
    with pytest.raises(ZeroDivisionError, match="of the caller"):
        played(Load(0, range(3), warm=0, calls=20, **more), 20, Bursting)


def test_a_load_that_cannot_be_sent_is_raised_and_never_waited_for() -> None:
    with pytest.raises(ZeroDivisionError):
        played(Load(0, (), warm=0, calls=4, batch=2), 4)
    with pytest.raises(ZeroDivisionError):
        played(Load(0, range(3), warm=0, calls=4), 4)


def test_whoever_listens_and_raises_ends_the_leg() -> None:
    def told(count: int) -> None:
        if count == 3:
            raise KeyError("the screen is gone")

    with pytest.raises(KeyError):
        played(Load(0, range(3), warm=0, calls=9, batch=2), 9, told=told)


def test_a_cancelled_leg_leaves_no_call_behind() -> None:
    import asyncio

    async def work() -> PaperEngine:
        engine = PaperEngine()
        generator = Generator(engine, Pack(1), 5.0)
        load = Load(0, range(3), warm=0, calls=10_000, batch=6)
        begun = asyncio.Event()
        leg = asyncio.create_task(generator.play(load, lambda seen: bool(begun.set()), quiet))
        await begun.wait()
        leg.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leg
        assert len(asyncio.all_tasks()) == 1
        return engine

    assert run(work()).inside == 0


def test_a_probe_is_made_once_and_names_are_counted() -> None:
    async def work() -> Generator:
        generator = Generator(PaperEngine(name="engine-2"), Pack(7), 5.0)
        assert generator.probe(3) is generator.probe(3)
        for number in (0, 1, 0):
            await generator.ask(number)
        return generator

    assert run(work()).fingerprints == {"engine-2": 3}


def test_a_failed_call_without_a_name_is_no_name() -> None:
    async def work(status: str) -> dict[str, int]:
        engine = PaperEngine(name="", status=lambda _inside: status)
        generator = Generator(engine, Pack(7), 5.0)
        await generator.ask(0)
        return generator.fingerprints

    assert run(work("status 500")) == {}
    assert run(work("ok")) == {"": 1}
