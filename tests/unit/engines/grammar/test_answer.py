"""The grammar of an answer allows what the turn allows, and nothing else."""

import json
import random
import re
from typing import Any

import pytest

from tests.support.agent_tools import TOOLS
from tests.support.gbnf import Grammar
from tests.support.grammars import grammar_of
from tests.support.turns import OBJECT_SCHEMA, TOOL, turn_of
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import FormatKind, OutputFormat, Tool, ToolChoice, ToolMode, Turn
from tokenbooth.engines.grammar import answer as module
from tokenbooth.engines.grammar.answer import (
    CALLS_MAX,
    AnswerGrammar,
    Thinking,
    answer_grammar,
    unenforced,
)

CALL = re.compile(
    r'<tool_call>\n\{"name": "(\w+)", "arguments": (\{.*?\})\}\n</tool_call>', re.DOTALL
)
OTHER = Tool("other", "", "")
JSON = OutputFormat(FormatKind.JSON_SCHEMA, "it", OBJECT_SCHEMA)


def said(turn: Turn, thinking: Thinking = Thinking.NONE, count: int = 200) -> set[str]:
    grammar = Grammar(answer_grammar(turn, thinking).text or "")
    found = set()
    for number in range(count):
        picks = random.Random(number)
        one = grammar.say(lambda most, picks=picks: picks.randint(0, most))  # type: ignore[misc]
        if one is not None:
            found.add(one)
    return found


def calls_in(text: str) -> list[str]:
    return [name for name, _ in CALL.findall(text)]


def choosing(mode: ToolMode, name: str | None = None, **fields: Any) -> Turn:
    return turn_of(tools=(TOOL, OTHER), tool_choice=ToolChoice(mode, name), **fields)


def test_a_plain_turn_needs_no_grammar() -> None:
    assert answer_grammar(turn_of()) == AnswerGrammar(None)
    assert answer_grammar(turn_of(), Thinking.OPENED) == AnswerGrammar(None)


def test_a_form_alone_is_the_grammar_of_its_schema() -> None:
    assert answer_grammar(turn_of(output_format=JSON)).text == grammar_of(OBJECT_SCHEMA)


def test_auto_is_text_and_then_calls() -> None:
    found = said(choosing(ToolMode.AUTO))
    assert "" in found
    assert any(calls_in(text) for text in found)
    for text in found:
        free, marker, calls = text.partition("<tool_call>")
        if marker:
            assert CALL.sub("", marker + calls).strip("\n") == ""
        assert "<tool_call>" not in free


def test_required_is_one_to_so_many_calls() -> None:
    found = said(choosing(ToolMode.REQUIRED))
    counts = {len(calls_in(text)) for text in found}
    assert min(counts) == 1
    assert 1 < max(counts) <= CALLS_MAX
    assert {name for text in found for name in calls_in(text)} == {"read_clock", "other"}
    assert all(text.startswith("<tool_call>") for text in found)


def test_named_is_one_call_of_that_tool() -> None:
    found = said(choosing(ToolMode.NAMED, "other"))
    assert {tuple(calls_in(text)) for text in found} == {("other",)}


def test_not_in_parallel_is_one_call() -> None:
    found = said(choosing(ToolMode.REQUIRED, parallel_tool_calls=False))
    assert {len(calls_in(text)) for text in found} == {1}


def test_none_is_text_without_a_call() -> None:
    found = said(choosing(ToolMode.NONE))
    assert found
    assert not any("<tool_call>" in text for text in found)


def test_a_form_beside_tools_is_either() -> None:
    found = said(choosing(ToolMode.AUTO, output_format=JSON))
    for text in found:
        assert calls_in(text) or set(json.loads(text)) == {"ok"}
    assert {bool(calls_in(text)) for text in found} == {True, False}


@pytest.mark.parametrize("thinking", [Thinking.MAY, Thinking.OPENED])
def test_thoughts_come_first(thinking: Thinking) -> None:
    found = said(choosing(ToolMode.REQUIRED), thinking)
    thoughtful = [text for text in found if "</think>" in text]
    assert thoughtful
    for text in thoughtful:
        before, _, after = text.partition("</think>")
        assert before.startswith("<think>") or thinking is Thinking.OPENED
        assert calls_in(after.lstrip("\n"))
    if thinking is Thinking.OPENED:
        assert len(thoughtful) == len(found)
    else:
        assert any(text.startswith("<tool_call>") for text in found)


def test_free_text_holds_any_sign_and_nearly_any_tag() -> None:
    free = next(
        line
        for line in (answer_grammar(choosing(ToolMode.AUTO)).text or "").splitlines()
        if line.startswith("lt ::= ")
    )
    assert free.startswith('lt ::= "<"+ ([^<t] | "t" ([^<o]')


def test_what_is_not_enforced_is_told_by_what_asked_for_it() -> None:
    loose = OutputFormat(FormatKind.JSON_SCHEMA, "it", '{"type":"string","pattern":"a"}')
    found = answer_grammar(turn_of(tools=TOOLS, output_format=loose)).unenforced
    assert found == (
        ("tools", ("anyOf beside properties", "format", "oneOf", "pattern", "uniqueItems")),
        ("format", ("pattern",)),
    )
    assert unenforced(turn_of(output_format=loose)) == (("format", ("pattern",)),)
    assert unenforced(turn_of()) == ()


def test_a_strict_form_that_cannot_be_kept_is_refused() -> None:
    strict = OutputFormat(FormatKind.JSON_SCHEMA, "it", '{"pattern":"a"}', strict=True)
    turn = turn_of(output_format=strict)
    with pytest.raises(Problem) as caught:
        answer_grammar(turn)
    assert caught.value.code is Code.UNSUPPORTED_FEATURE
    assert unenforced(turn) == ()


@pytest.mark.parametrize(("limit", "kept"), [("RULES", "read_clock"), ("SCHEMAS", "")])
def test_tools_beyond_the_size_limit_take_any_object(
    monkeypatch: pytest.MonkeyPatch, limit: str, kept: str
) -> None:
    monkeypatch.setattr(module, f"{limit}_CHARACTERS_MAX", 10)
    found = answer_grammar(choosing(ToolMode.REQUIRED))
    assert found.unenforced == (("tools", ("schemas over the size limit",)),)
    for name in ("read_clock", "other"):
        loose = f'{name}\\", \\"arguments\\": " anyobject' in (found.text or "")
        assert loose == (name != kept)
