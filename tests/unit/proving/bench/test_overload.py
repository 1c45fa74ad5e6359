"""What is made of the calls that an overloaded engine answered; the load itself needs an engine."""

from pathlib import Path

from tokenbooth.proving.bench.overload import (
    LOADS_MILLI,
    Heard,
    OverloadOptions,
    OverloadReport,
    _turn,
)

GOOD = Heard(status=200, first_us=100_000, end_us=500_000, chunks=5)
LATE = Heard(status=200, first_us=3_000_000, end_us=3_100_000, chunks=5)
SLOW = Heard(status=200, first_us=100_000, end_us=900_000, chunks=5)
REFUSED = Heard(status=503, retry_after_s=3)
LOST = Heard()


def report(*heard: Heard) -> OverloadReport:
    turns = tuple(_turn(milli, list(heard), 100_000, 10) for milli in LOADS_MILLI)
    return OverloadReport(OverloadOptions(gguf=Path("x")), "0", 800, 100, turns)


def test_only_calls_that_kept_both_promises_are_good() -> None:
    turn = report(GOOD, GOOD, LATE, SLOW, REFUSED).turns[-1]
    assert (turn.sent, turn.answered, turn.refused) == (5, 4, 1)
    assert turn.good_per_ks == 200
    assert turn.ttft_p99_ms == 3_000


def test_a_call_that_got_no_answer_and_no_time_to_come_back_is_not_exact() -> None:
    assert report(GOOD, REFUSED).exact
    assert not report(GOOD, LOST).exact
    assert not report(GOOD, Heard(status=503)).exact


def test_what_was_kept_is_beside_the_best_below_the_overload() -> None:
    found = report(GOOD, REFUSED)
    assert found.kept_milli == 1000
    assert found.document()["kept_milli"] == 1000
    assert any("100.0 %" in line for line in found.lines())
    assert report(REFUSED).kept_milli == 0
