"""Who keeps the form of an answer, and what the caller is told of it."""

from tests.support.agent_tools import TOOLS
from tests.support.turns import OBJECT_SCHEMA, TOOL, turn_of
from tokenbooth.core.features import Capabilities, Feature
from tokenbooth.core.turn import FormatKind, OutputFormat, ToolChoice, ToolMode
from tokenbooth.gateway.shaped import Kept, Shape, lacks_form, notes_of, shape_of, told_in_words
from tokenbooth.protocols.openai_chat import OPENAI_CHAT

LOCAL = Capabilities(frozenset({Feature.JSON_SCHEMA, Feature.TOOLS}), constrains=True)
FAR = Capabilities(LOCAL.features)
PATTERN = OutputFormat(FormatKind.JSON_SCHEMA, "it", '{"type":"string","pattern":"a"}')
FORM = OutputFormat(FormatKind.JSON_SCHEMA, "it", OBJECT_SCHEMA)


def test_what_an_engine_constrains_needs_no_look() -> None:
    turn = turn_of(tools=(TOOL,), output_format=FORM)
    shape = shape_of(turn, [LOCAL], in_words=False)
    assert not shape.to_check
    assert shape.headers(None, None) == (("x-tokenbooth-structured", "constrained"),)
    assert shape_of(turn, [LOCAL, FAR], in_words=False).to_check


def test_keywords_that_a_grammar_leaves_out_are_looked_at_and_told() -> None:
    turn = turn_of(tools=TOOLS, output_format=PATTERN)
    shape = shape_of(turn, [LOCAL], in_words=False)
    assert not shape.constrained
    assert not shape.tools_constrained
    assert shape.to_check
    notes = notes_of(turn, OPENAI_CHAT, [LOCAL], in_words=False)
    assert [note.param for note in notes] == ["tools", "response_format"]
    assert notes[1].what == "not enforced while written: pattern"


def test_keywords_that_nobody_looks_at_are_told_of_other_engines() -> None:
    (note,) = notes_of(turn_of(output_format=PATTERN), OPENAI_CHAT, [FAR], in_words=False)
    assert (note.param, note.what) == ("response_format", "not checked: pattern")
    told = notes_of(turn_of(output_format=PATTERN), OPENAI_CHAT, [FAR], in_words=True)
    assert [note.what.partition(":")[0] for note in told] == ["told to the model", "not checked"]
    assert notes_of(turn_of(tools=TOOLS), OPENAI_CHAT, [FAR], in_words=False) == ()


def test_tools_that_may_not_be_called_are_not_looked_at() -> None:
    none = ToolChoice(ToolMode.NONE)
    assert not shape_of(turn_of(tools=(TOOL,), tool_choice=none), [FAR], in_words=False).to_check


def test_a_plain_turn_has_no_form() -> None:
    assert not lacks_form(turn_of(), Capabilities(frozenset()))
    assert lacks_form(turn_of(output_format=FORM), Capabilities(frozenset()))
    assert told_in_words(turn_of()) == turn_of()
    assert Shape().headers(None, Kept.VALIDATED) == (("x-tokenbooth-tool-arguments", "validated"),)
