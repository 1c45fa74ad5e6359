"""A minimal valid instance of a simple JSON schema."""

import json
import math
from collections.abc import Mapping
from typing import Any

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

DEPTH_MAX = 32
ITEMS_MAX = 1000
_UNKNOWN = ("pattern", "format", "not", "if", "patternProperties", "propertyNames", "contains")


def minimal_instance(schema_json: str) -> object:
    """The smallest value that ``schema_json`` allows.

    Raises Problem INVALID_VALUE when the text is no schema, and UNSUPPORTED_FEATURE when the schema
    uses words that this engine does not understand or asks for more than it builds.
    """
    try:
        root = json.loads(schema_json or "{}")
    except ValueError as error:
        raise Problem(
            Code.INVALID_VALUE, "The JSON schema is not valid JSON.", param="schema"
        ) from error
    return _instance(root, root, 0)


def _instance(schema: object, root: object, depth: int) -> object:
    if schema is True:
        return {}
    if not isinstance(schema, dict):
        raise Problem(Code.INVALID_VALUE, "A JSON schema must be an object.", param="schema")
    if depth > DEPTH_MAX:
        raise _beyond("recursion without an end")
    if "$ref" in schema:
        return _instance(_resolve(schema["$ref"], root), root, depth + 1)
    for word in _UNKNOWN:
        if word in schema:
            raise _beyond(word)
    if "const" in schema:
        return schema["const"]
    if options := schema.get("enum"):
        return options[0]
    for word in ("anyOf", "oneOf"):
        if options := schema.get(word):
            return _first(options, root, depth)
    if parts := schema.get("allOf"):
        merged = {**schema, **{key: value for part in parts for key, value in part.items()}}
        return _instance({k: v for k, v in merged.items() if k != "allOf"}, root, depth + 1)
    return _by_type(schema, root, depth)


def _first(options: list[object], root: object, depth: int) -> object:
    """The first alternative that can be built: recursive schemas end in a later one."""
    problem = _beyond("an empty choice")
    for option in options:
        try:
            return _instance(option, root, depth + 1)
        except Problem as refused:
            problem = refused
    raise problem


def _by_type(schema: Mapping[str, Any], root: object, depth: int) -> object:
    kind = schema.get("type", "object" if "properties" in schema else "null")
    if isinstance(kind, list):
        kind = "null" if "null" in kind else kind[0]
    match kind:
        case "object":
            properties = schema.get("properties", {})
            names = schema.get("required", [])
            return {n: _instance(properties.get(n, True), root, depth + 1) for n in names}
        case "array":
            count = _bounded(schema.get("minItems", 0))
            return [_instance(schema.get("items", True), root, depth + 1) for _ in range(count)]
        case "string":
            return "x" * _bounded(schema.get("minLength", 0))
        case "integer" | "number":
            return _number(schema, whole=kind == "integer")
        case "boolean":
            return False
        case "null":
            return None
    raise Problem(
        Code.INVALID_VALUE, f"The JSON schema names no known type: {kind!r}.", param="schema"
    )


def _number(schema: Mapping[str, Any], *, whole: bool) -> int | float:
    """Zero when it is allowed, else the value next to the nearer bound."""
    step = schema.get("multipleOf", 1)
    least, most = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    above, below = (
        schema.get("exclusiveMinimum", -math.inf),
        schema.get("exclusiveMaximum", math.inf),
    )
    start = max(least, above, 0) if max(least, above) > 0 else min(most, below, 0)
    towards = 1 if start >= 0 else -1
    nearest = (math.ceil(start / step) if towards > 0 else math.floor(start / step)) * step
    for candidate in (
        nearest,
        nearest + towards * step,
        start,
        (max(least, above) + min(most, below)) / 2,
    ):
        fits = least <= candidate <= most and above < candidate < below
        if fits and math.isfinite(candidate) and candidate % step in (0, 0.0):
            return int(candidate) if whole or candidate == int(candidate) else candidate
        if fits and not whole and "multipleOf" not in schema:
            return float(candidate)
    raise _beyond("a number range without a simple value")


def _bounded(count: object) -> int:
    if not isinstance(count, int) or not 0 <= count <= ITEMS_MAX:
        raise _beyond(f"a length above {ITEMS_MAX}")
    return count


def _resolve(ref: object, root: object) -> object:
    """A local JSON pointer such as ``#/$defs/node``."""
    found = root
    steps = ref.split("/") if isinstance(ref, str) else [""]
    if steps[0] != "#":
        raise _beyond("a reference to another document")
    for step in steps[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, dict) or name not in found:
            raise Problem(Code.INVALID_VALUE, f"The schema has no {ref}.", param="schema")
        found = found[name]
    return found


def _beyond(word: str) -> Problem:
    return Problem(
        Code.UNSUPPORTED_FEATURE,
        f"The scripted engine builds only simple JSON schemas; this one needs {word}.",
        param="schema",
    )
