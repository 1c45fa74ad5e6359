"""Who keeps the form of an answer, and what the caller is told of it."""

from tests.support.agent_tools import TOOLS
from tests.support.turns import OBJECT_SCHEMA, TOOL, turn_of
from tokenbooth.core.features import Capabilities, Feature
from tokenbooth.core.turn import FormatKind, OutputFormat, ToolChoice, ToolMode, Turn
from tokenbooth.gateway.shaped import Kept, Shape, lacks_form, shape_of, told_in_words
from tokenbooth.protocols.openai_chat import OPENAI_CHAT

LOCAL = Capabilities(frozenset({Feature.JSON_SCHEMA, Feature.TOOLS}), constrains=True)
FAR = Capabilities(LOCAL.features)
PATTERN = OutputFormat(FormatKind.JSON_SCHEMA, "it", '{"type":"string","pattern":"a"}')
FORM = OutputFormat(FormatKind.JSON_SCHEMA, "it", OBJECT_SCHEMA)


def shape(turn: Turn, *all_of: Capabilities, in_words: bool = False) -> Shape:
    return shape_of(turn, OPENAI_CHAT, all_of, in_words=in_words)[0]


def notes(turn: Turn, *all_of: Capabilities, in_words: bool = False) -> list[tuple[str, str]]:
    told = shape_of(turn, OPENAI_CHAT, all_of, in_words=in_words)[1]
    return [(note.param, note.what) for note in told]


def test_what_an_engine_constrains_needs_no_look() -> None:
    turn = turn_of(tools=(TOOL,), output_format=FORM)
    found = shape(turn, LOCAL)
    assert not found.to_check
    assert found.headers(None, None) == (("x-tokenbooth-structured", "constrained"),)
    assert shape(turn, LOCAL, FAR).to_check
    assert notes(turn, LOCAL) == []


def test_keywords_that_a_grammar_leaves_out_are_looked_at_and_told() -> None:
    turn = turn_of(tools=TOOLS, output_format=PATTERN)
    found = shape(turn, LOCAL)
    assert not found.constrained
    assert not found.tools_constrained
    assert found.to_check
    told = notes(turn, LOCAL)
    assert [param for param, _ in told] == ["tools", "response_format"]
    assert told[1] == ("response_format", "not enforced while written: pattern")


def test_keywords_that_nobody_looks_at_are_told_of_other_engines() -> None:
    turn = turn_of(output_format=PATTERN)
    unlooked = ("response_format", "not checked: pattern")
    assert notes(turn, FAR) == [unlooked]
    in_words = ("response_format", "told to the model: its engine keeps no schema")
    assert notes(turn, FAR, in_words=True) == [in_words, unlooked]
    assert notes(turn_of(tools=TOOLS), FAR) == []


def test_tools_that_may_not_be_called_are_not_looked_at() -> None:
    none = ToolChoice(ToolMode.NONE)
    assert not shape(turn_of(tools=(TOOL,), tool_choice=none), FAR).to_check


def test_a_plain_turn_has_no_form() -> None:
    assert not lacks_form(turn_of(), Capabilities(frozenset()))
    assert lacks_form(turn_of(output_format=FORM), Capabilities(frozenset()))
    assert told_in_words(turn_of()) == turn_of()
    assert Shape().headers(None, Kept.VALIDATED) == (("x-tokenbooth-tool-arguments", "validated"),)
