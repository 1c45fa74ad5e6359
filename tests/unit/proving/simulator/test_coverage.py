"""The list of places, and what is missing from it."""

import re
from pathlib import Path

from tokenbooth.proving import simulator
from tokenbooth.proving.simulator.coverage import (
    CRASHES,
    LISTED,
    Coverage,
    Cut,
    Moment,
    Turn,
    Way,
    missing,
)


def test_what_was_never_reached_is_missing() -> None:
    coverage = Coverage()
    assert len(missing(coverage.counts)) == len(LISTED)
    coverage.reach(Turn.FENCED)
    coverage.reach(Cut.APPEND_HALF)
    coverage.crash(Way.POWER, Moment.TOLD)
    left = missing(coverage.counts)
    assert len(left) == len(LISTED) - 3
    assert "power cut: told, not shipped" not in left
    assert "kill -9: told, not shipped" in left


def test_every_moment_is_listed_for_every_way_and_no_place_twice() -> None:
    assert len(CRASHES) == len(Way) * len(Moment)
    assert len(set(map(str, LISTED))) == len(LISTED)


def test_every_place_is_reached_by_some_line_of_the_simulator() -> None:
    """A place that nothing can reach would only ever be missing."""
    folder = Path(simulator.__file__).parent
    code = "".join(path.read_text() for path in folder.glob("*.py") if path.name != "coverage.py")
    named = set(re.findall(r"\b(?:Turn|Cut|Moment)\.([A-Z_]+)", code))
    assert named == {place.name for kind in (Turn, Cut, Moment) for place in kind}
