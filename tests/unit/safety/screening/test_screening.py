import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import (
    FormatKind,
    ImagePart,
    Message,
    OutputFormat,
    Role,
    TextPart,
    Tool,
    ToolCall,
    Turn,
)
from tokenbooth.safety.screening.service import Policy, Verdict, screen
from tokenbooth.safety.screening.values import PHRASE_CHARACTERS_MAX, PHRASES_MAX, normalised

POLICY = Policy(("forbidden fruit",))


def said(*texts: str, role: Role = Role.USER) -> Turn:
    return Turn(model="m", messages=(Message(role, tuple(map(TextPart, texts))),))


def with_message(**fields: object) -> Turn:
    return Turn(model="m", messages=(Message(Role.ASSISTANT, (), **fields),))  # type: ignore[arg-type]


def test_without_a_list_everything_is_allowed() -> None:
    assert screen(Policy(), said("forbidden fruit")) == Verdict(allowed=True)


@pytest.mark.parametrize(
    "text", ["", "fruit", "forbidden  vegetable", "forbiddenfruit", "fruit forbidden"]
)
def test_other_texts_are_allowed(text: str) -> None:
    assert screen(POLICY, said(text)).allowed


@pytest.mark.parametrize(
    "text",
    [
        "forbidden fruit",
        "the FORBIDDEN Fruit!",
        "forbidden\n\t fruit",
        "forbidden\u00a0fruit",
        "ｆｏｒｂｉｄｄｅｎ　ｆｒｕｉｔ",
        "for\u200bbid\u00adden fr\u2060uit",
        "𝐟𝐨𝐫𝐛𝐢𝐝𝐝𝐞𝐧 𝐟𝐫𝐮𝐢𝐭",
        "unforbidden fruits",
    ],
)
def test_disguises_do_not_help(text: str) -> None:
    verdict = screen(POLICY, said("hello"))
    assert verdict.allowed
    verdict = screen(POLICY, said(text))
    assert not verdict.allowed
    assert "fruit" not in verdict.reason
    assert verdict.reason


def test_a_phrase_split_over_parts_of_one_message_is_found() -> None:
    assert not screen(POLICY, said("forbid", "den fruit")).allowed


@pytest.mark.parametrize("role", list(Role))
def test_every_role_is_screened(role: Role) -> None:
    assert not screen(POLICY, said("forbidden fruit", role=role)).allowed


@pytest.mark.parametrize(
    "turn",
    [
        with_message(name="forbidden fruit"),
        with_message(reasoning="forbidden fruit"),
        with_message(tool_calls=(ToolCall("1", "forbidden fruit", "{}"),)),
        with_message(tool_calls=(ToolCall("1", "f", '{"a": "forbidden fruit"}'),)),
        Turn(model="m", messages=(), tools=(Tool("forbidden fruit", "", "{}"),)),
        Turn(model="m", messages=(), tools=(Tool("f", "forbidden fruit", "{}"),)),
        Turn(model="m", messages=(), tools=(Tool("f", "", '"forbidden fruit"'),)),
        Turn(
            model="m",
            messages=(),
            output_format=OutputFormat(FormatKind.JSON_SCHEMA, "s", '"forbidden fruit"'),
        ),
        Turn(
            model="m",
            messages=(),
            output_format=OutputFormat(FormatKind.JSON_SCHEMA, "forbidden fruit", "{}"),
        ),
    ],
)
def test_everything_that_reaches_the_model_is_screened(turn: Turn) -> None:
    assert not screen(POLICY, turn).allowed


def test_later_messages_are_screened_too() -> None:
    turn = Turn(
        model="m",
        messages=tuple(Message(Role.USER, (TextPart(text),)) for text in ("a", "forbidden fruit")),
    )
    assert not screen(POLICY, turn).allowed


def test_image_addresses_are_not_read() -> None:
    message = Message(Role.USER, (ImagePart("https://x/forbidden fruit"),))
    assert screen(POLICY, Turn(model="m", messages=(message,))).allowed


def test_any_phrase_of_the_list_blocks() -> None:
    policy = Policy(("one", "two", "three"))
    assert not screen(policy, said("and a two")).allowed
    assert screen(policy, said("and a four")).allowed


def test_an_invisible_character_does_not_part_a_letter_from_its_accent() -> None:
    assert not screen(Policy(("café",)), said("cafe\u200b\u0301")).allowed


def test_phrases_are_kept_normalised() -> None:
    assert Policy(("  STRASSE\n1 ", "ﬁne")).blocked_phrases == ("strasse 1", "fine")
    assert not screen(Policy(("Straße",)), said("STRASSE")).allowed


@pytest.mark.parametrize("phrase", ["", " ", "\n", "\u200b", "x" * (PHRASE_CHARACTERS_MAX + 1)])
def test_a_phrase_that_would_block_all_or_nothing_is_refused(phrase: str) -> None:
    with pytest.raises(Problem) as caught:
        Policy(("good", phrase))
    assert caught.value.code is Code.INVALID_VALUE
    assert caught.value.param == "safety.blocked_phrases"


def test_the_list_is_bounded() -> None:
    assert len(Policy(("x",) * PHRASES_MAX).blocked_phrases) == PHRASES_MAX
    with pytest.raises(Problem):
        Policy(("x",) * (PHRASES_MAX + 1))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)


@given(st.text(max_size=40), st.text(min_size=1, max_size=20), st.text(max_size=40))
def test_a_phrase_between_blanks_is_always_found(before: str, phrase: str, after: str) -> None:
    if normalised(phrase):
        policy = Policy((phrase,))
        assert not screen(policy, said(f"{before} {phrase} {after}")).allowed
        assert not screen(policy, said(normalised(phrase))).allowed
