"""However a model's text is cut into pieces, the same thoughts, text and calls are heard."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.agent_tools import TOOLS
from tests.support.gbnf import Grammar
from tests.support.turns import turn_of
from tokenbooth.core.delta import Delta, FinishReason, TokenLogprob
from tokenbooth.core.turn import ToolChoice, ToolMode
from tokenbooth.engines.child.head import HEAD_CHARACTERS_MAX
from tokenbooth.engines.child.hearing import DEAF, Ears, Hearing
from tokenbooth.engines.grammar.answer import Thinking, answer_grammar

STOP, LENGTH, CALLED = FinishReason.STOP, FinishReason.LENGTH, FinishReason.TOOL_CALLS
CALL = '<tool_call>\n{"name": "clock", "arguments": {"a": "}]\\"{", "b": [1, {}]}}\n</tool_call>'
ARGUMENTS = '{"a": "}]\\"{", "b": [1, {}]}'


class Heard:
    """A fold of deltas."""

    def __init__(self, deltas: list[Delta]) -> None:
        self.text = "".join(delta.text for delta in deltas)
        self.reasoning = "".join(delta.reasoning for delta in deltas)
        self.tokens = sum(delta.output_tokens for delta in deltas)
        self.spoken = [spoken.text for delta in deltas for spoken in delta.logprobs]
        self.finish = [delta.finish for delta in deltas if delta.finish]
        self.calls: list[list[str]] = []
        for delta in deltas:
            piece = delta.tool_call
            if piece is None:
                continue
            if piece.name is not None:
                assert piece.index == len(self.calls)
                self.calls.append([piece.id or "", piece.name, ""])
            self.calls[piece.index][2] += piece.arguments

    @property
    def called(self) -> list[tuple[str, str]]:
        return [(name, arguments) for _, name, arguments in self.calls]


def ears(thinking: Thinking = Thinking.NONE, *, calls: bool = True) -> Ears:
    numbers = iter(range(100))
    return Ears(thinking, calls, lambda: f"call_{next(numbers)}")


def hear(
    text: str, listening: Ears, cuts: list[int] | None = None, finish: FinishReason = STOP
) -> tuple[list[Delta], Hearing]:
    """One token for each piece, and one for the end of the turn."""
    hearing = Hearing(3, listening)
    places = sorted({min(cut, len(text)) for cut in cuts or range(len(text))} | {0})
    deltas: list[Delta] = []
    for start, end in zip(places, [*places[1:], len(text)], strict=True):
        deltas += hearing.take(text[start:end], 1)
    return deltas + hearing.take("", 1, (), finish), hearing


def heard(text: str, listening: Ears | None = None, finish: FinishReason = STOP) -> Heard:
    return Heard(hear(text, listening or ears(), finish=finish)[0])


def test_text_is_text_and_the_choice_is_kept() -> None:
    deltas, _ = hear("a <b> <tool", ears())
    found = Heard(deltas)
    assert (found.text, found.finish, found.calls) == ("a <b> <tool", [STOP], [])
    assert {delta.choice for delta in deltas} == {3}
    assert deltas[0].text == "a"


def test_a_call_is_told_from_the_text_before_it() -> None:
    found = heard(f"Let me look.\n\n{CALL}")
    assert found.text == "Let me look."
    assert found.calls == [["call_0", "clock", ARGUMENTS]]
    assert found.finish == [CALLED]


def test_arguments_come_as_they_are_written() -> None:
    deltas, _ = hear(CALL, ears())
    pieces = [d.tool_call.arguments for d in deltas if d.tool_call and d.tool_call.arguments]
    assert pieces == list(ARGUMENTS)


def test_calls_follow_one_another_each_with_its_own_id() -> None:
    found = heard(f"{CALL}\n{CALL}")
    assert [call[0] for call in found.calls] == ["call_0", "call_1"]
    assert found.called == [("clock", ARGUMENTS)] * 2
    assert found.text == ""


def test_text_after_a_call_is_heard() -> None:
    assert heard(f"{CALL}\nDone <b>").text == "Done <b>"


def test_without_tools_the_marker_is_text() -> None:
    found = heard(CALL, ears(calls=False))
    assert (found.text, found.calls, found.finish) == (CALL, [], [STOP])
    assert heard(CALL, DEAF).text == CALL


@pytest.mark.parametrize("cut", [20, 40, 60, len(CALL) - 1])
def test_an_answer_that_is_cut_short_says_so(cut: int) -> None:
    found = heard(CALL[:cut], finish=LENGTH)
    assert found.finish == [LENGTH]
    assert found.text == ""
    assert bool(found.calls) == (cut > 45)
    assert all(ARGUMENTS.startswith(arguments) for _, arguments in found.called)


@pytest.mark.parametrize("cut", [1, 5, 10])
def test_half_a_marker_behind_a_call_is_no_text(cut: int) -> None:
    found = heard(f"{CALL}\n{CALL[:cut]}", finish=LENGTH)
    assert (found.text, found.finish, len(found.calls)) == ("", [LENGTH], 1)
    assert heard(CALL[:cut], finish=LENGTH).text == CALL[:cut]


def test_a_stop_string_inside_of_a_call_is_no_whole_call() -> None:
    assert heard(CALL[:60]).finish == [LENGTH]
    assert heard(CALL[:20]).finish == [LENGTH]
    assert heard(CALL[:-3]).finish == [CALLED]


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>" + "x" * (HEAD_CHARACTERS_MAX + 1),
        '<tool_call>{"name": "\\q", "arguments": {}}' + " " * HEAD_CHARACTERS_MAX,
    ],
)
def test_what_is_no_call_after_all_is_shown(text: str) -> None:
    found = heard(text + "end")
    assert found.text == text + "end"
    assert found.calls == []


@pytest.mark.parametrize("value", ['"a}"', "12", "null", "[{}]"])
def test_a_value_that_is_no_object_is_passed_on(value: str) -> None:
    text = f'<tool_call>{{"name": "x", "arguments": {value}}}\n</tool_call>'
    assert heard(text).called == [("x", value)]


@pytest.mark.parametrize("thinking", [Thinking.MAY, Thinking.OPENED])
def test_thoughts_are_told_from_the_answer(thinking: Thinking) -> None:
    begun = "<think>\n" if thinking is Thinking.MAY else ""
    deltas, hearing = hear(f"{begun}I </ wonder <b>.\n</think>\n\nYes. {CALL}", ears(thinking))
    found = Heard(deltas)
    assert found.reasoning.strip() == "I </ wonder <b>."
    assert found.text == "Yes."
    assert found.called == [("clock", ARGUMENTS)]
    assert 16 < hearing.reasoning_tokens < found.tokens - len("Yes. " + CALL)


def test_a_model_that_may_think_need_not() -> None:
    for text in ("<thin", " <b>", "Hi", ""):
        deltas, hearing = hear(text, ears(Thinking.MAY))
        assert Heard(deltas).text == text
        assert hearing.reasoning_tokens == 0


def test_thoughts_that_are_cut_short_are_thoughts() -> None:
    found = heard("<think>hm </thi", ears(Thinking.MAY), LENGTH)
    assert (found.reasoning, found.text, found.finish) == ("hm </thi", "", [LENGTH])


def test_only_text_has_probabilities_and_no_token_is_lost() -> None:
    hearing = Hearing(0, ears(Thinking.OPENED))
    deltas: list[Delta] = []
    for place, piece in enumerate(["hm", "</think>", "Yes", " ", "<tool_call>", "{"]):
        deltas += hearing.take(
            piece, 1, (TokenLogprob(piece, -1.0),), LENGTH if place == 5 else None
        )
    found = Heard(deltas)
    assert found.spoken == ["</think>", "Yes", " "]
    assert found.tokens == 6
    assert hearing.reasoning_tokens == 2


def test_one_piece_may_say_everything() -> None:
    hearing = Hearing(0, ears(Thinking.MAY))
    deltas = hearing.take(f"<think>a</think>b{CALL}{CALL}c<think>", 9, (), STOP)
    found = Heard(deltas)
    assert (found.reasoning, found.text, len(found.calls)) == ("a", "bc<think>", 2)
    assert found.tokens == 9
    assert [delta.output_tokens for delta in deltas] == [1, 1, 7]
    assert deltas[0].reasoning
    assert deltas[0].text
    few = Hearing(0, ears()).take(f"{CALL}{CALL}", 1, (), STOP)
    assert [delta.output_tokens for delta in few] == [1, 0]


def answers(thinking: Thinking, picks: Any) -> str | None:
    mode = ToolChoice(picks.choice([ToolMode.AUTO, ToolMode.REQUIRED]))
    text = answer_grammar(turn_of(tools=TOOLS, tool_choice=mode), thinking).text
    return Grammar(text or "").say(lambda most: picks.randint(0, most))


@given(
    st.sampled_from(Thinking),
    st.randoms(use_true_random=False),
    st.lists(st.integers(0, 400), max_size=60),
)
def test_however_it_is_cut_the_same_is_heard(
    thinking: Thinking, picks: Any, cuts: list[int]
) -> None:
    said = answers(thinking, picks)
    if said is None:
        return
    in_one = Heard(hear(said, ears(thinking), [0])[0])
    cut, hearing = hear(said, ears(thinking), cuts or [0])
    found = Heard(cut)
    assert (found.text, found.calls, found.finish) == (in_one.text, in_one.calls, in_one.finish)
    assert found.reasoning.rstrip() == in_one.reasoning.rstrip()
    assert found.tokens == len({min(at, len(said)) for at in cuts or [0]} | {0}) + 1
    assert hearing.reasoning_tokens <= found.tokens
    names = {tool.name for tool in TOOLS}
    for name, arguments in found.called:
        assert name in names
        assert isinstance(json.loads(arguments), dict)
    assert found.finish == [CALLED if found.calls else STOP]
    assert "<tool_call>" not in found.text


def pieces(deltas: list[Delta]) -> Iterator[str]:
    return (delta.text for delta in deltas)


def test_blanks_wait_for_what_follows() -> None:
    deltas, _ = hear("a \n b", ears())
    assert list(pieces(deltas)) == ["a", " \n b", ""]
