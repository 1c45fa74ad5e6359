"""Text goes on only against held money, whatever the engine does meanwhile."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support.turns import turn_of
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, RunEnd, ToolCallDelta, Usage
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome
from tokenbooth.core.turn import Turn
from tokenbooth.engines.bounds import delta_tokens_max
from tokenbooth.gateway.covered import CoveredRun
from tokenbooth.gateway.relay import Ended

FAILED = Problem(Code.ENGINE_FAILED, "broke")
END = RunEnd(Usage(1, 1))
TURN = turn_of()


@dataclass
class Ear:
    """A relay that only remembers."""

    heard: list[Any] = field(default_factory=list)
    output_tokens: int = 0
    result: Ended | None = None
    run: Any = None

    def attach(self, run: Any) -> None:
        self.run = run

    def delta(self, delta: Delta) -> None:
        self.heard.append(delta.text)
        self.output_tokens += delta.output_tokens or delta_tokens_max(delta)

    def ended(self, end: RunEnd) -> None:
        self.heard.append("end")
        self.result = self.result or Ended(Outcome.COMPLETED, end, None)

    def failed(self, problem: Problem) -> None:
        self.heard.append("failed")
        self.result = self.result or Ended(Outcome.ENGINE_FAILED, None, problem)

    def cut_by_money(self) -> None:
        self.heard.append("cut")
        self.result = Ended(Outcome.CAP_REACHED, END, None)


@dataclass
class Purse:
    """Covers ``now`` tokens at once, and up to ``later`` when somebody waits for it."""

    now: int
    later: int
    asked: list[int] = field(default_factory=list)

    def covers(self, output_tokens: int) -> bool:
        return output_tokens <= self.now

    async def extend(self, output_tokens: int) -> bool:
        self.asked.append(output_tokens)
        await asyncio.sleep(0)
        if output_tokens > self.later:
            return False
        self.now = max(self.now, output_tokens)
        return True


@dataclass
class Engine:
    """Hands out its sink, and keeps what is asked of its run."""

    calls: list[str] = field(default_factory=list)
    sink: Any = None

    def start(self, turn: Turn, sink: Any) -> "Engine":
        self.sink = sink
        return self

    def cancel(self) -> None:
        self.calls.append("cancel")

    def pause(self) -> None:
        self.calls.append("pause")

    def resume(self) -> None:
        self.calls.append("resume")


def in_loop(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(5):
            await scenario()

    asyncio.run(bounded())


def begin(purse: Purse) -> tuple[Ear, Engine, CoveredRun]:
    ear, engine = Ear(), Engine()
    run = CoveredRun(ear, purse)  # type: ignore[arg-type]
    run.start(engine, TURN)  # type: ignore[arg-type]
    assert ear.run is run
    return ear, engine, run


async def settle_down() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def word(text: str, tokens: int = 1) -> Delta:
    return Delta(text=text, output_tokens=tokens)


def test_covered_text_passes_at_once():
    async def scenario():
        ear, engine, _ = begin(Purse(2, 2))
        engine.sink.delta(word("a"))
        engine.sink.delta(word("b"))
        engine.sink.ended(END)
        assert ear.heard == ["a", "b", "end"]
        assert engine.calls == []

    in_loop(scenario)


def test_what_is_not_covered_waits_with_everything_behind_it_and_the_engine_pauses():
    async def scenario():
        purse = Purse(1, 3)
        ear, engine, _ = begin(purse)
        for text in "abc":
            engine.sink.delta(word(text))
        engine.sink.ended(END)
        assert ear.heard == ["a"]
        assert engine.calls == ["pause"]
        await settle_down()
        assert ear.heard == ["a", "b", "c", "end"]
        assert purse.asked == [2, 3]
        assert engine.calls == ["pause", "resume"]

    in_loop(scenario)


def test_where_there_is_no_more_money_the_answer_is_cut_and_the_rest_is_dropped():
    async def scenario():
        ear, engine, _ = begin(Purse(1, 1))
        for text in "abc":
            engine.sink.delta(word(text))
        engine.sink.failed(FAILED)
        await settle_down()
        assert ear.heard[:2] == ["a", "cut"]
        assert ear.result == Ended(Outcome.CAP_REACHED, END, None)

    in_loop(scenario)


def test_a_failure_that_comes_behind_kept_text_is_told_after_it():
    async def scenario():
        ear, engine, _ = begin(Purse(0, 9))
        engine.sink.delta(word("a"))
        engine.sink.failed(FAILED)
        assert ear.heard == []
        await settle_down()
        assert ear.heard == ["a", "failed"]

    in_loop(scenario)


def test_uncounted_text_needs_money_for_each_of_its_bytes():
    async def scenario():
        purse = Purse(0, 100)
        _, engine, _ = begin(purse)
        engine.sink.delta(
            Delta(text="é", reasoning="r", tool_call=ToolCallDelta(0, arguments="{}"))
        )
        await settle_down()
        assert purse.asked == [5]

    in_loop(scenario)


def test_a_slow_reader_and_missing_money_pause_the_engine_together():
    async def scenario():
        _, engine, run = begin(Purse(0, 9))
        run.pause()
        engine.sink.delta(word("a"))
        await settle_down()
        assert engine.calls[-1] == "pause"  # the money came, the reader is still slow
        run.resume()
        assert engine.calls[-1] == "resume"
        run.cancel()
        assert engine.calls[-1] == "cancel"

    in_loop(scenario)


def test_a_call_that_is_over_waits_for_no_money():
    async def scenario():
        purse = Purse(0, 9)
        ear, engine, _ = begin(purse)
        engine.sink.delta(word("a"))
        ear.result = Ended(Outcome.CLIENT_GONE, None, None)
        await settle_down()
        assert purse.asked == []

    in_loop(scenario)


class Eager(Engine):
    """Answers before its start returns."""

    def start(self, turn: Turn, sink: Any) -> "Eager":
        super().start(turn, sink)
        sink.delta(word("a"))
        sink.ended(END)
        return self


def test_an_engine_may_answer_before_its_start_returns():
    async def scenario():
        ear, engine = Ear(), Eager()
        CoveredRun(ear, Purse(0, 9)).start(engine, TURN)  # type: ignore[arg-type]
        await settle_down()
        assert ear.heard == ["a", "end"]

    in_loop(scenario)


@given(
    tokens=st.lists(st.integers(0, 4), max_size=30),
    now=st.integers(0, 20),
    later=st.integers(0, 60),
    pauses=st.lists(st.booleans(), max_size=30),
)
def test_order_is_kept_and_nothing_passes_beyond_the_money(
    tokens: list[int], now: int, later: int, pauses: list[bool]
):
    async def scenario():
        purse = Purse(now, max(now, later))
        ear, engine, run = begin(purse)
        for place, count in enumerate(tokens):
            engine.sink.delta(word("x", count))
            if place < len(pauses) and pauses[place]:
                run.pause()
                await asyncio.sleep(0)
                run.resume()
        engine.sink.ended(END)
        for _ in range(4 * len(tokens) + 10):
            await asyncio.sleep(0)
        if "cut" in ear.heard:
            passed = ear.heard[: ear.heard.index("cut")]
            assert set(passed) <= {"x"}
        else:
            assert ear.heard == ["x"] * len(tokens) + ["end"]
            assert ear.output_tokens <= max(purse.now, 0)
        assert ear.result is not None

    in_loop(scenario)
