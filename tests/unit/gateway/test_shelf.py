"""A shelf reads once for everybody, is never older than it says, and never keeps a refusal."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.ops import ManualClock
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.gateway.directory import (
    AWAY_US,
    PROBE_PAUSE_US,
    DirectoryBounds,
    Line,
    Shelf,
)

FRESH_US, STALE_US = 1_000_000, 60_000_000
AWAY = Problem(Code.LEDGER_UNAVAILABLE, "away")
REVOKED = Problem(Code.REVOKED_KEY, "revoked")


def in_loop(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Also fails when a failure was left for nobody to hear."""
    unheard: list[dict[str, Any]] = []

    async def bounded() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, told: unheard.append(told))
        async with asyncio.timeout(20):
            await scenario()

    asyncio.run(bounded())
    assert unheard == []


@dataclass
class Source:
    """What the database says of each key; ``open`` lets answers through, in the order asked."""

    answers: dict[str, Any] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)
    gates: list[asyncio.Event] = field(default_factory=list)
    held: bool = False

    def reading(self, key: str) -> Callable[[], Coroutine[Any, Any, Any]]:
        async def read() -> Any:
            self.reads.append(key)
            answer = self.answers.get(key, AWAY)
            if self.held:
                gate = asyncio.Event()
                self.gates.append(gate)
                await gate.wait()
            if isinstance(answer, Exception):
                raise answer
            return answer

        return read


@dataclass
class Desk:
    """A shelf over a source under a clock that stands still."""

    entries_max: int = 100
    fresh_us: int = FRESH_US
    clock: ManualClock = field(default_factory=ManualClock)
    source: Source = field(default_factory=Source)
    line: Line = field(default_factory=Line)

    def __post_init__(self) -> None:
        bounds = DirectoryBounds(
            fresh_us=self.fresh_us, stale_max_us=STALE_US, entries_max=self.entries_max
        )
        self.shelf: Shelf[str, Any] = Shelf(bounds, self.line, self.clock.monotonic_us)

    async def get(self, key: str = "a") -> Any:
        return await self.shelf.get(key, self.source.reading(key))

    async def begin(self, key: str = "a") -> asyncio.Task[Any]:
        """A call that has come in and waits."""
        call = asyncio.create_task(self.get(key))
        await settle()
        return call

    async def refusal(self, key: str = "a") -> Code:
        with pytest.raises(Problem) as refused:
            await self.get(key)
        return refused.value.code


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_what_is_fresh_is_not_read_again():
    async def scenario():
        desk = Desk(source=Source({"a": 1}))
        assert await desk.get() == 1
        desk.source.answers["a"] = 2
        desk.clock.us += FRESH_US - 1
        assert await desk.get() == 1
        assert desk.source.reads == ["a"]

    in_loop(scenario)


def test_what_is_no_longer_fresh_is_read_again():
    async def scenario():
        desk = Desk(source=Source({"a": 1}))
        await desk.get()
        desk.source.answers["a"] = 2
        desk.clock.us += FRESH_US
        assert await desk.get() == 2

    in_loop(scenario)


def test_an_answer_is_as_old_as_its_question():
    """What changed while the answer was on its way must be seen a second after the change."""

    async def scenario():
        desk = Desk(source=Source({"a": 1}, held=True))
        slow = await desk.begin()
        desk.source.answers["a"], desk.source.held = 2, False
        desk.clock.us += FRESH_US - 1
        desk.source.gates[0].set()
        assert await slow == 1
        assert await desk.get() == 1
        desk.clock.us += 1
        assert await desk.get() == 2

    in_loop(scenario)


def test_with_nothing_fresh_every_call_reads():
    async def scenario():
        desk = Desk(fresh_us=0, source=Source({"a": 1}))
        for _ in range(3):
            await desk.get()
        assert desk.source.reads == ["a"] * 3

    in_loop(scenario)


def test_a_thousand_first_calls_read_once():
    async def scenario():
        desk = Desk(source=Source({"a": 1}))
        assert set(await asyncio.gather(*(desk.get() for _ in range(1000)))) == {1}
        assert desk.source.reads == ["a"]

    in_loop(scenario)


def test_a_thousand_first_calls_share_one_refusal_and_it_is_not_kept():
    async def scenario():
        desk = Desk(source=Source({"a": REVOKED}))
        told = await asyncio.gather(*(desk.get() for _ in range(1000)), return_exceptions=True)
        assert {error.code for error in told} == {Code.REVOKED_KEY}
        assert desk.source.reads == ["a"]
        assert len(desk.shelf) == 0
        assert await desk.refusal() is Code.REVOKED_KEY
        assert desk.source.reads == ["a", "a"]

    in_loop(scenario)


def test_one_who_leaves_does_not_take_the_answer_from_the_others():
    async def scenario():
        desk = Desk(source=Source({"a": 1}, held=True))
        first, second = await desk.begin(), await desk.begin()
        await settle()
        first.cancel()
        await settle()
        desk.source.gates[0].set()
        assert await second == 1
        assert desk.source.reads == ["a"]

    in_loop(scenario)


def test_an_answer_goes_on_even_when_all_who_wanted_it_have_left():
    async def scenario():
        desk = Desk(source=Source({"a": REVOKED}, held=True))
        only = await desk.begin()
        only.cancel()
        desk.source.gates[0].set()
        await settle()
        assert only.cancelled()
        assert len(desk.shelf) == 0

    in_loop(scenario)


def test_a_read_begun_too_long_ago_answers_nobody_who_came_later():
    """The key was revoked while the first read was on its way: whoever comes a second later
    must not be let in by it."""

    async def scenario():
        desk = Desk(source=Source({"a": 1}, held=True))
        early = await desk.begin()
        desk.source.answers["a"] = REVOKED
        desk.clock.us += FRESH_US
        joined = await desk.begin()
        desk.clock.us += 1
        late = await desk.begin()
        assert desk.source.reads == ["a", "a"]
        desk.source.gates[0].set()
        assert (await early, await joined) == (1, 1)
        assert len(desk.shelf) == 0
        desk.source.gates[1].set()
        with pytest.raises(Problem):
            await late

    in_loop(scenario)


def test_an_overtaken_refusal_takes_nothing_away():
    async def scenario():
        desk = Desk(source=Source({"a": REVOKED}, held=True))
        early = await desk.begin()
        desk.source.answers["a"] = 2
        desk.clock.us += FRESH_US + 1
        late = await desk.begin()
        desk.source.gates[1].set()
        assert await late == 2
        desk.source.gates[0].set()
        with pytest.raises(Problem):
            await early
        assert await desk.get() == 2
        assert len(desk.source.reads) == 2

    in_loop(scenario)


def test_a_refusal_takes_away_what_was_kept_so_that_no_outage_brings_it_back():
    async def scenario():
        desk = Desk(source=Source({"a": 1}))
        await desk.get()
        desk.source.answers["a"] = REVOKED
        desk.clock.us += FRESH_US
        assert await desk.refusal() is Code.REVOKED_KEY
        desk.source.answers["a"] = AWAY
        assert await desk.refusal() is Code.LEDGER_UNAVAILABLE

    in_loop(scenario)


@pytest.mark.parametrize(
    ("age_us", "served"), [(FRESH_US, True), (STALE_US, True), (STALE_US + 1, False)]
)
def test_an_outage_is_bridged_up_to_its_bound_and_not_beyond(age_us: int, served: bool):
    async def scenario():
        desk = Desk(source=Source({"a": 1}))
        await desk.get()
        desk.source.answers["a"] = AWAY
        desk.clock.us += age_us
        if served:
            assert await desk.get() == 1
        else:
            assert await desk.refusal() is Code.LEDGER_UNAVAILABLE

    in_loop(scenario)


def test_the_bound_of_an_outage_counts_to_its_failure_not_to_its_question():
    async def scenario():
        desk = Desk(source=Source({"a": 1}))
        await desk.get()
        desk.source.answers["a"], desk.source.held = AWAY, True
        desk.clock.us += STALE_US
        waiting = await desk.begin()
        desk.clock.us += 1
        desk.source.gates[0].set()
        with pytest.raises(Problem) as refused:
            await waiting
        assert refused.value.code is Code.LEDGER_UNAVAILABLE

    in_loop(scenario)


def test_an_outage_serves_nobody_who_was_never_seen():
    async def scenario():
        desk = Desk(source=Source({"a": 1}))
        await desk.get("a")
        desk.source.answers.clear()
        desk.clock.us += FRESH_US
        assert await desk.get("a") == 1
        assert await desk.refusal("b") is Code.LEDGER_UNAVAILABLE

    in_loop(scenario)


def test_a_failure_that_is_no_outage_is_told_even_with_something_kept():
    async def scenario():
        desk = Desk(source=Source({"a": 1}))
        await desk.get()
        desk.source.answers["a"] = RuntimeError("a bug")
        desk.clock.us += FRESH_US
        with pytest.raises(RuntimeError):
            await desk.get()

    in_loop(scenario)


def test_once_away_nobody_waits_for_a_database_that_hangs():
    async def scenario():
        desk = Desk(source=Source({"a": 1}))
        await desk.get()
        desk.source.answers["a"] = AWAY
        desk.clock.us += FRESH_US
        await desk.get()  # notices
        desk.source.held = True
        desk.clock.us += PROBE_PAUSE_US
        assert [await desk.get() for _ in range(5)] == [1] * 5
        await settle()
        assert len(desk.source.gates) == 1, "one probe for all of them"
        desk.source.gates[0].set()
        await settle()

    in_loop(scenario)


def test_an_absent_database_is_probed_now_and_then_only():
    async def scenario():
        desk = Desk(source=Source({"a": 1}))
        await desk.get()
        desk.source.answers["a"] = AWAY
        desk.clock.us += FRESH_US
        await desk.get()
        before = len(desk.source.reads)
        for _ in range(100):
            await desk.get()
            await settle()
        assert len(desk.source.reads) == before
        desk.clock.us += PROBE_PAUSE_US
        await desk.get()
        await settle()
        assert len(desk.source.reads) == before + 1

    in_loop(scenario)


def test_the_first_probe_that_is_answered_ends_the_outage_for_every_key():
    async def scenario():
        desk = Desk(source=Source({"a": 1, "b": 1}))
        await desk.get("a")
        await desk.get("b")
        desk.source.answers.clear()
        desk.clock.us += FRESH_US
        await desk.get("a")
        desk.source.answers.update({"a": 2, "b": REVOKED})
        desk.clock.us += PROBE_PAUSE_US
        assert await desk.get("a") == 1
        await settle()
        assert await desk.get("a") == 2
        assert await desk.refusal("b") is Code.REVOKED_KEY

    in_loop(scenario)


def test_a_refusal_is_an_answer_too():
    async def scenario():
        desk = Desk(source=Source({"a": 1}))
        await desk.get("a")
        desk.source.answers["a"] = AWAY
        desk.clock.us += FRESH_US
        await desk.get("a")
        assert desk.line.away(desk.clock.us)
        desk.source.answers["b"] = REVOKED
        assert await desk.refusal("b") is Code.REVOKED_KEY
        assert not desk.line.away(desk.clock.us)

    in_loop(scenario)


def test_an_outage_of_long_ago_is_no_reason_to_let_an_old_answer_pass():
    async def scenario():
        desk = Desk(source=Source({"a": 1}))
        await desk.get()
        desk.source.answers["a"] = AWAY
        desk.clock.us += FRESH_US
        await desk.get()
        desk.source.answers["a"] = REVOKED
        desk.clock.us += AWAY_US
        assert await desk.refusal() is Code.REVOKED_KEY

    in_loop(scenario)


def test_memory_is_bounded_and_the_oldest_read_makes_room():
    async def scenario():
        desk = Desk(entries_max=3, source=Source({k: k for k in "abcde"}))
        for key in "abc":
            await desk.get(key)
            desk.clock.us += 1
        desk.clock.us += FRESH_US
        await desk.get("a")  # read again: now the youngest
        await desk.get("d")
        assert len(desk.shelf) == 3
        before = list(desk.source.reads)
        await desk.get("a")
        await desk.get("d")
        assert desk.source.reads == before
        await desk.get("b")
        assert desk.source.reads == [*before, "b"]

    in_loop(scenario)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.integers(1, 2_000_000)),
        st.tuples(st.just("change"), st.sampled_from("abc")),
        st.tuples(st.just("refuse"), st.sampled_from("abc")),
        st.tuples(st.just("fail"), st.booleans()),
        st.tuples(st.just("get"), st.sampled_from("abc")),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_every_answer_was_true_within_the_bound_and_belongs_to_its_key(steps):
    """Against a plain model: what was true of each key since when, and when it was last read."""

    async def scenario():
        desk = Desk(entries_max=2)
        truth: dict[str, list[tuple[int, Any]]] = {k: [(desk.clock.us, (k, 0))] for k in "abc"}
        failing = False
        for number, (step, what) in enumerate(steps, start=1):
            if step == "pass":
                desk.clock.us += what
            elif step == "change":
                truth[what].append((desk.clock.us, (what, number)))
            elif step == "refuse":
                truth[what].append((desk.clock.us, REVOKED))
            elif step == "fail":
                failing = what
            else:
                now = truth[what][-1][1]
                desk.source.answers[what] = AWAY if failing else now
                bound_us = STALE_US if failing or desk.line.away(desk.clock.us) else FRESH_US
                try:
                    got = await desk.get(what)
                except Problem as problem:
                    got = problem
                if isinstance(got, Problem):
                    assert got is (AWAY if failing else now)
                    continue
                since_us = desk.clock.us - bound_us
                ends = [*(at for at, _ in truth[what][1:]), desk.clock.us + 1]
                true_then = [
                    v for (_, v), end in zip(truth[what], ends, strict=True) if end > since_us
                ]
                assert got in true_then
                assert got[0] == what
            await settle()
        assert len(desk.shelf) <= 2

    in_loop(scenario)
