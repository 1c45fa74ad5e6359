"""What a caller asked of the form of an answer, who keeps it, and how the answer says so."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum

from tokenbooth.core.delta import Delta
from tokenbooth.core.features import Capabilities, Feature
from tokenbooth.core.noun import noun
from tokenbooth.core.turn import (
    FormatKind,
    Message,
    OutputFormat,
    Role,
    TextPart,
    ToolMode,
    Turn,
)
from tokenbooth.engines.grammar.answer import unenforced
from tokenbooth.engines.grammar.conform import unchecked, violation
from tokenbooth.engines.grammar.schema import ANY_OBJECT
from tokenbooth.protocols.dialect import Dialect, Note

STRUCTURED = "x-tokenbooth-structured"
ARGUMENTS = "x-tokenbooth-tool-arguments"
_FEATURES = {
    FormatKind.JSON_OBJECT: Feature.JSON_OBJECT,
    FormatKind.JSON_SCHEMA: Feature.JSON_SCHEMA,
}
_IN_WORDS = "Answer with one JSON value and nothing else. It must follow this JSON schema:\n"
_AGAIN = "This answer does not follow the JSON schema: {why}. Write the whole JSON value again."


class Kept(StrEnum):
    """How the form of an answer was kept: by the engine with each token, by a look at the whole
    answer, by asking once more, not at all; or nobody looked, since it was streamed."""

    CONSTRAINED = "constrained"
    VALIDATED = "validated"
    REPAIRED = "repaired"
    INVALID = "invalid"
    ASKED = "asked"


@noun
class Shape:
    """``schema_json`` of the answer is ``None`` where any text will do; ``tools`` are the schemas
    of arguments by name. What is ``constrained`` needs no look afterwards."""

    schema_json: str | None = None
    tools: Mapping[str, str] | None = None
    constrained: bool = False
    tools_constrained: bool = False

    @property
    def to_check(self) -> bool:
        """Whether a whole answer must be looked at."""
        form = self.schema_json is not None and not self.constrained
        return form or (bool(self.tools) and not self.tools_constrained)

    def headers(self, kept: Kept | None, arguments: Kept | None) -> tuple[tuple[str, str], ...]:
        """Of an answer of this shape; ``kept`` and ``arguments`` say what a look has found."""
        said = []
        if self.schema_json is not None:
            known = Kept.CONSTRAINED if self.constrained else Kept.ASKED
            said.append((STRUCTURED, (kept or known).value))
        if arguments is not None:
            said.append((ARGUMENTS, arguments.value))
        return tuple(said)


def shape_of(
    turn: Turn, dialect: Dialect, all_of: Sequence[Capabilities], *, in_words: bool
) -> tuple[Shape, tuple[Note, ...]]:
    """What is asked of the answer's form, and notes on what of it nobody enforces while it is
    written. ``in_words``: the form is told to the model, since an engine takes none."""
    constrains = all(each.constrains for each in all_of)
    loose = dict(unenforced(turn)) if constrains else {}
    callable_ = turn.tools if turn.tool_choice.mode is not ToolMode.NONE else ()
    shape = Shape(
        schema_of(turn.output_format),
        {tool.name: tool.schema_json for tool in callable_},
        constrained=constrains and not in_words and "format" not in loose,
        tools_constrained=constrains and "tools" not in loose,
    )
    form = dialect.param_of(Feature.JSON_SCHEMA)
    names = {"tools": dialect.param_of(Feature.TOOLS), "format": form}
    notes = tuple(
        Note(names[what], f"not enforced while written: {' '.join(words)}")
        for what, words in loose.items()
    )
    if in_words:
        notes += (Note(form, "told to the model: its engine keeps no schema"),)
    if not shape.constrained and "format" not in loose:
        notes += _unlooked(turn, form)
    return shape, notes


def schema_of(form: OutputFormat) -> str | None:
    match form.kind:
        case FormatKind.TEXT:
            return None
        case FormatKind.JSON_OBJECT:
            return ANY_OBJECT
    return form.schema_json or "{}"


def _unlooked(turn: Turn, param: str) -> tuple[Note, ...]:
    words = unchecked(schema_of(turn.output_format) or "")
    return (Note(param, f"not checked: {' '.join(words)}"),) if words else ()


def asks_for_form(turn: Turn) -> bool:
    return turn.output_format.kind is not FormatKind.TEXT


def lacks_form(turn: Turn, capabilities: Capabilities) -> bool:
    """Whether the engine takes no form such as the turn asks for."""
    feature = _FEATURES.get(turn.output_format.kind)
    return feature is not None and feature not in capabilities.features


def formless(turn: Turn) -> Turn:
    return replace(turn, output_format=OutputFormat())


def told_in_words(turn: Turn) -> Turn:
    """The same turn with its form as a part of the system message."""
    schema = schema_of(turn.output_format)
    if schema is None:
        return turn
    told = TextPart(_IN_WORDS + schema)
    first, *rest = turn.messages
    if first.role in (Role.SYSTEM, Role.DEVELOPER):
        messages = (replace(first, parts=(*first.parts, TextPart("\n\n"), told)), *rest)
    else:
        messages = (Message(Role.SYSTEM, (told,)), *turn.messages)
    return replace(formless(turn), messages=messages)


def asked_again(turn: Turn, answer: str, why: str, output_tokens_max: int) -> Turn:
    """The turn that asks for a better answer than ``answer``."""
    said = (
        Message(Role.ASSISTANT, (TextPart(answer),)),
        Message(Role.USER, (TextPart(_AGAIN.format(why=why)),)),
    )
    return replace(turn, messages=(*turn.messages, *said), output_tokens_max=output_tokens_max)


class Gathered:
    """What the choices of one run have said, as far as their form is looked at."""

    def __init__(self) -> None:
        self._texts: dict[int, list[str]] = {}
        self._names: dict[tuple[int, int], str] = {}
        self._arguments: dict[tuple[int, int], list[str]] = {}

    def add(self, delta: Delta) -> None:
        texts = self._texts.setdefault(delta.choice, [])
        if delta.text:
            texts.append(delta.text)
        piece = delta.tool_call
        if piece is not None:
            at = (delta.choice, piece.index)
            self._names.setdefault(at, piece.name or "")
            self._arguments.setdefault(at, []).append(piece.arguments)

    @property
    def text(self) -> str:
        """Of the first choice."""
        return "".join(self._texts.get(0, ()))

    def broken_form(self, schema_json: str) -> str | None:
        """Why a choice that calls nothing does not follow the schema."""
        calling = {choice for choice, _ in self._names}
        for choice, texts in self._texts.items():
            why = None if choice in calling else violation(schema_json, "".join(texts))
            if why is not None:
                return why
        return None

    def arguments_kept(self, schemas: Mapping[str, str]) -> Kept | None:
        """Whether every call follows its tool's schema; ``None`` where nothing is called."""
        if not self._names:
            return None
        for at, name in self._names.items():
            said = "".join(self._arguments[at]) or "{}"
            if name not in schemas or violation(schemas[name] or "{}", said) is not None:
                return Kept.INVALID
        return Kept.VALIDATED
