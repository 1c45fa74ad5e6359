"""Shapes that take what is not known here, so that a newer client is not refused for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tokenbooth.protocols.shape import (
    Json,
    Record,
    Strangers,
    missing,
    unsupported,
    wrong_type,
)


@dataclass(frozen=True, slots=True)
class Anything:
    """Any value at all: a field that is taken and has no effect here."""

    wanted: str = "anything"

    def read(self, value: object, path: str, strangers: Strangers) -> object:
        return value

    def schema(self) -> Json:
        return {"anyOf": [{}]}


@dataclass(frozen=True, slots=True)
class Open:
    """One of several records, told apart by the string in the field ``tag``.

    A record of an unknown kind is a stranger: what is read of it is its tag alone. ``default`` is
    the kind where the tag is left out; without one it is required.
    """

    tag: str
    cases: Mapping[str, Record]
    refused: Mapping[str, str] = field(default_factory=dict)
    default: str | None = None
    wanted: str = "an object"

    def read(self, value: object, path: str, strangers: Strangers) -> Json:
        if not isinstance(value, dict):
            wrong_type(value, path, self.wanted)
        kind = value.get(self.tag, self.default)
        if kind is None:
            if self.default is None:
                missing(f"{path}.{self.tag}")
            kind = self.default
        if not isinstance(kind, str):
            wrong_type(kind, f"{path}.{self.tag}", "a string")
        if kind in self.refused:
            unsupported(f"{path}.{self.tag}", self.refused[kind])
        case = self.cases.get(kind)
        if case is None:
            strangers.add(f"{path}.{kind}")
            return {self.tag: kind}
        made: Json = case.read({**value, self.tag: kind}, path, strangers)
        return made

    def schema(self) -> Json:
        known = [*self.cases, *self.refused]
        unknown = {
            "type": "object",
            "properties": {self.tag: {"type": "string", "not": {"enum": known}}},
            "required": [self.tag],
        }
        return {"anyOf": [*(self._case(name) for name in self.cases), unknown]}

    def _case(self, name: str) -> Json:
        made = self.cases[name].schema()
        if name == self.default:
            made["required"] = [one for one in made["required"] if one != self.tag]
            said = made["properties"][self.tag]
            made["properties"][self.tag] = {
                **said,
                "type": ["string", "null"],
                "enum": [name, None],
            }
        return made
