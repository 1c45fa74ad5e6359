"""What a long run is judged by."""

from dataclasses import replace

import pytest

from tokenbooth.proving.bench.books import Books
from tokenbooth.proving.bench.soak import MB, Minute, SoakOptions, SoakReport

SOUND = Books(calls=90, running=0, spent_nano=7, charges_nano=7, problems=())


def minute(mb: int, failed: int = 0) -> Minute:
    return Minute(
        calls=10,
        streams=5,
        failed=failed,
        failure="cut off" if failed else "",
        busy_percent=70,
        rss=2 * mb * MB,
        pss=mb * MB,
    )


def report(*mbs: int, books: Books = SOUND, failed: int = 0) -> SoakReport:
    minutes = (*(minute(mb) for mb in mbs[:-1]), minute(mbs[-1], failed))
    return SoakReport(
        options=SoakOptions(minutes=len(mbs)),
        rates={"calls": 400, "streams": 200},
        minutes=minutes,
        books=books,
        calls=90,
        load_before="1",
        load_after="2",
    )


@pytest.mark.parametrize(
    ("found", "drift", "passed"),
    [
        (report(90, 95, 99, 99, 100, 101, 102, 101), 2.0, True),
        (report(90, 95, 99, 99, 100, 101, 103, 101), 3.0, False),
        (report(50, 99, 99, 99, 100, 98), 0.0, True),
        (report(50, 99), None, True),
        (report(100, 100, 100, 100, 100, 100, failed=1), 0.0, False),
        (report(100, 100, 100, books=replace(SOUND, calls=91)), None, False),
        (report(100, 100, 100, books=replace(SOUND, running=1)), None, False),
    ],
)
def test_memory_errors_and_books_decide(found: SoakReport, drift: float, passed: bool) -> None:
    assert (found.drift_percent, found.passed) == (drift, passed)
    document = found.document()
    assert (document["memory_drift_percent"], document["passed"]) == (drift, passed)
    lines = list(found.lines())
    assert len(lines) == 3 + len(found.minutes)
    assert ("NOT exact" in lines[-1]) is not found.exact
