"""Verifies a file of receipts without any booth: one receipt, or a statement of any length."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tokenbooth.control.documents import Json
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.money.receipts import service as receipts
from tokenbooth.money.receipts.service import StatementCheck, Step, Trusted
from tokenbooth.protocols.strict_json import read_object

LINE_BYTES_MAX = 1 << 17
KEYS_BYTES_MAX = 1 << 20
TOLD_LINES_MAX = 20
PUBLIC_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class BadLine:
    """A receipt of a statement that failed; ``line`` counts from 1."""

    line: int
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """``steps`` are of the receipt, or of the last line of a statement.

    ``bad_lines`` are the first ones, ``bad`` is how many there are.
    """

    what: str
    receipts: int
    steps: tuple[Step, ...]
    bad: int = 0
    bad_lines: tuple[BadLine, ...] = ()

    @property
    def ok(self) -> bool:
        return self.bad == 0 and all(step.ok for step in self.steps)


def verify_file(path: Path, trusted: Trusted) -> Verdict:
    """Raises Problem INVALID_VALUE for a file that cannot be read or is empty."""
    try:
        with path.open("rb") as stream:
            return _verify(stream, trusted)
    except OSError as error:
        raise Problem(
            Code.INVALID_VALUE, f"{path} cannot be read: {error.strerror}.", param="file"
        ) from error


def trusted_keys(given: str | None) -> Trusted:
    """Public keys: 64 hex digits, or a file of them, or what ``receipt keys --json`` printed.

    Raises Problem INVALID_VALUE for anything else.
    """
    if given is None:
        return frozenset()
    if (key := _key_bytes(given)) is not None:
        return frozenset({key})
    try:
        with Path(given).expanduser().open("rb") as stream:
            content = stream.read(KEYS_BYTES_MAX)
    except OSError as error:
        raise _no_key(f"{given!r} is no public key and no file: {error.strerror}") from error
    texts = _listed_keys(content) if content.lstrip().startswith(b"{") else content.split()
    keys = [_key_bytes(text.decode("ascii", "replace")) for text in texts]
    found = frozenset(key for key in keys if key is not None)
    if len(found) == 0 or None in keys:
        raise _no_key(f"{given} holds something else than public keys of 64 hex digits")
    return found


def verdict_json(verdict: Verdict) -> Json:
    return {
        "object": "verification",
        "verified": verdict.ok,
        "what": verdict.what,
        "receipts": verdict.receipts,
        "steps": _steps_json(verdict.steps),
        "bad": verdict.bad,
        "bad_lines": [
            {"line": each.line, "steps": _steps_json(each.steps)} for each in verdict.bad_lines
        ],
    }


def _steps_json(steps: tuple[Step, ...]) -> list[Json]:
    return [{"name": step.name, "ok": step.ok, "told": step.told} for step in steps]


def _verify(stream: BinaryIO, trusted: Trusted) -> Verdict:
    """A receipt may stand on many lines, as programs print it; a statement has one for each."""
    begin = stream.read(LINE_BYTES_MAX)
    try:
        alone = read_object(begin)
    except Problem:
        alone = None
    if alone is not None and alone.get("object") != "statement":
        return Verdict("receipt", 1, receipts.verify(alone, trusted))
    stream.seek(0)
    return _verify_statement(_lines(stream), trusted)


def _verify_statement(lines: Iterator[bytes], trusted: Trusted) -> Verdict:
    check = StatementCheck(trusted)
    bad, told = 0, []
    held = next(lines, None)
    if held is None:
        raise Problem(Code.INVALID_VALUE, "The file is empty.", param="file")
    for number, line in enumerate(lines, start=1):
        failed = tuple(step for step in _receipt_steps(check, held) if not step.ok)
        if failed:
            bad += 1
            told += [BadLine(number, failed)] if bad <= TOLD_LINES_MAX else []
        held = line
    try:
        steps = check.end(read_object(held))
    except Problem as problem:
        steps = (Step("form", ok=False, told=problem.public),)
    return Verdict("statement", check.lines, steps, bad, tuple(told))


def _receipt_steps(check: StatementCheck, line: bytes) -> tuple[Step, ...]:
    try:
        return check.receipt(read_object(line))
    except Problem as problem:
        return (Step("form", ok=False, told=problem.public),)


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Lines that are not blank; one beyond the bound comes in pieces, none of which is JSON."""
    while line := stream.readline(LINE_BYTES_MAX):
        if line.strip():
            yield line


def _listed_keys(content: bytes) -> list[bytes]:
    listed = read_object(content).get("data")
    entries = listed if isinstance(listed, list) else []
    return [
        str(entry.get("public_key")).encode("ascii", "replace")
        for entry in entries
        if isinstance(entry, dict)
    ]


def _key_bytes(text: str) -> bytes | None:
    plain = text.strip()
    if len(plain) != 2 * PUBLIC_KEY_BYTES or not plain.isascii() or not plain.isalnum():
        return None
    try:
        return bytes.fromhex(plain)
    except ValueError:
        return None


def _no_key(public: str) -> Problem:
    return Problem(Code.INVALID_VALUE, f"{public}.", param="key")
