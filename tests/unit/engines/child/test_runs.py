"""A run hears its deltas in order and one end, whatever pause, resume and cancel do."""

from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, RunEnd, Usage
from tokenbooth.core.problem import Problem
from tokenbooth.engines.child.runs import NOTHING_DONE, ChildRun

END = RunEnd(Usage(3, 2))
FAILURE = Problem(Code.ENGINE_FAILED, "gone")


class Heard:
    """A sink that writes down what it hears."""

    def __init__(self) -> None:
        self.words: list[object] = []
        self.pause_at: ChildRun | None = None

    def delta(self, delta: Delta) -> None:
        self.words.append(delta.text)
        if self.pause_at is not None:
            self.pause_at.pause()

    def ended(self, end: RunEnd) -> None:
        self.words.append(end)

    def failed(self, problem: Problem) -> None:
        self.words.append(problem)


def started(known: bool = True) -> tuple[ChildRun, Heard, list[int]]:
    heard = Heard()
    stops: list[int] = []

    def stop(run: ChildRun) -> bool:
        stops.append(run.number)
        return known

    return ChildRun(1, heard, stop), heard, stops


def test_deltas_then_end() -> None:
    run, heard, _ = started()
    run.push(Delta(text="a"))
    run.push(Delta(text="b"))
    run.finish(END)
    run.push(Delta(text="late"))
    run.finish(FAILURE)
    assert heard.words == ["a", "b", END]


def test_a_paused_run_keeps_everything_for_later() -> None:
    run, heard, _ = started()
    run.pause()
    run.push(Delta(text="a"))
    run.finish(END)
    assert heard.words == []
    run.resume()
    assert heard.words == ["a", END]


def test_a_sink_may_pause_again_while_it_catches_up() -> None:
    run, heard, _ = started()
    run.pause()
    for text in "abc":
        run.push(Delta(text=text))
    run.finish(END)
    heard.pause_at = run
    run.resume()
    assert heard.words == ["a"]
    run.resume()
    run.resume()
    assert heard.words == ["a", "b", "c"]
    heard.pause_at = None
    run.resume()
    assert heard.words == ["a", "b", "c", END]


def test_new_deltas_queue_behind_held_ones() -> None:
    run, heard, _ = started()
    run.pause()
    run.push(Delta(text="a"))
    run.push(Delta(text="b"))
    heard.pause_at = run
    run.resume()
    heard.pause_at = None
    run.push(Delta(text="c"))
    run.resume()
    assert heard.words == ["a", "b", "c"]


def test_cancel_silences_the_run_and_tells_the_child_once() -> None:
    run, heard, stops = started()
    run.push(Delta(text="a"))
    run.cancel()
    run.cancel()
    run.push(Delta(text="b"))
    assert stops == [1]
    assert heard.words == ["a"]
    run.finish(RunEnd(Usage(3, 2), cancelled=True))
    assert heard.words == ["a", RunEnd(Usage(3, 2), cancelled=True)]


def test_cancel_of_a_run_the_child_never_saw_ends_at_once() -> None:
    run, heard, _ = started(known=False)
    run.cancel()
    assert heard.words == [RunEnd(NOTHING_DONE, cancelled=True)]


def test_cancel_while_paused_drops_what_is_held() -> None:
    run, heard, stops = started()
    run.pause()
    run.push(Delta(text="a"))
    run.cancel()
    run.finish(END)
    assert heard.words == [END]
    assert stops == [1]
    run.resume()
    assert heard.words == [END]


def test_cancel_of_a_run_that_is_over_but_paused_lets_the_end_out() -> None:
    run, heard, stops = started()
    run.pause()
    run.push(Delta(text="a"))
    run.finish(END)
    run.cancel()
    assert heard.words == [END]
    assert stops == []


def test_cancel_after_the_end_does_nothing() -> None:
    run, heard, stops = started()
    run.finish(END)
    run.cancel()
    assert heard.words == [END]
    assert stops == []


def test_a_failure_of_a_paused_run_is_told_on_resume() -> None:
    run, heard, _ = started()
    run.pause()
    run.push(Delta(text="a"))
    run.finish(FAILURE)
    run.resume()
    assert heard.words == ["a", FAILURE]


def test_drop_fails_even_a_paused_run() -> None:
    run, heard, _ = started()
    run.pause()
    run.push(Delta(text="a"))
    run.drop(FAILURE)
    run.resume()
    run.finish(END)
    assert heard.words == [FAILURE]


MOVES = st.lists(st.sampled_from(["push", "pause", "resume", "cancel", "finish", "drop"]))


@given(MOVES)
def test_there_is_never_more_than_one_end_and_nothing_after_it(moves: list[str]) -> None:
    run, heard, _ = started()
    pushed = []
    for number, move in enumerate(moves):
        if move == "push":
            pushed.append(str(number))
            run.push(Delta(text=str(number)))
        elif move == "finish":
            run.finish(END)
        elif move == "drop":
            run.drop(FAILURE)
        else:
            getattr(run, move)()
    run.finish(END)
    run.resume()
    ends = [word for word in heard.words if not isinstance(word, str)]
    assert len(ends) == 1
    assert heard.words[-1] is ends[0]
    assert heard.words[:-1] == pushed[: len(heard.words) - 1]
