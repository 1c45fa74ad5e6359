"""Bodies with something wrong at one place, and what a dialect makes of them."""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from tokenbooth.core.codes import Kind
from tokenbooth.core.problem import Problem
from tokenbooth.protocols.dialect import Dialect, Parsed

CLIENT_FAULTS = {Kind.INVALID_REQUEST, Kind.UNSUPPORTED}
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20),
    st.lists(st.integers(0, 1) | st.text("ab", max_size=2), max_size=3),
    st.dictionaries(st.sampled_from(["type", "role", "text", "x"]), st.text("ab", max_size=2)),
)

Place = tuple[str | int, ...]


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Every place in a body, containers included."""
    if at:
        yield at
    inner: Any = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for name, one in inner:
        yield from places(one, (*at, name))


def holder_of(body: Any, place: Place) -> Any:
    """The container that the place is in."""
    for step in place[:-1]:
        body = body[step]
    return body


def changed(full: dict[str, Any], place: Place, value: Any) -> dict[str, Any]:
    """The full body with something else at one place."""
    body = copy.deepcopy(full)
    holder_of(body, place)[place[-1]] = value
    return body


def without(full: dict[str, Any], place: Place) -> dict[str, Any]:
    body = copy.deepcopy(full)
    del holder_of(body, place)[place[-1]]
    return body


def steps(param: str) -> Place:
    """``a[0].b`` as ``("a", 0, "b")``."""
    found = re.findall(r"\[(\d+)\]|([^.\[\]]+)", param)
    return tuple(int(number) if number else name for number, name in found)


def outcome(dialect: Dialect, body: object) -> Parsed | Problem:
    """What the dialect reads, or how it refuses; any other exception is a fault of ours."""
    try:
        return dialect.parse(json.dumps(body).encode())
    except Problem as problem:
        return problem
