"""Leaves out of a JSON schema what a grammar cannot enforce, one place at a time; pure.

What is left never forbids a value that the schema allows on account of a keyword left out; the
keywords themselves are told, so that a caller hears of them and what was said can be checked.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tokenbooth.core.problem import Problem
from tokenbooth.engines.grammar.leaves import FORMATS, ITEMS_MAX, LENGTH_MAX, number_body

UNENFORCED = (
    "contains", "dependencies", "dependentRequired", "dependentSchemas", "else", "if",
    "maxProperties", "minProperties", "multipleOf", "not", "oneOf", "pattern",
    "patternProperties", "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
    "$dynamicRef",
)  # fmt: skip
# Keywords that decide alone; what else would narrow the value may not stand beside them.
DECIDING = ("$ref", "const", "enum", "anyOf", "allOf")
NARROWING = (
    *DECIDING, "additionalProperties", "exclusiveMaximum", "exclusiveMinimum", "items",
    "maxItems", "maxLength", "maximum", "minItems", "minLength", "minimum", "prefixItems",
    "properties", "required", "type", "uniqueItems",
)  # fmt: skip
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_LENGTHS = ("minLength", "maxLength")
_COUNTS = ("minItems", "maxItems")
_TRIVIAL: tuple[object, ...] = ({}, True, {"type": "string"})

# More branches than these are not merged with what stands beside them: that costs time.
MERGED_MAX = 16

Schema = dict[str, Any]
Resolve = Callable[[object], object]


def loosened(schema: object, resolve: Resolve, told: set[str]) -> Schema | bool:
    """``schema`` with its own keywords, not those of its parts, made fit for a grammar.

    ``resolve`` gives what a ``$ref`` names, ``None`` where there is nothing; ``told`` gets the
    name of each keyword that is not enforced.
    """
    if schema is True:
        return True
    if not isinstance(schema, dict):
        told.add("a schema that allows nothing")
        return True
    kept = dict(schema)
    if isinstance(kept.get("items"), list):
        kept.setdefault("prefixItems", kept.pop("items"))
    _merge_all(kept, resolve, told)
    if kept.get("oneOf") and "anyOf" not in kept:
        told.add("oneOf")
        kept["anyOf"] = kept.pop("oneOf")
    for keyword in (*UNENFORCED, "uniqueItems"):
        if keyword in kept and not _says_nothing(keyword, kept.pop(keyword)):
            told.add(keyword)
    _decide(kept, resolve, told)
    _required(kept, told)
    _sizes(kept, told)
    return kept


def _says_nothing(keyword: str, value: object) -> bool:
    """Such as ``propertyNames`` that any name has."""
    return (keyword == "propertyNames" and value in _TRIVIAL) or value is False


def _merge_all(kept: Schema, resolve: Resolve, told: set[str]) -> None:
    parts = kept.get("allOf")
    if parts is None:
        return
    beside = set(NARROWING) & (kept.keys() - {"allOf"})
    if not isinstance(parts, list) or not parts:
        told.add("allOf")
        del kept["allOf"]
    elif len(parts) > 1 or beside:
        told.add("allOf")
        del kept["allOf"]
        for part in parts:
            _merge(kept, _followed(part, resolve))


def _followed(part: object, resolve: Resolve) -> Mapping[str, Any]:
    if isinstance(part, dict) and set(part) & set(NARROWING) == {"$ref"}:
        part = resolve(part["$ref"])
    return part if isinstance(part, dict) else {}


def _merge(into: Schema, part: Mapping[str, Any]) -> None:
    """Both at once: properties and what is required add up, of other keywords the part's wins."""
    for keyword, value in part.items():
        mine = into.get(keyword)
        if keyword == "properties" and isinstance(mine, dict) and isinstance(value, dict):
            into[keyword] = {**mine, **value}
        elif keyword == "required" and isinstance(mine, list) and isinstance(value, list):
            into[keyword] = [*mine, *(name for name in value if name not in mine)]
        else:
            into[keyword] = value


def _decide(kept: Schema, resolve: Resolve, told: set[str]) -> None:
    for keyword in DECIDING:
        if keyword not in kept:
            continue
        own = {keyword, "type"} if keyword in ("const", "enum") else {keyword}
        beside = {name: kept[name] for name in NARROWING if name in kept and name not in own}
        if not beside:
            return
        told.add(f"{keyword} beside {min(beside)}")
        branches = kept[keyword]
        for name in beside:
            del kept[name]
        if keyword == "anyOf" and isinstance(branches, list) and len(branches) <= MERGED_MAX:
            kept["anyOf"] = [_both(beside, branch, resolve) for branch in branches]
        return


def _both(beside: Mapping[str, Any], branch: object, resolve: Resolve) -> Schema:
    merged = dict(beside)
    _merge(merged, _followed(branch, resolve))
    return merged


def _required(kept: Schema, told: set[str]) -> None:
    if not isinstance(kept.get("properties", {}), dict):
        told.add("properties")
        del kept["properties"]
    if "required" not in kept:
        return
    names = kept["required"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        told.add("required")
        del kept["required"]
        return
    described = kept.get("properties", {})
    extra = kept.get("additionalProperties", True)
    others = {name: extra or True for name in names if name not in described}
    if others:
        kept["properties"] = {**described, **others}


def _sizes(kept: Schema, told: set[str]) -> None:
    kinds = kept.get("type", "string")
    texts = kinds == "string" or (isinstance(kinds, list) and "string" in kinds)
    shaped = str(kept.get("format")) in FORMATS
    if "format" in kept and texts and not shaped:
        told.add("format")
    _drop(kept, _COUNTS, told, lambda: "prefixItems" in kept)
    _drop(kept, _LENGTHS, told, lambda: shaped)
    for name, most in (("minItems", ITEMS_MAX), ("minLength", LENGTH_MAX)):
        _drop(kept, (name,), told, lambda name=name, most=most: _over(kept[name], most))  # type: ignore[misc]
    _drop(kept, _BOUNDS, told, lambda: not _bounded(kept))


def _drop(kept: Schema, names: tuple[str, ...], told: set[str], when: Callable[[], bool]) -> None:
    found = [name for name in names if name in kept]
    if found and when():
        told.update(found)
        for name in found:
            del kept[name]


def _over(value: object, most: int) -> bool:
    return not isinstance(value, int) or value > most


def _bounded(schema: Schema) -> bool:
    """Whether a grammar can keep numbers between the bounds."""
    try:
        number_body("number", schema, "#")
    except (Problem, OverflowError, ValueError):
        return False
    return True
