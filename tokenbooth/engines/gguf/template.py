"""Renders the chat templates that are known by heart; others are left to the engine.

A template is recognised by its whole text, never by a part of it, so a model with a different
template can only fall back to its engine, never be rendered wrongly.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Words: TypeAlias = Sequence[tuple[str, str]]
Render: TypeAlias = Callable[[Words], str]

# Stands where the role stands, before a prompt that is taken as it is.
RAW = ""
_OPEN = "<|im_start|>"
_CLOSE = "<|im_end|>\n"
# ChatML with a system message of its own when the caller gives none.
_CHATML = re.compile(
    r"\{% for message in messages %\}"
    r"\{% if loop\.first and messages\[0\]\['role'\] != 'system' %\}"
    r"\{\{ '<\|im_start\|>system\n(?P<system>[^'\\{}]*)<\|im_end\|>\n' \}\}\{% endif %\}"
    r"\{\{'<\|im_start\|>' \+ message\['role'\] \+ '\n' \+ message\['content'\]"
    r" \+ '<\|im_end\|>' \+ '\n'\}\}\{% endfor %\}"
    r"\{% if add_generation_prompt %\}\{\{ '<\|im_start\|>assistant\n' \}\}\{% endif %\}"
)


@dataclass(frozen=True, slots=True)
class Traits:
    """What a template knows beyond texts: ``tools`` and calls of the form ``<tool_call>``, thoughts
    between ``<think>`` tags, a ``switch`` for them, ``levels`` of effort."""

    tools: bool = False
    thinks: bool = False
    switch: bool = False
    levels: bool = False


def traits_of(template: str | None) -> Traits:
    """By the words that a template must use for each. A template of another form of calls is one
    that knows no tools here: they are told in texts."""
    text = template or ""
    return Traits(
        tools="<tool_call>" in text and "tools" in text and "arguments" in text,
        thinks="</think>" in text,
        switch="enable_thinking" in text,
        levels="reasoning_effort" in text,
    )


def renderer(template: str | None) -> Render | None:
    """How (role, text) pairs become the prompt; ``None`` when the template is not known here."""
    known = _CHATML.fullmatch(template or "")
    if known is None:
        return None
    system = known["system"]

    def render(words: Words) -> str:
        if words and words[0][0] == RAW:
            return words[0][1]
        parts = []
        if words and words[0][0] != "system":
            parts.append(f"{_OPEN}system\n{system}{_CLOSE}")
        parts += [f"{_OPEN}{role}\n{text}{_CLOSE}" for role, text in words]
        return "".join(parts) + f"{_OPEN}assistant\n"

    return render
