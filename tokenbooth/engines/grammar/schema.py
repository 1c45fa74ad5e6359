"""Turns a JSON schema into a grammar (GBNF, which both engines read) whose every text is valid.

The grammar may allow less than the schema: no keys beyond the named ones, at most one blank between
parts, bounded numbers. It never allows more; what would need that is refused by name. Nothing of
the caller's schema reaches an engine but through here, since a schema that an engine cannot read
may stop its whole pipeline.
"""

import json
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from tokenbooth.core.problem import Problem
from tokenbooth.engines.grammar.leaves import (
    bounds,
    cannot,
    number_body,
    string_body,
    wrong,
)
from tokenbooth.engines.grammar.loosen import DECIDING, NARROWING, UNENFORCED, loosened

ANY_OBJECT = '{"type":"object"}'
SCHEMA_CHARACTERS_MAX = 65_536
NODES_MAX = 2_000
DEPTH_MAX = 32
LITERALS_MAX = 1_000
ITEMS_CHUNK = 8

_TYPES = ("string", "number", "integer", "boolean", "null", "object", "array")
_PLAIN = {"boolean": "bool", "null": '"null"'}


def rules_of(
    schema_json: str, prefix: str, told: set[str] | None = None
) -> tuple[str, tuple[str, ...]]:
    """The rule for ``schema_json`` by its name, and all rules it needs beside ``LEAVES``; their
    names begin with ``prefix``.

    With ``told`` no keyword is refused: those that are not enforced are added to it. Raises Problem
    INVALID_VALUE for what is no schema, UNSUPPORTED_FEATURE for a keyword that cannot be enforced;
    both name the place.
    """
    return _Writer(_read(schema_json), prefix, told).write()


class Budget:
    """How many more parts of schemas may be looked at; one for all schemas of a turn's tools."""

    def __init__(self, nodes: int) -> None:
        self.nodes = nodes


def object_rules_of(
    schema_json: str, prefix: str, told: set[str], budget: Budget | None = None
) -> tuple[str, tuple[str, ...]]:
    """As ``rules_of`` for a schema of objects; whatever it says, nothing but an object fits."""
    try:
        schema = _read(schema_json)
    except Problem:
        schema = {}
        told.add("a schema that cannot be read")
    kinds = schema.get("type", "object") if isinstance(schema, dict) else None
    if kinds != "object" and not (isinstance(kinds, list) and "object" in kinds):
        told.add("type")
        schema = {}
    elif not {"const", "enum"} & schema.keys():
        schema = {**schema, "type": "object"} if _is_bare(schema) else schema
    name, rules = _Writer(schema, prefix, told, budget).write()
    return ("anyobject", ()) if name == "value" else (name, rules)


def _is_bare(schema: Mapping[str, Any]) -> bool:
    return not set(DECIDING) & schema.keys()


def _read(schema_json: str) -> Any:
    if len(schema_json) > SCHEMA_CHARACTERS_MAX:
        raise wrong("#", f"is longer than {SCHEMA_CHARACTERS_MAX} characters")
    try:
        return msgspec.json.decode(schema_json)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
        raise wrong("#", "is not JSON") from error


def _literal(text: str) -> str:
    """Printable ASCII as a terminal."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _json(value: object) -> str:
    # ASCII escapes keep control characters and lone surrogates out of the grammar.
    return _literal(json.dumps(value, ensure_ascii=True, separators=(",", ":")))


class _Writer:
    """Writes one rule per schema; rules refer to each other by number."""

    def __init__(
        self, schema: object, prefix: str, told: set[str] | None, budget: Budget | None = None
    ) -> None:
        self._schema = schema
        self._prefix = prefix
        self._told = told
        self._rules: list[str] = []
        self._by_place: dict[str, str] = {}
        self._aliases: dict[str, list[str]] = {}
        self._shared: dict[str, str] = {}
        self._budget = budget or Budget(NODES_MAX)
        self._literals = 0

    def write(self) -> tuple[str, tuple[str, ...]]:
        name = self._reference("#", "#", 0)
        try:
            _refuse_circles(self._aliases, "#")
        except Problem:
            if self._told is None:
                raise
            self._told.add("a schema that refers to itself without end")
            return "value", ()
        shared = [f"{shared_name} ::= {body}" for shared_name, body in self._shared.items()]
        return name, (*self._rules, *shared)

    def _rule(self, body: str) -> str:
        name = f"{self._prefix}{len(self._rules)}"
        self._rules.append(f"{name} ::= {body}")
        return name

    def _one_of(self, names: list[str]) -> str:
        if len(names) == 1:
            return names[0]
        name = self._rule(" | ".join(names))
        self._aliases[name] = names
        return name

    def _node(self, schema: object, place: str, depth: int) -> str:
        """The name of the rule, or a terminal, for ``schema``."""
        self._budget.nodes -= 1
        if self._told is None:
            return self._exactly(schema, place, depth)
        if self._budget.nodes < 0:
            self._told.add("schemas over the size limit")
            return "value"
        try:
            return self._exactly(
                loosened(schema, partial(_found, self._schema), self._told), place, depth
            )
        except Problem:
            self._told.add("a schema too large or not well formed")
            return "value"

    def _exactly(self, schema: object, place: str, depth: int) -> str:
        if self._budget.nodes < 0 or depth > DEPTH_MAX:
            raise wrong(place, "is too deep or has too many parts")
        if schema is True:
            return "value"
        if not isinstance(schema, dict):
            raise wrong(place, "is neither an object nor true")
        for keyword in UNENFORCED:
            if keyword in schema:
                raise cannot(place, keyword)
        for keyword in DECIDING:
            if keyword in schema:
                return self._decided(keyword, schema, place, depth)
        return self._typed(schema, place, depth)

    def _decided(self, keyword: str, schema: Mapping[str, Any], place: str, depth: int) -> str:
        value = schema[keyword]
        kinds = schema.get("type") if keyword in ("const", "enum") else None
        beside = set(NARROWING) - {keyword} - ({"type"} if kinds is not None else set())
        for other in sorted(beside & schema.keys()):
            raise cannot(place, f"{keyword} beside {other}")
        if keyword == "$ref":
            return self._reference(value, place, depth)
        if keyword == "anyOf":
            return self._either(value, f"{place}/anyOf", depth)
        if keyword == "allOf":
            if not isinstance(value, list) or len(value) != 1:
                raise cannot(place, "allOf of other than one schema")
            return self._node(value[0], f"{place}/allOf/0", depth + 1)
        values = [value] if keyword == "const" else value
        return self._choice(values, kinds, place)

    def _reference(self, target: object, place: str, depth: int) -> str:
        found = _resolved(self._schema, target, place)
        assert isinstance(target, str)
        if target not in self._by_place:
            # The name is known before the body is written, so that a schema may hold itself.
            number = len(self._rules)
            name = self._by_place[target] = f"{self._prefix}{number}"
            self._rules.append("")
            body = self._node(found, target, depth + 1)
            self._rules[number] = f"{name} ::= {body}"
            self._aliases[name] = [body]
        return self._by_place[target]

    def _choice(self, values: object, kinds: object, place: str) -> str:
        if not isinstance(values, list) or not values:
            raise wrong(place, "has an enum that is not a list of values")
        self._literals += len(values)
        if self._literals > LITERALS_MAX:
            raise wrong(place, f"names more than {LITERALS_MAX} literal values in all")
        if kinds is not None:
            wanted = kinds if isinstance(kinds, list) else [kinds]
            values = [value for value in values if any(_is_a(value, kind) for kind in wanted)]
        if not values:
            raise wrong(place, "has an enum without a value of its type")
        return self._rule(" | ".join(map(_json, values)))

    def _either(self, schemas: object, place: str, depth: int) -> str:
        if not isinstance(schemas, list) or not schemas:
            raise wrong(place, "is not a list of schemas")
        names = [self._node(s, f"{place}/{i}", depth + 1) for i, s in enumerate(schemas)]
        return self._one_of(names)

    def _typed(self, schema: Mapping[str, Any], place: str, depth: int) -> str:
        kinds = schema.get("type", _kind_guess(schema))
        if kinds is None:
            return "value"
        kinds = kinds if isinstance(kinds, list) else [kinds]
        if not kinds or any(kind not in _TYPES for kind in kinds):
            raise wrong(place, "has a type that JSON schema does not know")
        names = [self._of_kind(kind, schema, place, depth) for kind in kinds]
        return self._one_of(names)

    def _of_kind(self, kind: str, schema: Mapping[str, Any], place: str, depth: int) -> str:
        if kind == "object":
            return self._object(schema, place, depth)
        if kind == "array":
            return self._array(schema, place, depth)
        if kind == "string":
            return self._rule(string_body(schema, place, self._shared))
        if kind in ("integer", "number"):
            return self._rule(number_body(kind, schema, place))
        return _PLAIN[kind]

    def _object(self, schema: Mapping[str, Any], place: str, depth: int) -> str:
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        if not isinstance(properties, dict) or not isinstance(required, list):
            raise wrong(place, "has properties that are no object, or required that is no list")
        extra = schema.get("additionalProperties", True)
        missing = [key for key in required if key not in properties]
        if missing:
            raise wrong(place, f"requires {missing[0]!r}, which properties do not describe")
        if not properties:
            return self._free_object(extra, place, depth)
        after = '"}"'
        first = after
        for key, part in reversed(properties.items()):
            name = self._node(part, f"{place}/properties/{key}", depth + 1)
            pair = f'{_json(key)} ":" blank {name}'
            # ``first`` writes this key and what follows when nothing stands before it, ``after``
            # when something does.
            if key in required:
                first = self._rule(f"{pair} {after}")
                after = self._rule(f'"," blank {pair} {after}')
            else:
                first = self._rule(f"{pair} {after} | {first}")
                after = self._rule(f'"," blank {pair} {after} | {after}')
        return self._rule(f'"{{" blank {first}')

    def _free_object(self, extra: object, place: str, depth: int) -> str:
        if extra is True:
            return "anyobject"
        if extra is False:
            return self._rule('"{" blank "}"')
        name = self._node(extra, f"{place}/additionalProperties", depth + 1)
        pair = f'str ":" blank {name}'
        return self._rule(f'"{{" blank ({pair} ("," blank {pair})*)? "}}"')

    def _array(self, schema: Mapping[str, Any], place: str, depth: int) -> str:
        if schema.get("uniqueItems") is True:
            raise cannot(place, "uniqueItems")
        heads = schema.get("prefixItems", [])
        if not isinstance(heads, list):
            raise wrong(place, "has prefixItems that are no list")
        if heads:
            names = [
                self._node(s, f"{place}/prefixItems/{i}", depth + 1) for i, s in enumerate(heads)
            ]
            least, most = bounds(schema, place, "Items")
            if least > len(heads) or (most is not None and most < len(heads)):
                raise cannot(place, "minItems or maxItems beside prefixItems")
            return self._rule('"[" blank ' + ' "," blank '.join(names) + ' "]"')
        name = self._node(schema.get("items", True), f"{place}/items", depth + 1)
        least, most = bounds(schema, place, "Items")
        if most == 0:
            return self._rule('"[" blank "]"')
        pair = self._rule(f'"," blank {name}')
        more = _repeated(self._rule, pair, max(0, least - 1), None if most is None else most - 1)
        body = " ".join((name, *more))
        return self._rule(f'"[" blank {body if least else f"({body})?"} "]"')


def _repeated(rule: Callable[[str], str], unit: str, least: int, most: int | None) -> list[str]:
    """``unit`` so many times, in chunks: see ``leaves.at_most``. ``rule`` writes one."""
    if max(least, most or 0) <= ITEMS_CHUNK:
        return [f"{unit}{{{least},{'' if most is None else most}}}"] if most != 0 else []
    full = rule(f"{unit}{{{ITEMS_CHUNK}}}")
    chunks, left = divmod(least, ITEMS_CHUNK)
    parts = [f"{full}{{{chunks}}}"] if chunks else []
    parts += [f"{unit}{{{left}}}"] if left else []
    if most is None:
        return [*parts, f"{unit}*"]
    chunks, left = divmod(most - least, ITEMS_CHUNK)
    rest = f"{unit}{{0,{left}}}" if left else ""
    part = rule(f"{unit}{{0,{ITEMS_CHUNK - 1}}}") if chunks else ""
    for _ in range(chunks):
        rest = rule(f"{full} {rest} | {part}".replace("  ", " "))
    return [*parts, rest] if rest else parts


def _found(root: object, target: object) -> object:
    try:
        return _resolved(root, target, "#")
    except Problem:
        return None


def _resolved(root: object, target: object, place: str) -> object:
    """What ``target`` names in a schema."""
    if not isinstance(target, str) or not (target == "#" or target.startswith("#/")):
        raise cannot(place, f"$ref to {target!r}")
    found: Any = root
    for step in target.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and step.isdigit() and int(step) < len(found):
            found = found[int(step)]
            continue
        if not isinstance(found, dict) or step not in found:
            raise wrong(place, f"refers to {target}, which is not there")
        found = found[step]
    return found


def _is_a(value: object, kind: object) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, int | float):
        return kind == "number" or (kind == "integer" and value == math.floor(value))
    names = {str: "string", type(None): "null", dict: "object", list: "array"}
    return names[type(value)] == kind


def _kind_guess(schema: Mapping[str, Any]) -> str | None:
    """The type that a schema without ``type`` speaks of; other types are left out."""
    if "properties" in schema or "required" in schema or "additionalProperties" in schema:
        return "object"
    if "items" in schema or "prefixItems" in schema:
        return "array"
    if "minLength" in schema or "maxLength" in schema or "format" in schema:
        return "string"
    return None


def _refuse_circles(aliases: Mapping[str, list[str]], place: str) -> None:
    """A rule that may begin with itself would never end for a parser."""
    clear: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise wrong(place, "refers to itself without end")
        if name not in clear:
            for follower in aliases.get(name, ()):
                walk(follower, (*path, name))
            clear.add(name)

    for name in aliases:
        walk(name, ())
