"""What pip's lines mean; pure."""

import re
from collections.abc import Sequence

LINES_MAX = 40
SHOWN_LINES = 4
LINE_CHARACTERS_MAX = 300
_PROGRESS = re.compile(r"Progress (\d{1,15}) of (\d{1,15})\s*")
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


def progress_of(line: str) -> tuple[int, int] | None:
    """(done, total) bytes of a line of ``--progress-bar=raw``, ``None`` for any other line."""
    found = _PROGRESS.fullmatch(line)
    if found is None:
        return None
    done, total = int(found[1]), int(found[2])
    return (min(done, total), total) if total else None


def has_raw_progress(pip_version: str) -> bool:
    """``--progress-bar=raw`` came with pip 24.1."""
    numbers = [int(part) for part in re.findall(r"\d+", pip_version)[:2]]
    return numbers >= [24, 1]


def last_words(lines: Sequence[str]) -> str:
    """What of pip's output tells why it failed: its error lines, else its last ones.

    Colours and the credentials of an index address are taken out.
    """
    clean = [_CREDENTIALS.sub("", _COLOUR.sub("", line)).strip() for line in lines]
    told = [line for line in clean if line]
    errors = [line for line in told if line.startswith("ERROR")]
    shown = (errors or told)[-SHOWN_LINES:]
    return " | ".join(line[:LINE_CHARACTERS_MAX] for line in shown) or "pip said nothing"
