"""The upper bound of input tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.turns import TOOL, said, turn_of
from tokenbooth.core.turn import (
    AudioPart,
    FormatKind,
    ImagePart,
    MediaPart,
    Message,
    OutputFormat,
    Role,
    TextPart,
    Tool,
    ToolCall,
    VideoPart,
)
from tokenbooth.engines.bounds import (
    IMAGE_TOKENS_MIN,
    TEMPLATE_TOKENS_PER_MESSAGE,
    TEMPLATE_TOKENS_PER_TURN,
    media_tokens_max,
    text_tokens_max,
    turn_tokens_max,
)
from tokenbooth.engines.scripted.counting import input_tokens_of

EMPTY = TEMPLATE_TOKENS_PER_TURN
MESSAGE = TEMPLATE_TOKENS_PER_MESSAGE


@pytest.mark.parametrize(
    ("text", "bytes_utf8"), [("", 0), ("abc", 3), ("é", 2), ("日本", 6), ("🙂", 4), ("\x00", 1)]
)
def test_a_text_has_at_most_its_utf8_bytes(text: str, bytes_utf8: int) -> None:
    assert text_tokens_max(text) == bytes_utf8


def test_half_a_surrogate_pair_is_counted_and_does_not_fail() -> None:
    assert text_tokens_max("\ud83d") == 3


@given(st.text(), st.text())
def test_the_bound_of_a_joined_text_is_the_sum(left: str, right: str) -> None:
    assert text_tokens_max(left + right) == text_tokens_max(left) + text_tokens_max(right)


def test_every_place_that_holds_text_is_counted() -> None:
    message = Message(
        Role.ASSISTANT,
        (TextPart("ab"), TextPart("c")),
        name="d",
        tool_calls=(ToolCall("id", "name", "{}"),),
        tool_call_id="xyz",
        reasoning="think",
    )
    turn = turn_of(messages=(message,))
    assert turn_tokens_max(turn) == EMPTY + 2 * MESSAGE + 3 + 1 + 2 + 4 + 2 + 3 + 5


def test_an_image_is_counted_at_its_most() -> None:
    parts = (TextPart("a"), ImagePart("https://x/y.png"), ImagePart("data:,"))
    turn = turn_of(messages=(Message(Role.USER, parts),))
    assert turn_tokens_max(turn) == EMPTY + MESSAGE + 1 + 2 * IMAGE_TOKENS_MIN


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (ImagePart("data:,", width=1, height=1), IMAGE_TOKENS_MIN),
        (ImagePart("data:,", width=2800, height=2800), 101 * 100),
        (ImagePart("data:,", width=2801, height=2800), 102 * 100),
        (AudioPart("data:,", duration_s=3), 64 + 150),
        (VideoPart("data:,"), IMAGE_TOKENS_MIN),
    ],
)
def test_a_part_that_was_looked_at_is_counted_by_its_size(part: MediaPart, expected: int) -> None:
    assert media_tokens_max(part) == expected


def test_tools_and_schemas_are_counted() -> None:
    plain = turn_tokens_max(turn_of("hi"))
    tool_bytes = len(TOOL.name) + len(TOOL.description) + len(TOOL.schema_json)
    assert turn_tokens_max(turn_of("hi", tools=(TOOL,))) == plain + MESSAGE + tool_bytes
    form = OutputFormat(FormatKind.JSON_SCHEMA, "it", '{"type":"null"}')
    assert turn_tokens_max(turn_of("hi", output_format=form)) == plain + 15


messages = st.builds(
    Message,
    role=st.sampled_from(Role),
    parts=st.lists(
        st.one_of(st.builds(TextPart, st.text()), st.just(ImagePart("data:,"))), max_size=4
    ).map(tuple),
    name=st.none() | st.text(max_size=9),
    tool_calls=st.lists(
        st.builds(ToolCall, st.text(max_size=5), st.text(max_size=5), st.text(max_size=20)),
        max_size=3,
    ).map(tuple),
    tool_call_id=st.none() | st.text(max_size=9),
)
tools = st.builds(Tool, st.text(max_size=9), st.text(max_size=30), st.text(max_size=30))


@given(st.lists(messages, max_size=5).map(tuple), st.lists(tools, max_size=3).map(tuple))
def test_no_turn_has_more_tokens_than_the_bound(
    some: tuple[Message, ...], offered: tuple[Tool, ...]
) -> None:
    turn = turn_of(messages=some, tools=offered)
    assert 0 < input_tokens_of(turn) <= turn_tokens_max(turn)


@given(st.lists(messages, max_size=4).map(tuple), messages)
def test_one_more_message_never_lowers_the_bound(some: tuple[Message, ...], more: Message) -> None:
    longer = turn_tokens_max(turn_of(messages=(*some, more)))
    assert longer >= turn_tokens_max(turn_of(messages=some)) + MESSAGE


def test_roles_do_not_matter() -> None:
    counts = {turn_tokens_max(turn_of(messages=(said("x", role),))) for role in Role}
    assert len(counts) == 1
