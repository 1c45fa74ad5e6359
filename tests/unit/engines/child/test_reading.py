"""What a template knows decides how prompts are read and what answers may begin with."""

import asyncio
from pathlib import Path

import pytest

from tests.support.gguf import tiny_vocabulary, write_gguf
from tests.support.turns import TOOL, turn_of
from tokenbooth.core.codes import Code
from tokenbooth.core.features import Feature
from tokenbooth.core.problem import Problem
from tokenbooth.engines.child.frames import Count, Counted
from tokenbooth.engines.child.orders import Prompt, asked_of
from tokenbooth.engines.child.reading import Reading
from tokenbooth.engines.gguf.tokenizer import Unknown
from tokenbooth.engines.grammar.answer import Thinking

TOOLS = "{% if tools %}<tool_call>{{ x.arguments }}{% endif %}"
THINKS = "{% if enable_thinking %}<think></think>{% endif %}"


class Child:
    """Counts; ``opened`` says which prompts end inside of a thought: by itself, and with the
    switch on."""

    def __init__(self, *opened: bool, refuses: bool = False) -> None:
        self.opened = opened or (False, False)
        self.refuses = refuses
        self.asked: list[Prompt] = []

    async def count(self, prompt: Prompt) -> Counted:
        self.asked.append(prompt)
        if self.refuses:
            raise Problem(Code.INVALID_VALUE, "no")
        count = Count(1, prompt.words, prompt.template_json)
        switched = bool(asked_of(count).variables.get("enable_thinking"))
        return Counted(1, 7, self.opened[switched])


def reading(directory: Path, child: Child, template: str | None) -> Reading:
    values = tiny_vocabulary()
    if template is not None:
        values["tokenizer.chat_template"] = template
    path = write_gguf(directory / "a.gguf", values)
    made = Reading(child.count)

    async def opened() -> None:
        await made.open(path, Unknown.DROPPED)
        await made.look()

    asyncio.run(opened())
    return made


def test_a_proven_template_is_read_here(tmp_path: Path) -> None:
    child = Child()
    made = reading(tmp_path, child, None)
    turn = turn_of(tools=(TOOL,))
    assert made.features == frozenset()
    assert made.thinking(turn) is Thinking.NONE
    assert made.prompt(turn).words
    assert asyncio.run(made.count(turn)) > 100
    assert child.asked == []
    assert made.context_tokens == 512


def test_another_template_is_read_by_the_child(tmp_path: Path) -> None:
    child = Child()
    made = reading(tmp_path, child, TOOLS)
    turn = turn_of(tools=(TOOL,))
    assert made.prompt(turn).template_json
    assert asyncio.run(made.count(turn)) == 7
    assert child.asked == [made.prompt(turn)]


@pytest.mark.parametrize(
    ("opened", "plain", "on"),
    [
        ((False, False), Thinking.MAY, Thinking.MAY),
        ((False, True), Thinking.MAY, Thinking.OPENED),
        ((True, True), Thinking.OPENED, Thinking.OPENED),
    ],
)
def test_a_switch_is_looked_at_both_ways(
    tmp_path: Path, opened: tuple[bool, bool], plain: Thinking, on: Thinking
) -> None:
    made = reading(tmp_path, Child(*opened), THINKS)
    assert made.features == {Feature.REASONING_EFFORT}
    assert made.thinking(turn_of()) is plain
    assert made.thinking(turn_of(reasoning_effort="high")) is on
    assert made.thinking(turn_of(reasoning_effort="none")) is Thinking.NONE


def test_a_model_that_always_thinks_takes_no_effort(tmp_path: Path) -> None:
    child = Child(True, True)
    made = reading(tmp_path, child, "<think></think>")
    assert made.features == frozenset()
    assert len(child.asked) == 1
    assert made.thinking(turn_of(reasoning_effort="none")) is Thinking.OPENED


def test_levels_alone_are_an_effort(tmp_path: Path) -> None:
    made = reading(tmp_path, Child(), "{{ reasoning_effort }}")
    assert made.features == {Feature.REASONING_EFFORT}
    assert made.thinking(turn_of()) is Thinking.NONE


def test_a_template_that_refuses_the_look_opens_no_thought(tmp_path: Path) -> None:
    made = reading(tmp_path, Child(refuses=True), THINKS)
    assert made.thinking(turn_of()) is Thinking.MAY
