"""Lines of pip."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.catalog.weights.rules import (
    LINE_CHARACTERS_MAX,
    SHOWN_LINES,
    has_raw_progress,
    last_words,
    progress_of,
)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("Progress 0 of 92871040\n", (0, 92871040)),
        ("Progress 5 of 5", (5, 5)),
        ("Progress 9 of 5", (5, 5)),
        ("Progress 1 of 0", None),
        ("Progress -1 of 5", None),
        ("progress 1 of 5", None),
        ("Downloading x", None),
        ("", None),
        ("Progress 1 of 9999999999999999999999", None),
    ],
)
def test_progress_lines(line: str, told: tuple[int, int] | None) -> None:
    assert progress_of(line) == told


@given(st.text(max_size=50))
def test_any_line_is_read_without_a_fault(line: str) -> None:
    told = progress_of(line)
    assert told is None or 0 <= told[0] <= told[1]


@pytest.mark.parametrize(
    ("version", "raw"),
    [("23.2.1", False), ("24.0", False), ("24.1", True), ("24.1b2", True), ("26.3", True),
     ("25", True), ("", False)],
)  # fmt: skip
def test_which_pip_knows_raw_progress(version: str, raw: bool) -> None:
    assert has_raw_progress(version) is raw


def test_error_lines_come_first() -> None:
    lines = ["Looking in indexes: x\n", "ERROR: no such thing\n", "WARNING: be careful\n"]
    assert last_words(lines) == "ERROR: no such thing"


def test_without_error_lines_the_last_ones_are_shown() -> None:
    assert last_words([f"line {n}\n" for n in range(9)]) == "line 5 | line 6 | line 7 | line 8"


def test_silence_is_said() -> None:
    assert last_words([]) == last_words(["\n", "  "]) == "pip said nothing"


def test_colours_and_credentials_are_taken_out() -> None:
    line = "\x1b[31mERROR: https://me:secret@index.example/simple is closed\x1b[0m"
    assert last_words([line]) == "ERROR: https://index.example/simple is closed"


@given(st.lists(st.text(max_size=400), max_size=30))
def test_what_is_shown_is_bounded(lines: list[str]) -> None:
    assert len(last_words(lines)) <= SHOWN_LINES * (LINE_CHARACTERS_MAX + 3) + 20
