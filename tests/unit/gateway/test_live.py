"""The register of running calls ends exactly those that are asked for."""

import pytest

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome
from tokenbooth.gateway.live import LiveCalls

PROBLEM = Problem(Code.REVOKED_KEY, "revoked")


class Call:
    def __init__(self) -> None:
        self.stops: list[tuple[Outcome, Problem]] = []

    def stop(self, outcome: Outcome, problem: Problem) -> None:
        self.stops.append((outcome, problem))


def test_only_the_calls_of_named_keys_are_stopped():
    live, mine, other = LiveCalls(), Call(), Call()
    live.enter("req_1", "key_1", mine)
    live.enter("req_2", "key_2", other)
    assert live.key_ids() == {"key_1", "key_2"}
    assert live.stop_keys({"key_1"}, PROBLEM) == 1
    assert mine.stops == [(Outcome.KEY_REVOKED, PROBLEM)]
    assert other.stops == []


def test_everything_is_stopped_as_interrupted():
    live, first, second = LiveCalls(), Call(), Call()
    live.enter("req_1", "key_1", first)
    live.enter("req_2", "key_1", second)
    assert live.stop_all(PROBLEM) == 2
    assert first.stops == second.stops == [(Outcome.INTERRUPTED, PROBLEM)]


def test_a_call_that_left_is_not_stopped():
    live, call = LiveCalls(), Call()
    live.enter("req_1", "key_1", call)
    live.leave("req_1")
    live.leave("req_1")
    assert live.stop_all(PROBLEM) == 0
    assert len(live) == 0
    assert call.stops == []


def test_after_the_last_stop_nothing_begins_to_run():
    live, late = LiveCalls(), Call()
    live.check_open()
    live.stop_all(PROBLEM)
    with pytest.raises(Problem) as refused:
        live.check_open()
    assert refused.value is PROBLEM
    live.enter("req_1", "key_1", late)
    assert late.stops == [(Outcome.INTERRUPTED, PROBLEM)]
