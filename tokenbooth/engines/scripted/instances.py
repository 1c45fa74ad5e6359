"""A minimal valid instance of a simple JSON schema."""

import math
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

DEPTH_MAX = 32
LENGTH_MAX = 1000
STEPS_MAX = 10_000
_BEYOND = ("pattern", "format", "not", "if", "patternProperties", "propertyNames", "contains")

_Number = int | float
_Length = Annotated[int, Meta(ge=0, le=LENGTH_MAX)]


class _Schema(Struct, rename={"ref": "$ref"}):
    """The words of JSON Schema that are understood."""

    type: str | list[str] | None = None
    ref: str | None = None
    const: Any = UNSET
    enum: list[Any] = []
    anyOf: list[Any] = []  # noqa: N815 (the wire's own word)
    oneOf: list[Any] = []  # noqa: N815
    allOf: list[dict[str, Any]] = []  # noqa: N815
    properties: dict[str, Any] = {}
    required: list[str] = []
    items: Any = True
    minItems: _Length = 0  # noqa: N815
    minLength: _Length = 0  # noqa: N815
    minimum: _Number = -math.inf
    maximum: _Number = math.inf
    exclusiveMinimum: _Number = -math.inf  # noqa: N815
    exclusiveMaximum: _Number = math.inf  # noqa: N815
    multipleOf: Annotated[int, Meta(gt=0)] | Annotated[float, Meta(gt=0)] | None = None  # noqa: N815


def minimal_instance(schema_json: str, *, loosely: bool = False) -> object:
    """The smallest value that ``schema_json`` allows; an empty text allows anything.

    ``loosely``: words that are not understood are overlooked. Raises Problem INVALID_VALUE when the
    text is no schema, and UNSUPPORTED_FEATURE when the schema uses words that this engine does not
    understand or asks for more than it builds.
    """
    try:
        root = msgspec.json.decode(schema_json.encode("utf-8", "replace") or b"{}")
    except (msgspec.DecodeError, RecursionError) as error:
        raise _wrong("not valid JSON") from error
    return _Builder(root, loosely=loosely).build(root, 0)


class _Builder:
    """``steps_left`` bounds the work: schemas can ask for exponentially much."""

    def __init__(self, root: object, *, loosely: bool) -> None:
        self._root = root
        self._loosely = loosely
        self._steps_left = STEPS_MAX

    def build(self, words: object, depth: int) -> object:
        self._steps_left -= 1
        if depth > DEPTH_MAX or self._steps_left < 0:
            raise _beyond("recursion without an end")
        if words is True:
            return {}
        schema = _read(words, loosely=self._loosely)
        if schema.ref is not None:
            return self.build(_resolve(schema.ref, self._root), depth + 1)
        if schema.const is not UNSET:
            return schema.const
        if schema.enum:
            return schema.enum[0]
        if options := schema.anyOf or schema.oneOf:
            return self._first(options, depth)
        if schema.allOf:
            return self.build(_merged(words, schema.allOf), depth + 1)
        return self._by_type(schema, depth)

    def _first(self, options: list[Any], depth: int) -> object:
        """The first alternative that can be built: recursive schemas end in a later one."""
        problem = _beyond("an empty choice")
        for option in options:
            try:
                return self.build(option, depth + 1)
            except Problem as refused:
                problem = refused
        raise problem

    def _by_type(self, schema: _Schema, depth: int) -> object:
        match _type_of(schema):
            case "object":
                names = dict.fromkeys(schema.required)
                return {n: self.build(schema.properties.get(n, True), depth + 1) for n in names}
            case "array":
                return [self.build(schema.items, depth + 1) for _ in range(schema.minItems)]
            case "string":
                return "x" * schema.minLength
            case "integer":
                return _number(schema, whole=True)
            case "number":
                return _number(schema, whole=False)
            case "boolean":
                return False
            case "null":
                return None
        raise _wrong(f"without a known type: {schema.type!r}")


def _read(words: object, *, loosely: bool) -> _Schema:
    if not isinstance(words, dict):
        raise _wrong("not an object")
    for word in _BEYOND:
        if word in words and not loosely:
            raise _beyond(word)
    try:
        return msgspec.convert(words, _Schema)
    except msgspec.ValidationError as error:
        raise _wrong(f"wrong: {error}") from error


def _merged(words: Any, parts: list[dict[str, Any]]) -> dict[str, Any]:
    whole = {key: value for key, value in words.items() if key != "allOf"}
    for part in parts:
        whole |= part
    return whole


def _type_of(schema: _Schema) -> str:
    kinds = [schema.type] if isinstance(schema.type, str) else schema.type or []
    if not kinds and schema.type is None:
        return "object" if schema.properties or schema.required else "null"
    return "null" if "null" in kinds else next(iter(kinds), "")


def _number(schema: _Schema, *, whole: bool) -> _Number:
    """Zero when it is allowed, else a value next to the nearer bound."""
    least = max(schema.minimum, schema.exclusiveMinimum)
    most = min(schema.maximum, schema.exclusiveMaximum)
    step = schema.multipleOf or 1
    start = least if least > 0 else min(most, 0)
    up = math.ceil(start / step) * step
    down = math.floor(start / step) * step
    for candidate in (up, down, up + step, down - step):
        if _fits(candidate, schema) and (not whole or candidate == int(candidate)):
            return int(candidate) if candidate == int(candidate) else candidate
    middle = (least + most) / 2
    if not whole and schema.multipleOf is None and _fits(middle, schema):
        return middle
    raise _beyond("a number range without a simple value")


def _fits(candidate: _Number, schema: _Schema) -> bool:
    inside = schema.minimum <= candidate <= schema.maximum
    return inside and schema.exclusiveMinimum < candidate < schema.exclusiveMaximum


def _resolve(ref: str, root: object) -> object:
    """A local JSON pointer such as ``#/$defs/node``."""
    found = root
    start, *steps = ref.split("/")
    if start != "#":
        raise _beyond("a reference to another document")
    for step in steps:
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, dict) or name not in found:
            raise _wrong("without the part that its reference names")
        found = found[name]
    return found


def _wrong(what: str) -> Problem:
    return Problem(Code.INVALID_VALUE, f"The JSON schema is {what}.", param="schema")


def _beyond(word: str) -> Problem:
    return Problem(
        Code.UNSUPPORTED_FEATURE,
        f"The scripted engine builds only simple JSON schemas; this one needs {word}.",
        param="schema",
    )
