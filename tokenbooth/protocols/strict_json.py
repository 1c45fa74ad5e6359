"""Bytes to one JSON object, refusing everything on which two readers could disagree.

Beyond RFC 8259 this refuses duplicate keys, NUL characters, lone surrogates, numbers that no double
holds and more than 64 levels. The depth is counted before the parser runs, in C-speed passes, so a
body of a million brackets costs milliseconds and no recursion.
"""

import json
import math
import re
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import NoReturn

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

DEPTH_MAX = 64
NUMBER_CHARS_MAX = 64
QUOTED_CHARS_MAX = 64

# A string, or what is left of one that never ends: once begun it matches, so nothing is retried.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = bytes.maketrans(b"[]{}", b"\x01\xff\x01\xff")  # as signed bytes: one down, one up
_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


def read_object(raw: bytes) -> dict[str, object]:
    """The one object that ``raw`` holds; raises Problem MALFORMED_JSON."""
    if not raw.strip():
        _refuse("The body is empty; send a JSON object.")
    if _too_deep(raw):
        _refuse(f"The body nests deeper than {DEPTH_MAX} levels.")
    value = _parsed(_text(raw))
    if not isinstance(value, dict):
        _refuse(f"The body must be a JSON object, not {JSON_NAMES[type(value)]}.")
    if is_suspect(raw):
        for path, text in _strings(value, ""):
            _check_string(path, text)
    return value


def is_suspect(raw: bytes) -> bool:
    """Whether a string of it may hold a NUL character or half a surrogate pair."""
    return _SUSPECT.search(raw) is not None


def quoted(text: str) -> str:
    """A short, printable, ASCII quotation of what a caller sent, safe in any answer."""
    short = text if len(text) <= QUOTED_CHARS_MAX else text[:QUOTED_CHARS_MAX] + "…"
    return json.dumps(short)


JSON_NAMES: Mapping[type, str] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def _refuse(public: str, param: str | None = None) -> NoReturn:
    raise Problem(Code.MALFORMED_JSON, public, param=param)


def _too_deep(raw: bytes) -> bool:
    if raw.count(b"[") + raw.count(b"{") <= DEPTH_MAX:
        return False
    steps = array("b", _STRING.sub(b"", raw).translate(_STEPS, _NOT_BRACKETS))
    return max(accumulate(steps), default=0) > DEPTH_MAX


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        _refuse(f"The body is not valid UTF-8 at byte {error.start}.")


def _parsed(text: str) -> object:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        _refuse(f"The body is not valid JSON: {error.msg} at character {error.pos}.")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        ((name, _),) = Counter(name for name, _ in pairs).most_common(1)
        _refuse(f"The key {quoted(name)} appears twice in one object.", quoted(name)[1:-1])
    return made


def _number_chars(literal: str) -> str:
    if len(literal) > NUMBER_CHARS_MAX:
        _refuse(f"A number has more than {NUMBER_CHARS_MAX} characters.")
    return literal


def _integer(literal: str) -> int:
    return int(_number_chars(literal))


def _double(literal: str) -> float:
    value = float(_number_chars(literal))
    if math.isinf(value):
        _refuse(f"The number {literal} is too large for a double.")
    return value


def _constant(literal: str) -> NoReturn:
    _refuse(f"{literal} is not a JSON number.")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_double, parse_constant=_constant
)


def _strings(value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield path, name
            yield from _strings(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _strings(inner, f"{path}[{place}]")


def _check_string(path: str, text: str) -> None:
    param = quoted(path)[1:-1] or None
    if "\0" in text:
        _refuse("A string holds a NUL character.", param)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        _refuse("A string holds a lone surrogate, which is no Unicode text.", param)
