"""The drills' own count of tokens is that of the scripted engine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.core.turn import Message, Role, TextPart, Turn
from tokenbooth.engines.scripted.counting import input_tokens_of
from tokenbooth.engines.scripted.rules import commands_in
from tokenbooth.proving.drills.script import script_prompt, script_tokens

names = st.sampled_from(["chunks", "tokens_per_chunk", "fault", "chunk_delay_ms", "seed"])
values = st.integers(0, 10**6) | st.sampled_from(["hang", "fail", "none"])


def turn(text: str) -> Turn:
    return Turn(model="m", messages=(Message(Role.USER, (TextPart(text),)),))


@given(st.dictionaries(names, values, min_size=1))
def test_a_script_has_the_tokens_that_it_says(options: dict[str, object]) -> None:
    prompt = script_prompt(**options)
    assert input_tokens_of(turn(prompt)) == script_tokens(len(options))
    assert commands_in(turn(prompt)) == {name: str(value) for name, value in options.items()}


@pytest.mark.parametrize(("beside", "tokens"), [(" call-000123", 3), (" go", 1), ("", 0)])
def test_what_stands_beside_a_script_is_counted_too(beside: str, tokens: int) -> None:
    prompt = script_prompt(chunks=1) + beside
    assert input_tokens_of(turn(prompt)) == script_tokens(1, tokens)
