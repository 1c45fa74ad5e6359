"""Shapes that only this dialect needs: what may be skipped, and what is kept."""

from collections.abc import Mapping
from dataclasses import dataclass

from tokenbooth.protocols.shape import (
    Field,
    Json,
    Record,
    Strangers,
    Text,
    bad_value,
    missing,
    unsupported,
    wrong_type,
)

SKIPPED = "skipped"
_ANY_JSON = [{"type": name} for name in ("string", "number", "boolean", "object", "array")]


@dataclass(frozen=True, slots=True)
class Anything:
    """A field of a returned item that tells an engine nothing, whatever it holds."""

    wanted: str = "a value"

    def read(self, value: object, path: str, strangers: Strangers) -> object:
        return value

    def schema(self) -> Json:
        return {"anyOf": list(_ANY_JSON)}


@dataclass(frozen=True, slots=True)
class TextMap:
    """An object of short strings."""

    count_max: int
    key_chars_max: int
    value: Text
    wanted: str = "an object of strings"

    def read(self, value: object, path: str, strangers: Strangers) -> dict[str, str]:
        if not isinstance(value, dict):
            wrong_type(value, path, self.wanted)
        if len(value) > self.count_max:
            bad_value(path, f"has {len(value)} entries; the most is {self.count_max}")
        if any(len(name) > self.key_chars_max for name in value):
            bad_value(path, f"has a key of more than {self.key_chars_max} characters")
        return {
            name: self.value.read(inner, f"{path}.{name}", strangers)
            for name, inner in value.items()
        }

    def schema(self) -> Json:
        return {
            "type": "object",
            "propertyNames": {"maxLength": self.key_chars_max},
            "additionalProperties": self.value.schema(),
            "maxProperties": self.count_max,
        }


@dataclass(frozen=True, slots=True)
class Kinds:
    """One of several records, told apart by ``type``; of a kind that is not among ``cases`` only
    its name is read, as ``{"skipped": name}``, for whoever reads on to say so.

    ``untyped`` names the case of an object without a type by the field that gives it away.
    """

    cases: Mapping[str, Record]
    refused: Mapping[str, str]
    untyped: Mapping[str, str]
    wanted: str = "an object"

    def read(self, value: object, path: str, strangers: Strangers) -> Json:
        if not isinstance(value, dict):
            wrong_type(value, path, self.wanted)
        name = value.get("type")
        if name is None:
            given = [field for field in self.untyped if value.get(field) is not None]
            name = self.untyped[given[0]] if given else None
        if name is None:
            missing(f"{path}.type")
        if not isinstance(name, str):
            wrong_type(name, f"{path}.type", "a string")
        if name in self.refused:
            unsupported(f"{path}.type", self.refused[name])
        case = self.cases.get(name)
        if case is None:
            return {SKIPPED: name}
        fields = {key: inner for key, inner in value.items() if key != "type"}
        return {**case.read(fields, path, strangers), "type": name}

    def schema(self) -> Json:
        known = [self._schema(name, case) for name, case in self.cases.items()]
        taken = {"enum": [*self.cases, *self.refused]}
        other = {
            "type": "object",
            "properties": {"type": {"type": "string", "not": taken}},
            "required": ["type"],
        }
        return {"anyOf": [*known, other]}

    def _schema(self, name: str, case: Record) -> Json:
        loose = name in self.untyped.values()
        fields = {"type": Field(Text(choices=(name,)), required=not loose), **case.fields}
        return Record(fields, case.rule).schema()
