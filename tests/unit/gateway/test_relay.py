"""The relay: one outcome whatever races, nothing after the end, exact delivered counts."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, FinishReason, RunEnd, ToolCallDelta, Usage
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome, Receipt
from tokenbooth.gateway.relay import Relay, outcome_of
from tokenbooth.gateway.rules import Delivery
from tokenbooth.protocols.dialect import Answer

FAILED = Problem(Code.ENGINE_FAILED, "broke")
RECEIPT = Receipt("req_1", Outcome.COMPLETED, "", Usage(1, 1), 1, "pv", ())


class TextWriter:
    """A dialect of plain text: ``<…>`` marks the terminal event."""

    content_type = "text/x-test"

    def delta(self, delta: Delta) -> bytes:
        return delta.text.encode()

    def closing(self, end: RunEnd, receipt: Receipt | None) -> bytes:
        return b"<end>"

    def problem(self, problem: Problem) -> bytes:
        return f"<{problem.code.text}>".encode()

    def heartbeat(self) -> bytes:
        return b"."


@dataclass
class MemorySink:
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    written: bytes = b""
    ends: int = 0
    listener: object = None

    @property
    def started(self) -> bool:
        return self.status is not None

    def start(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        assert self.status is None
        self.status, self.headers = status, tuple(headers)

    def write(self, chunk: bytes) -> None:
        assert self.started
        assert not self.ends
        self.written += chunk

    def end(self) -> None:
        self.ends += 1

    def listen(self, listener: object) -> None:
        self.listener = listener


@dataclass
class Turned:
    """A run that only remembers."""

    calls: list[str] = field(default_factory=list)

    def cancel(self) -> None:
        self.calls.append("cancel")

    def pause(self) -> None:
        self.calls.append("pause")

    def resume(self) -> None:
        self.calls.append("resume")


class Scene:
    def __init__(self, *, stream: bool = True, output_tokens_max: int = 100) -> None:
        self.now_us = 0
        self.sink = MemorySink()
        self.run = Turned()
        self.told: list[tuple[Delivery, int | None]] = []
        self.relay = Relay(
            TextWriter(),
            self.sink,
            stream_headers=(("x-held", "1"),) if stream else None,
            output_tokens_max=output_tokens_max,
            delivered=lambda delivery, first_us: self.told.append((delivery, first_us)),
            now=lambda: self.now_us,
        )
        self.relay.attach(self.run)


def untold(delivery: Delivery, first_output_us: int | None) -> None: ...


def in_loop(scenario: Callable[[], object]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(5):
            result = scenario()
            if asyncio.iscoroutine(result):
                await result

    asyncio.run(bounded())


def test_a_stream_starts_with_its_first_bytes_and_ends_once():
    def scenario():
        s = Scene()
        assert not s.sink.started
        s.relay.delta(Delta(text="a", output_tokens=1))
        s.relay.delta(Delta(text="b", output_tokens=1, finish=FinishReason.STOP))
        s.relay.ended(RunEnd(Usage(1, 2)))
        assert s.relay.result.outcome is Outcome.COMPLETED
        s.relay.finish(s.relay.result.end, RECEIPT, ())
        assert s.sink.status == 200
        assert s.sink.headers == (("content-type", "text/x-test"), ("x-held", "1"))
        assert s.sink.written == b"ab<end>"
        assert s.sink.ends == 1
        assert s.relay.delivery == Delivery(2, 0, 2)

    in_loop(scenario)


def test_a_whole_answer_is_sent_only_when_it_is_complete():
    def scenario():
        s = Scene(stream=False)
        s.relay.delta(Delta(text="abc", output_tokens=2))
        assert not s.sink.started
        assert s.relay.delivery == Delivery(0, 0, 3)
        s.relay.ended(RunEnd(Usage(1, 2)))
        s.relay.finish(s.relay.result.end, RECEIPT, (("x-cost", "1"),))
        assert s.sink.headers == (("content-type", "text/x-test"), ("x-cost", "1"))
        assert s.sink.written == b"<end>"

    in_loop(scenario)


def test_a_stream_without_output_still_gets_its_headers_and_its_end():
    def scenario():
        s = Scene()
        s.relay.ended(RunEnd(Usage(1, 0)))
        s.relay.finish(s.relay.result.end, RECEIPT, ())
        assert s.sink.headers[1] == ("x-held", "1")
        assert s.sink.written == b"<end>"

    in_loop(scenario)


def test_a_failure_before_output_is_an_answer_of_its_own():
    def scenario():
        s = Scene()
        s.relay.failed(FAILED)
        s.relay.refuse(FAILED, Answer(502, (("x", "y"),), b"body"))
        assert (s.sink.status, s.sink.written, s.sink.ends) == (502, b"body", 1)

    in_loop(scenario)


def test_a_failure_after_output_is_told_in_band():
    def scenario():
        s = Scene()
        s.relay.delta(Delta(text="a"))
        s.relay.failed(FAILED)
        s.relay.refuse(FAILED, Answer(502, (), b"body"))
        assert (s.sink.status, s.sink.written) == (200, b"a<engine_failed>")

    in_loop(scenario)


def test_a_reader_that_is_gone_cancels_the_run_and_decides_the_outcome():
    def scenario():
        s = Scene()
        s.relay.delta(Delta(text="a", output_tokens=1))
        s.relay.gone()
        s.relay.gone()
        s.relay.delta(Delta(text="b", output_tokens=1))
        s.relay.ended(RunEnd(Usage(1, 2), cancelled=True))
        assert s.relay.result.outcome is Outcome.CLIENT_GONE
        assert s.run.calls == ["resume", "cancel"]
        assert s.relay.delivery.output_tokens == 1
        s.relay.hang_up()
        assert s.sink.ends == 1

    in_loop(scenario)


def test_a_reader_that_was_gone_before_the_run_cancels_it_at_once():
    def scenario():
        s = Scene()
        late = Turned()
        s.relay.gone()
        s.relay.attach(late)
        assert late.calls == ["cancel"]

    in_loop(scenario)


def test_a_complete_answer_stays_complete_when_the_reader_leaves_later():
    def scenario():
        s = Scene()
        s.relay.ended(RunEnd(Usage(1, 2)))
        s.relay.gone()
        s.relay.failed(FAILED)
        assert s.relay.result.outcome is Outcome.COMPLETED
        assert s.run.calls == []

    in_loop(scenario)


def test_pressure_pauses_and_resumes_the_run():
    def scenario():
        s = Scene()
        s.relay.pressure(True)
        s.relay.pressure(False)
        assert s.run.calls == ["pause", "resume"]

    in_loop(scenario)


def test_pressure_before_the_run_is_harmless():
    def scenario():
        sink = MemorySink()
        relay = Relay(
            TextWriter(),
            sink,
            stream_headers=(),
            output_tokens_max=1,
            delivered=untold,
            now=lambda: 0,
        )
        relay.pressure(True)
        relay.gone()
        assert sink.listener is relay

    in_loop(scenario)


def test_output_past_the_limit_is_not_delivered_and_ends_the_run():
    def scenario():
        s = Scene(output_tokens_max=2)
        s.relay.delta(Delta(text="a", output_tokens=2))
        s.relay.delta(Delta(text="b", output_tokens=1))
        s.relay.ended(RunEnd(Usage(1, 3)))
        assert s.sink.written == b"a"
        assert s.run.calls == ["cancel"]
        assert s.relay.result.outcome is Outcome.COMPLETED
        assert s.relay.result.end == RunEnd(usage=None, cancelled=True)

    in_loop(scenario)


def test_uncounted_output_is_bounded_by_its_bytes():
    def scenario():
        s = Scene()
        s.relay.delta(Delta(text="é"))
        s.relay.delta(Delta(reasoning="ab", refusal="c"))
        s.relay.delta(Delta(tool_call=ToolCallDelta(0, arguments="{}")))
        assert s.relay.delivery == Delivery(0, 7, 7)

    in_loop(scenario)


def test_a_failure_before_output_may_be_tried_elsewhere_and_after_output_not():
    def scenario():
        s = Scene()
        assert not s.relay.retry()
        s.relay.failed(FAILED)
        assert s.relay.retry()
        assert s.relay.result is None
        s.relay.attach(s.run)
        s.relay.delta(Delta(text="a", output_tokens=1))
        s.relay.failed(FAILED)
        assert not s.relay.retry()

    in_loop(scenario)


def test_what_the_caller_did_wrong_is_not_tried_elsewhere():
    def scenario():
        s = Scene()
        s.relay.failed(Problem(Code.CONTEXT_LENGTH_EXCEEDED, "too long"))
        assert s.relay.result.outcome is Outcome.REFUSED
        assert not s.relay.retry()

    in_loop(scenario)


def test_a_quiet_stream_beats_and_a_busy_or_ended_one_does_not():
    def scenario():
        s = Scene()
        s.relay.beat(10)
        assert s.sink.written == b""
        s.now_us = 10
        s.relay.beat(10)
        assert s.sink.written == b"."
        s.now_us = 15
        s.relay.delta(Delta(text="a"))
        s.now_us = 20
        s.relay.beat(10)
        s.relay.ended(RunEnd(None))
        s.now_us = 50
        s.relay.beat(10)
        assert s.sink.written == b".a"

    in_loop(scenario)


def test_a_whole_answer_never_beats():
    def scenario():
        s = Scene(stream=False)
        s.now_us = 100
        s.relay.beat(10)
        assert not s.sink.started

    in_loop(scenario)


def test_waiting_ends_with_the_call_and_with_the_engine():
    async def scenario():
        s = Scene()
        assert not await s.relay.wait_end(0)
        assert not await s.relay.wait_over(0)
        s.relay.stop(Outcome.TIMED_OUT, FAILED)
        assert await s.relay.wait_end(5)
        assert not await s.relay.wait_over(0)
        s.relay.ended(RunEnd(None, cancelled=True))
        assert await s.relay.wait_over(5)

    in_loop(scenario)


def test_a_call_that_never_ran_is_over_at_once():
    async def scenario():
        relay = Relay(
            TextWriter(),
            MemorySink(),
            stream_headers=(),
            output_tokens_max=1,
            delivered=untold,
            now=lambda: 0,
        )
        assert await relay.wait_over(0)

    in_loop(scenario)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (Code.RUN_TIMEOUT, Outcome.TIMED_OUT),
        (Code.ENGINE_FAILED, Outcome.ENGINE_FAILED),
        (Code.UPSTREAM_REJECTED, Outcome.ENGINE_FAILED),
        (Code.ENGINE_NOT_READY, Outcome.ENGINE_FAILED),
        (Code.INTERNAL, Outcome.ENGINE_FAILED),
        (Code.INVALID_VALUE, Outcome.REFUSED),
        (Code.UNSUPPORTED_FEATURE, Outcome.REFUSED),
    ],
)
def test_an_engines_problem_names_the_outcome(code, outcome):
    assert outcome_of(Problem(code, "x")) is outcome


EVENTS = st.sampled_from(["delta", "ended", "failed", "gone", "stop", "pressure", "beat"])


@given(st.lists(EVENTS, max_size=12), st.booleans())
def test_whatever_races_there_is_one_outcome_and_nothing_after_the_end(events, stream):
    def scenario():
        s = Scene(stream=stream)
        first: str | None = None
        for event in events:
            before = s.sink.written
            match event:
                case "delta":
                    s.relay.delta(Delta(text="x", output_tokens=1))
                case "ended":
                    s.relay.ended(RunEnd(Usage(1, 1)))
                case "failed":
                    s.relay.failed(FAILED)
                case "gone":
                    s.relay.gone()
                case "stop":
                    s.relay.stop(Outcome.TIMED_OUT, FAILED)
                case "pressure":
                    s.relay.pressure(True)
                case "beat":
                    s.relay.beat(0)
            if first is not None:
                assert s.sink.written == before
            elif s.relay.result is not None:
                first = event
        expected = {
            "ended": Outcome.COMPLETED,
            "failed": Outcome.ENGINE_FAILED,
            "gone": Outcome.CLIENT_GONE,
            "stop": Outcome.TIMED_OUT,
        }
        result = s.relay.result
        assert (None if result is None else result.outcome) == expected.get(first)
        delivered = s.sink.written.count(b"x") if stream else 0
        assert s.relay.delivery.output_tokens == delivered

    in_loop(scenario)
