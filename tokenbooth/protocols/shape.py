"""Shapes of JSON values: one description reads a value, says what is wrong, and documents itself.

``read`` returns the value or raises a Problem whose ``param`` is the path of the offending field,
for example ``messages[2].content[0].text``. ``schema`` is the same rule as JSON Schema 2020-12, so
that what is documented and what is checked cannot differ. A field that may be left out may also be
null.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.protocols.strict_json import JSON_NAMES

Json = dict[str, Any]

_UNPRINTABLE = re.compile(r"[^A-Za-z0-9_.\[\]-]")
_PLACE = re.compile(r"\[\d+\]")
STRANGERS_MAX = 16
STRANGER_CHARS_MAX = 80


class Strangers:
    """Fields that no shape knows, met while reading: ignored, and told to the caller."""

    def __init__(self) -> None:
        self.paths: dict[str, None] = {}

    def add(self, path: str) -> None:
        if len(self.paths) < STRANGERS_MAX:
            shown = _UNPRINTABLE.sub("?", _PLACE.sub("[]", path[:STRANGER_CHARS_MAX]))
            self.paths[shown] = None


class Shape(Protocol):
    """What a JSON value must look like."""

    @property
    def wanted(self) -> str:
        """The noun for messages: ``a string``."""

    def read(self, value: object, path: str, strangers: Strangers) -> Any: ...

    def schema(self) -> Json: ...


@dataclass(frozen=True, slots=True)
class Text:
    """A string; ``unsupported`` are values that exist in the dialect and are not served here."""

    low: int = 0
    high: int | None = None
    pattern: str | None = None
    choices: tuple[str, ...] = ()
    unsupported: tuple[str, ...] = ()
    wanted: str = "a string"

    def read(self, value: object, path: str, strangers: Strangers) -> str:
        if not isinstance(value, str):
            wrong_type(value, path, self.wanted)
        if self.choices and value not in self.choices:
            if value in self.unsupported:
                unsupported(path, f"{value!r} is not served here")
            bad_value(path, f"must be one of {', '.join(self.choices)}")
        if len(value) < self.low:
            bad_value(
                path, "must not be empty" if self.low == 1 else f"is under {self.low} characters"
            )
        if self.high is not None and len(value) > self.high:
            bad_value(path, f"has {len(value)} characters; the most is {self.high}")
        if self.pattern is not None and re.fullmatch(self.pattern, value) is None:
            bad_value(path, f"must match {self.pattern}")
        return value

    def schema(self) -> Json:
        made: Json = {"type": "string"}
        if self.choices:
            made["enum"] = list(self.choices)
        if self.low:
            made["minLength"] = self.low
        if self.high is not None:
            made["maxLength"] = self.high
        if self.pattern is not None:
            made["pattern"] = self.pattern
        return made


@dataclass(frozen=True, slots=True)
class Whole:
    """An integer; ``1.0`` is one too, as JSON Schema has it, and a boolean is none."""

    low: int
    high: int
    wanted: str = "an integer"

    def read(self, value: object, path: str, strangers: Strangers) -> int:
        if isinstance(value, float):
            if not value.is_integer():
                raise Problem(
                    Code.WRONG_TYPE, f"{path} must be an integer, not a fraction.", param=path
                )
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            wrong_type(value, path, self.wanted)
        if not self.low <= value <= self.high:
            bad_value(path, f"must be from {self.low} to {self.high}")
        return value

    def schema(self) -> Json:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True, slots=True)
class Real:
    """A number from ``low`` to ``high``; ``open_low`` leaves ``low`` itself out."""

    low: float
    high: float
    open_low: bool = False
    wanted: str = "a number"

    def read(self, value: object, path: str, strangers: Strangers) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            wrong_type(value, path, self.wanted)
        if not self.low <= value <= self.high or (self.open_low and value == self.low):
            start = f"over {self.low:g}" if self.open_low else f"from {self.low:g}"
            bad_value(path, f"must be {start} to {self.high:g}")
        return float(value)

    def schema(self) -> Json:
        bound = "exclusiveMinimum" if self.open_low else "minimum"
        return {"type": "number", bound: self.low, "maximum": self.high}


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""

    wanted: str = "true or false"

    def read(self, value: object, path: str, strangers: Strangers) -> bool:
        if not isinstance(value, bool):
            wrong_type(value, path, self.wanted)
        return value

    def schema(self) -> Json:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class FreeObject:
    """Any object, read as its JSON text; a JSON schema of a caller, for example."""

    bytes_max: int
    wanted: str = "an object"

    def read(self, value: object, path: str, strangers: Strangers) -> str:
        if not isinstance(value, dict):
            wrong_type(value, path, self.wanted)
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        if (size := len(text.encode())) > self.bytes_max:
            bad_value(path, f"is {size} bytes of JSON; the most is {self.bytes_max}")
        return text

    def schema(self) -> Json:
        return {"type": "object"}


@dataclass(frozen=True, slots=True)
class Numbers:
    """An object of numbers, read as pairs in order of their key."""

    pattern: str
    item: Real
    count_max: int
    wanted: str = "an object of numbers"

    def read(self, value: object, path: str, strangers: Strangers) -> tuple[tuple[str, float], ...]:
        if not isinstance(value, dict):
            wrong_type(value, path, self.wanted)
        if len(value) > self.count_max:
            bad_value(path, f"has {len(value)} entries; the most is {self.count_max}")
        for name in value:
            if re.fullmatch(self.pattern, name) is None:
                bad_value(path, f"has a key that does not match {self.pattern}")
        return tuple(
            (name, self.item.read(inner, f"{path}.{name}", strangers))
            for name, inner in sorted(value.items())
        )

    def schema(self) -> Json:
        return {
            "type": "object",
            "propertyNames": {"pattern": self.pattern},
            "additionalProperties": self.item.schema(),
            "maxProperties": self.count_max,
        }


@dataclass(frozen=True, slots=True)
class Listed:
    """An array; read as a tuple."""

    item: Shape
    low: int
    high: int
    wanted: str = "an array"

    def read(self, value: object, path: str, strangers: Strangers) -> tuple[Any, ...]:
        if not isinstance(value, list):
            wrong_type(value, path, self.wanted)
        if len(value) < self.low:
            bad_value(path, "must not be empty")
        if len(value) > self.high:
            bad_value(path, f"has {len(value)} items; the most is {self.high}")
        item = self.item
        return tuple(
            item.read(one, f"{path}[{place}]", strangers) for place, one in enumerate(value)
        )

    def schema(self) -> Json:
        made: Json = {"type": "array", "items": self.item.schema(), "maxItems": self.high}
        if self.low:
            made["minItems"] = self.low
        return made


@dataclass(frozen=True, slots=True)
class Refused:
    """A field that exists in the dialect and is not served here; only null is accepted."""

    reason: str
    wanted: str = "null"

    def read(self, value: object, path: str, strangers: Strangers) -> NoReturn:
        unsupported(path, self.reason)

    def schema(self) -> Json:
        return {"type": "null"}


@dataclass(frozen=True, slots=True)
class Field:
    """``text`` is what the documentation says of it."""

    shape: Shape
    required: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """An object; read as a dict of the known fields that are present and not null.

    ``rule`` is added to the schema for what spans fields; whoever reads the record checks it.
    ``open_ended`` says that other fields are expected, and not strangers.
    """

    fields: Mapping[str, Field]
    rule: Mapping[str, Any] = field(default_factory=dict)
    open_ended: bool = False
    wanted: str = "an object"

    def read(self, value: object, path: str, strangers: Strangers) -> Json:
        if not isinstance(value, dict):
            wrong_type(value, path, self.wanted)
        made: Json = {}
        for name, inner in value.items():
            known = self.fields.get(name)
            inner_path = f"{path}.{name}" if path else name
            if known is None:
                if not self.open_ended:
                    strangers.add(inner_path)
            elif inner is not None or known.required:
                made[name] = known.shape.read(inner, inner_path, strangers)
        for name, known in self.fields.items():
            if known.required and name not in made:
                missing(f"{path}.{name}" if path else name)
        return made

    def schema(self) -> Json:
        properties = {}
        for name, known in self.fields.items():
            inner = known.shape.schema()
            if not known.required:
                inner = nullable(inner)
            properties[name] = {**inner, "description": known.text} if known.text else inner
        made: Json = {"type": "object", "properties": properties}
        required = [name for name, known in self.fields.items() if known.required]
        if required:
            made["required"] = required
        return {**made, **self.rule}


@dataclass(frozen=True, slots=True)
class Tagged:
    """One of several records, told apart by the string in the field ``tag``."""

    tag: str
    cases: Mapping[str, Record]
    unsupported: Mapping[str, str] = field(default_factory=dict)
    wanted: str = "an object"

    def read(self, value: object, path: str, strangers: Strangers) -> Json:
        if not isinstance(value, dict):
            wrong_type(value, path, self.wanted)
        tag_path = f"{path}.{self.tag}"
        if self.tag not in value:
            missing(tag_path)
        name = value[self.tag]
        if not isinstance(name, str):
            wrong_type(name, tag_path, "a string")
        case = self.cases.get(name)
        if case is None:
            if name in self.unsupported:
                unsupported(f"{path}.{name}" if name in value else tag_path, self.unsupported[name])
            bad_value(tag_path, f"must be one of {', '.join(self.cases)}")
        return case.read(value, path, strangers)

    def schema(self) -> Json:
        return {"anyOf": [case.schema() for case in self.cases.values()]}


def tagged(
    tag: str, cases: Mapping[str, Record], unsupported: Mapping[str, str] | None = None
) -> Tagged:
    """Records that each get the tag as their first field."""
    made = {
        name: Record(
            {tag: Field(Text(choices=(name,)), required=True), **record.fields}, record.rule
        )
        for name, record in cases.items()
    }
    return Tagged(tag, made, unsupported or {})


@dataclass(frozen=True, slots=True)
class Either:
    """One shape for strings and another for arrays or objects."""

    text: Text
    other: Shape

    @property
    def wanted(self) -> str:
        return f"{self.text.wanted} or {self.other.wanted}"

    def read(self, value: object, path: str, strangers: Strangers) -> Any:
        if isinstance(value, str):
            return self.text.read(value, path, strangers)
        if isinstance(value, list if isinstance(self.other, Listed) else dict):
            return self.other.read(value, path, strangers)
        return wrong_type(value, path, self.wanted)

    def schema(self) -> Json:
        other = self.other.schema()
        return {"anyOf": [self.text.schema(), *other.get("anyOf", [other])]}


def nullable(schema: Json) -> Json:
    """The same schema, with null allowed."""
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    if schema["type"] == "null":
        return schema
    made = {**schema, "type": [schema["type"], "null"]}
    if "enum" in schema:
        made["enum"] = [*schema["enum"], None]
    return made


def wrong_type(value: object, path: str, wanted: str) -> NoReturn:
    got = JSON_NAMES[type(value)]
    raise Problem(Code.WRONG_TYPE, f"{path} must be {wanted}, not {got}.", param=path)


def bad_value(path: str, says: str) -> NoReturn:
    raise Problem(Code.INVALID_VALUE, f"{path} {says}.", param=path)


def missing(path: str) -> NoReturn:
    raise Problem(Code.MISSING_FIELD, f"{path} is required.", param=path)


def unsupported(path: str, reason: str) -> NoReturn:
    raise Problem(Code.UNSUPPORTED_FEATURE, f"{path}: {reason}.", param=path)
