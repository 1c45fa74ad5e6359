"""Holds two answers to the same call against each other."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from tests.oracle.cases import Case
from tests.oracle.reading import Seen


class Kind(StrEnum):
    STATUS = "status"
    EVENTS = "events"
    FINISH = "finish"
    INPUT = "input tokens"
    OUTPUT = "output tokens"
    TEXT = "text"
    OURS = "only the booth has"
    THEIRS = "only the oracle has"
    TYPE = "type"


# What a table counts: the others are told field by field.
COUNTED = (Kind.STATUS, Kind.EVENTS, Kind.FINISH, Kind.INPUT, Kind.OUTPUT, Kind.TEXT)


@dataclass(frozen=True)
class Difference:
    """``place`` is of a field, else empty; ``refused`` says that both refused the call."""

    case: Case
    kind: Kind
    booth: str
    oracle: str
    place: str = ""
    refused: bool = False

    @property
    def line(self) -> str:
        where = f" {self.place}" if self.place else ""
        return f"{self.case.title} {self.kind}{where}: {self.booth} | {self.oracle}"


def differences(case: Case, booth: Seen, oracle: Seen) -> Iterator[Difference]:
    """Where one refuses and the other does not, nothing else can be held together."""
    if booth.status != oracle.status:
        yield Difference(case, Kind.STATUS, str(booth.status), str(oracle.status))
        return
    for kind, ours, theirs in (
        (Kind.EVENTS, booth.events, oracle.events),
        (Kind.FINISH, booth.finish, oracle.finish),
        (Kind.INPUT, booth.input_tokens, oracle.input_tokens),
        (Kind.OUTPUT, booth.output_tokens, oracle.output_tokens),
        (Kind.TEXT, booth.text, oracle.text),
    ):
        if ours != theirs:
            yield Difference(case, kind, _shown(ours), _shown(theirs))
    yield from _fields(case, booth, oracle)


def _fields(case: Case, booth: Seen, oracle: Seen) -> Iterator[Difference]:
    """A field that one lacks is told once, without what is inside it; and so are the fields of an
    event that one does not have: the order of the events tells of that."""
    refused = booth.status != HTTPStatus.OK
    for place in sorted({*booth.fields, *oracle.fields}):
        ours, theirs = booth.fields.get(place), oracle.fields.get(place)
        if ours == theirs:
            continue
        kind = Kind.TYPE
        if ours is None or theirs is None:
            kind = Kind.THEIRS if ours is None else Kind.OURS
            lacking = booth if ours is None else oracle
            if _outer(place) not in lacking.fields:
                continue
        yield Difference(case, kind, _kinds(ours), _kinds(theirs), place, refused)


def _outer(place: str) -> str:
    if place.endswith("[]"):
        return place[:-2]
    event, colon, path = place.rpartition(": ")
    return event + colon + path.rpartition(".")[0]


def _kinds(kinds: frozenset[str] | None) -> str:
    return " or ".join(sorted(kinds or "-"))


def _shown(value: object) -> str:
    return " > ".join(value) if isinstance(value, tuple) else str(value)
