"""Whether a JSON text follows a schema, and if not, where and why; pure and bounded.

Patterns and formats are not looked at: a pattern of a caller's may take its time without end.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, NoReturn

STEPS_MAX = 50_000
DEPTH_MAX = 100
PLACE_CHARACTERS_MAX = 100
UNCHECKED = ("pattern", "format", "patternProperties")

Schema = Mapping[str, Any]


class _Broken(Exception):
    """A place that does not follow its schema."""

    def __init__(self, place: str, why: str) -> None:
        super().__init__(f"{place[:PLACE_CHARACTERS_MAX]} {why}")


class _Tired(Exception):
    """Checking would take too long, or the schema is none."""


def violation(schema_json: str, text: str) -> str | None:
    """Where and why ``text`` breaks the schema; ``None`` where nothing is found.

    What cannot be checked within bounds is not held against the text.
    """
    try:
        value = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return "it is not one JSON value"
    try:
        schema = json.loads(schema_json or "{}")
        _Checker(schema).check(schema, value, "$", 0)
    except _Broken as broken:
        return str(broken)
    except (_Tired, ValueError, TypeError, AttributeError, RecursionError):
        return None
    return None


def unchecked(schema_json: str) -> tuple[str, ...]:
    """The keywords of a schema that ``violation`` does not look at."""
    return tuple(word for word in UNCHECKED if f'"{word}"' in schema_json)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


class _Checker:
    def __init__(self, root: object) -> None:
        self._root = root
        self._steps_left = STEPS_MAX

    def check(self, schema: object, value: object, place: str, depth: int) -> None:
        """Raises _Broken or _Tired."""
        self._steps_left -= 1
        if self._steps_left < 0 or depth > DEPTH_MAX:
            raise _Tired
        if schema is True:
            return
        if schema is False:
            raise _Broken(place, "may not be there")
        if not isinstance(schema, dict):
            raise _Tired
        if "$ref" in schema:
            self.check(self._resolve(schema["$ref"]), value, place, depth + 1)
        _plain(schema, value, place)
        self._together(schema, value, place, depth)
        if isinstance(value, dict):
            self._object(schema, value, place, depth)
        elif isinstance(value, list):
            self._array(schema, value, place, depth)

    def _fits(self, schema: object, value: object, depth: int) -> bool:
        try:
            self.check(schema, value, "$", depth + 1)
        except _Broken:
            return False
        return True

    def _together(self, schema: Schema, value: object, place: str, depth: int) -> None:
        for part in _listed(schema, "allOf"):
            self.check(part, value, place, depth + 1)
        fits: Callable[[object], bool] = lambda part: self._fits(part, value, depth)  # noqa: E731
        if "anyOf" in schema and not any(map(fits, _listed(schema, "anyOf"))):
            raise _Broken(place, "fits none of anyOf")
        if "oneOf" in schema and sum(map(fits, _listed(schema, "oneOf"))) != 1:
            raise _Broken(place, "does not fit exactly one of oneOf")
        if "not" in schema and fits(schema["not"]):
            raise _Broken(place, "fits what it must not")
        if "if" in schema:
            branch = "then" if fits(schema["if"]) else "else"
            self.check(schema.get(branch, True), value, place, depth + 1)

    def _object(self, schema: Schema, value: Schema, place: str, depth: int) -> None:
        properties = schema.get("properties", {})
        if not isinstance(properties, dict):
            raise _Tired
        for name in _listed(schema, "required"):
            if name not in value:
                raise _Broken(place, f"lacks {name!r}")
        _counted(schema, len(value), "Properties", place)
        names = schema.get("propertyNames", True)
        # Names that only a pattern describes are left alone.
        extra = True if "patternProperties" in schema else schema.get("additionalProperties", True)
        for name, inner in value.items():
            self.check(names, name, place, depth + 1)
            rule = properties.get(name, extra)
            self.check(rule, inner, f"{place}.{name}", depth + 1)
        for name, needed in schema.get("dependentRequired", {}).items():
            if name in value and any(other not in value for other in needed):
                raise _Broken(place, f"has {name!r} without what it needs")

    def _array(self, schema: Schema, value: Sequence[object], place: str, depth: int) -> None:
        _counted(schema, len(value), "Items", place)
        rest = schema.get("items", True)
        heads = _listed(schema, "prefixItems")
        if isinstance(rest, list):
            heads, rest = rest, schema.get("additionalItems", True)
        for at, inner in enumerate(value):
            rule = heads[at] if at < len(heads) else rest
            self.check(rule, inner, f"{place}[{at}]", depth + 1)
        if schema.get("uniqueItems") is True and len(set(map(_key, value))) < len(value):
            raise _Broken(place, "holds a value twice")
        if "contains" in schema:
            least = schema.get("minContains", 1)
            found = sum(self._fits(schema["contains"], inner, depth) for inner in value)
            if not least <= found <= schema.get("maxContains", len(value)):
                raise _Broken(place, "contains too few or too many of what it must")

    def _resolve(self, target: object) -> object:
        if not isinstance(target, str) or not (target == "#" or target.startswith("#/")):
            raise _Tired
        found: Any = self._root
        for step in target.split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and step.isdigit() and int(step) < len(found):
                found = found[int(step)]
            elif isinstance(found, dict) and step in found:
                found = found[step]
            else:
                raise _Tired
        return found


def _listed(schema: Schema, keyword: str) -> Sequence[Any]:
    found = schema.get(keyword, ())
    if not isinstance(found, list | tuple):
        raise _Tired
    return found


def _plain(schema: Schema, value: object, place: str) -> None:
    kinds = schema.get("type", ())
    wanted = kinds if isinstance(kinds, list | tuple) else [kinds]
    if "type" in schema and not any(_is_a(value, kind) for kind in wanted):
        raise _Broken(place, f"is not of type {' or '.join(map(str, wanted))}")
    if "const" in schema and _key(schema["const"]) != _key(value):
        raise _Broken(place, "is not the one value that it may be")
    if "enum" in schema and _key(value) not in map(_key, _listed(schema, "enum")):
        raise _Broken(place, "is none of the values that it may be")
    if isinstance(value, str):
        _counted(schema, len(value), "Length", place)
    if isinstance(value, int | float) and not isinstance(value, bool):
        _measured(schema, value, place)


def _measured(schema: Schema, value: float, place: str) -> None:
    if not math.isfinite(value):
        raise _Broken(place, "is too large")
    for name, broken in (
        ("minimum", lambda bound: value < bound),
        ("maximum", lambda bound: value > bound),
        ("exclusiveMinimum", lambda bound: value <= bound),
        ("exclusiveMaximum", lambda bound: value >= bound),
        ("multipleOf", lambda step: Fraction(str(value)) % Fraction(str(step)) != 0),
    ):
        bound = schema.get(name)
        if bound is None or isinstance(bound, bool) or not isinstance(bound, int | float):
            continue
        if name == "multipleOf" and not (math.isfinite(bound) and bound > 0):
            continue
        if broken(bound):
            raise _Broken(place, f"breaks {name} {bound}")


def _counted(schema: Schema, count: int, what: str, place: str) -> None:
    least, most = schema.get(f"min{what}", 0), schema.get(f"max{what}", count)
    if not isinstance(least, int | float) or not isinstance(most, int | float):
        raise _Tired
    if not least <= count <= most:
        raise _Broken(place, f"breaks min{what} or max{what}")


def _is_a(value: object, kind: object) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, int | float):
        return kind == "number" or (kind == "integer" and value == value // 1)
    names = {str: "string", type(None): "null", dict: "object", list: "array"}
    return names[type(value)] == kind


def _key(value: object) -> object:
    """Equal for values that JSON schema calls equal, and fit for a set."""
    if isinstance(value, bool) or value is None:
        return (type(value).__name__, value)
    if isinstance(value, dict):
        return ("object", frozenset((name, _key(inner)) for name, inner in value.items()))
    if isinstance(value, list):
        return ("array", tuple(map(_key, value)))
    return value
