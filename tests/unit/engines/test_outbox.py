"""The outbox: order, one ending, and nothing while paused."""

from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, RunEnd
from tokenbooth.core.problem import Problem
from tokenbooth.engines.outbox import Outbox

END = RunEnd(None)
PROBLEM = Problem(Code.ENGINE_FAILED, "It failed.")


class Heard:
    def __init__(self) -> None:
        self.steps: list[object] = []

    def delta(self, delta: Delta) -> None:
        self.steps.append(delta)

    def ended(self, end: RunEnd) -> None:
        self.steps.append(end)

    def failed(self, problem: Problem) -> None:
        self.steps.append(problem)


def delta(number: int) -> Delta:
    return Delta(text=str(number))


def made() -> tuple[Outbox, Heard]:
    heard = Heard()
    return Outbox(heard), heard


def test_deltas_pass_and_the_end_follows() -> None:
    outbox, heard = made()
    outbox.push(delta(1))
    assert outbox.finish(END)
    assert heard.steps == [delta(1), END]
    assert outbox.over


def test_a_problem_ends_as_failed() -> None:
    outbox, heard = made()
    assert outbox.finish(PROBLEM)
    assert heard.steps == [PROBLEM]


def test_a_pause_holds_deltas_and_the_end() -> None:
    outbox, heard = made()
    outbox.paused = True
    outbox.push(delta(1))
    assert not outbox.finish(END)
    assert heard.steps == []
    assert outbox.sealed
    outbox.paused = False
    assert outbox.release()
    assert heard.steps == [delta(1), END]


def test_what_comes_after_held_deltas_waits_behind_them() -> None:
    outbox, heard = made()
    outbox.paused = True
    outbox.push(delta(1))
    outbox.paused = False
    outbox.push(delta(2))
    assert heard.steps == []
    assert not outbox.release()
    assert heard.steps == [delta(1), delta(2)]


def test_a_sink_that_pauses_again_stops_the_release() -> None:
    outbox, heard = made()
    outbox.paused = True
    for number in (1, 2, 3):
        outbox.push(delta(number))
    outbox.paused = False
    heard.delta = lambda d: (heard.steps.append(d), setattr(outbox, "paused", True))[0]  # type: ignore[method-assign,assignment,func-returns-value]
    assert not outbox.release()
    assert heard.steps == [delta(1)]


def test_nothing_is_put_in_after_the_end() -> None:
    outbox, heard = made()
    outbox.finish(END)
    outbox.push(delta(1))
    assert outbox.finish(PROBLEM)
    outbox.end(PROBLEM)
    assert heard.steps == [END]


def test_end_drops_what_is_held_back() -> None:
    outbox, heard = made()
    outbox.paused = True
    outbox.push(delta(1))
    outbox.end(PROBLEM)
    outbox.paused = False
    assert outbox.release()
    assert heard.steps == [PROBLEM]


def test_a_muted_outbox_lets_out_only_its_given_end() -> None:
    outbox, heard = made()
    outbox.paused = True
    outbox.push(delta(1))
    outbox.finish(PROBLEM)
    outbox.mute()
    outbox.paused = False
    outbox.push(delta(2))
    assert not outbox.release()
    assert not outbox.finish(END)
    outbox.end(RunEnd(None, cancelled=True))
    assert heard.steps == [RunEnd(None, cancelled=True)]


acts = st.lists(st.sampled_from(["push", "pause", "resume", "finish", "fail"]), max_size=30)


@given(acts)
def test_any_order_of_acts_keeps_the_promises(order: list[str]) -> None:
    outbox, heard = made()
    pushed = 0
    for act in order:
        if act == "push":
            pushed += not outbox.sealed
            outbox.push(delta(pushed))
        elif act == "finish":
            outbox.finish(END)
        elif act == "fail":
            outbox.finish(PROBLEM)
        else:
            outbox.paused = act == "pause"
            before = len(heard.steps)
            outbox.release()
            assert not outbox.paused or len(heard.steps) == before
    outbox.paused = False
    outbox.release()
    endings = [step for step in heard.steps if not isinstance(step, Delta)]
    assert [step for step in heard.steps if isinstance(step, Delta)] == [
        delta(number) for number in range(1, pushed + 1)
    ]
    assert len(endings) == (1 if {"finish", "fail"} & set(order) else 0)
    assert not endings or heard.steps[-1] is endings[0]
