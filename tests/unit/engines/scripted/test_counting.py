"""The scripted engine's tokenizer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.turns import TOOL, said, turn_of
from tokenbooth.core.turn import FormatKind, ImagePart, Message, OutputFormat, Role, ToolCall
from tokenbooth.engines.scripted.counting import (
    TOKENS_PER_MESSAGE,
    TOKENS_PER_PART,
    TOKENS_PER_TURN,
    input_tokens_of,
    tokens_of,
)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        ("word", ["word"]),
        ("two words", ["two", " words"]),
        ("Hi, you!", ["Hi", ",", " you", "!"]),
        ("a  b", ["a", " ", " b"]),
        ("x\n\ty", ["x", "\n", "\t", "y"]),
        ('{"ok":1}', ["{", '"', "ok", '"', ":", "1", "}"]),
        ("日本 語", ["日本", " 語"]),
        (" 🙂", [" 🙂"]),
    ],
)
def test_words_signs_and_blanks_are_tokens(text: str, tokens: list[str]) -> None:
    assert tokens_of(text) == tokens


@given(st.text(alphabet=st.characters()))
def test_the_tokens_spell_the_text_and_none_is_empty(text: str) -> None:
    tokens = tokens_of(text)
    assert "".join(tokens) == text
    assert all(tokens)


def test_an_input_is_its_texts_and_its_template() -> None:
    turn = turn_of(messages=(said("one two"), said("three", Role.ASSISTANT)))
    assert input_tokens_of(turn) == TOKENS_PER_TURN + 2 * TOKENS_PER_MESSAGE + 3


def test_names_calls_and_images_are_input() -> None:
    message = Message(
        Role.ASSISTANT,
        (ImagePart("data:,"),),
        name="bob",
        tool_calls=(ToolCall("id", "tool", "{}"),),
        tool_call_id="c",
    )
    expected = TOKENS_PER_TURN + TOKENS_PER_MESSAGE + TOKENS_PER_PART + 1 + 1 + 1 + 2 + 1
    assert input_tokens_of(turn_of(messages=(message,))) == expected


def test_tools_and_schemas_are_input() -> None:
    plain = input_tokens_of(turn_of())
    assert input_tokens_of(turn_of(tools=(TOOL,))) == plain + TOKENS_PER_MESSAGE + 1 + 4 + len(
        tokens_of(TOOL.schema_json)
    )
    form = OutputFormat(FormatKind.JSON_SCHEMA, "it", "{}")
    assert input_tokens_of(turn_of(output_format=form)) == plain + 2
