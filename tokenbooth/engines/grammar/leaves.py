"""Texts and numbers: what a schema says of a single value, as the body of a rule; pure."""

import math
from collections.abc import Mapping
from typing import Any

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.engines.grammar.ranges import integer_range, number_range

PARAM = "response_format"
LENGTH_MAX = 1_000
ITEMS_MAX = 100
# As the leaves ``chrs`` and ``chrp`` have it.
CHUNK = 32

# Rules that every grammar may use. Blanks are bounded, or a small model writes nothing else.
LEAVES = r"""
blank ::= [ ]?
hex ::= [0-9a-fA-F]
chrs ::= chr{32}
chrp ::= chr{0,31}
chr ::= [^"\\\x00-\x1f\x7f] | "\\" (["\\/bfnrt] | "u" ([0-9a-cA-Ce-fE-F] hex | [dD] [0-7]) hex hex)
str ::= "\"" chr* "\""
whole ::= "-"? ("0" | [1-9] [0-9]{0,14})
number ::= whole ("." [0-9]{1,15})? ([eE] [-+]? [0-9]{1,2})?
bool ::= "true" | "false"
value ::= anyobject | anyarray | str | number | bool | "null"
anyobject ::= "{" blank (str ":" blank value ("," blank str ":" blank value)*)? "}"
anyarray ::= "[" blank (value ("," blank value)*)? "]"
"""
_DATE = (
    r'[0-9] [0-9] [0-9] [0-9] "-" ("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | "1" [0-9] | "2" [0-8])'
)
_TIME = r'([0-1] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] "Z"'
_HEX = "[0-9a-f]"
FORMATS = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f'{_DATE} "T" {_TIME}',
    "uuid": ' "-" '.join(f"{_HEX}{{{count}}}" for count in (8, 4, 4, 4, 12)),
}


def wrong(place: str, what: str) -> Problem:
    return Problem(Code.INVALID_VALUE, f"The JSON schema at {place} {what}.", param=PARAM)


def cannot(place: str, what: str) -> Problem:
    return Problem(
        Code.UNSUPPORTED_FEATURE,
        f"The JSON schema at {place} uses {what}, which this engine cannot enforce.",
        param=PARAM,
    )


def string_body(schema: Mapping[str, Any], place: str, shared: dict[str, str]) -> str:
    """``shared`` gets the rules that the body needs beside ``LEAVES``, by name."""
    shape = FORMATS.get(str(schema.get("format")))
    least, most = bounds(schema, place, "Length")
    if shape is not None and "minLength" not in schema and "maxLength" not in schema:
        return f'"\\"" {shape} "\\""'
    if shape is not None:
        raise cannot(place, "a length beside a format")
    if not least and most is None:
        return "str"
    first = _exactly(least)
    rest = ["chr*"] if most is None else at_most(most - least, shared)
    return " ".join(('"\\""', *first, *rest, '"\\""'))


def _exactly(count: int) -> list[str]:
    chunks, left = divmod(count, CHUNK)
    parts = [f"chrs{{{chunks}}}"] if chunks else []
    return [*parts, f"chr{{{left}}}"] if left else parts


def at_most(count: int, shared: dict[str, str]) -> list[str]:
    """Chunks of characters, shared by all texts of a grammar: one engine looks at each place of a
    repetition by itself, and took seconds for ``chr{0,900}``."""
    chunks, left = divmod(count, CHUNK)
    if not chunks:
        return [f"chr{{0,{left}}}"] if left else []
    for place in range(1, chunks + 1):
        before = f"more{place - 1}a{left}" if place > 1 else f"chr{{0,{left}}}" if left else ""
        shared[f"more{place}a{left}"] = f"chrs {before} | chrp".replace("  ", " ")
    return [f"more{chunks}a{left}"]


def bounds(schema: Mapping[str, Any], place: str, what: str) -> tuple[int, int | None]:
    least, most = schema.get(f"min{what}", 0), schema.get(f"max{what}")
    for value in (least, 0 if most is None else most):
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise wrong(place, f"has a min{what} or max{what} that is no whole number")
    ceiling = ITEMS_MAX if what == "Items" else LENGTH_MAX
    if least > ceiling:
        raise cannot(place, f"min{what} over {ceiling}")
    if most is not None and most < least:
        raise wrong(place, f"has max{what} below min{what}")
    return least, None if most is None else min(most, ceiling)


def number_body(kind: str, schema: Mapping[str, Any], place: str) -> str:
    low, high = _whole_bounds(schema, place)
    if low is None and high is None:
        return "number" if kind == "number" else "whole"
    try:
        write = number_range if kind == "number" else integer_range
        return write(low, high)
    except ValueError as error:
        raise cannot(place, "bounds without a whole number between them") from error


def _whole_bounds(schema: Mapping[str, Any], place: str) -> tuple[int | None, int | None]:
    """The least and the greatest whole number that the bounds allow."""
    lows, highs = [], []
    for name in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"):
        value = schema.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong(place, f"has a {name} that is not a number")
        past = name.startswith("exclusive") and value == math.floor(value)
        if name.endswith("inimum"):
            lows.append(math.ceil(value) + past)
        else:
            highs.append(math.floor(value) - past)
    return max(lows, default=None), min(highs, default=None)
