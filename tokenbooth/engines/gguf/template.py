"""Renders the chat templates that are known by heart; others are left to the engine.

A template is recognised by its whole text, never by a part of it, so a model with a different
template can only fall back to its engine, never be rendered wrongly.
"""

import re
from collections.abc import Callable, Sequence
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
