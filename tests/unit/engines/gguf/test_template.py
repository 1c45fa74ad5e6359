"""Known templates are rendered to the letter; anything else is left to the engine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.gguf import CHATML
from tokenbooth.engines.gguf.template import RAW, renderer


def test_a_system_message_is_added_when_there_is_none() -> None:
    render = renderer(CHATML)
    assert render is not None
    assert render([("user", "Hi.")]) == (
        "<|im_start|>system\nBe kind.<|im_end|>\n"
        "<|im_start|>user\nHi.<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_the_callers_own_system_message_replaces_it() -> None:
    render = renderer(CHATML)
    assert render is not None
    assert render([("system", "Be brief."), ("user", "Hi.")]) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\nHi.<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_a_raw_prompt_stands_alone() -> None:
    render = renderer(CHATML)
    assert render is not None
    assert render([(RAW, "<|im_start|>mine")]) == "<|im_start|>mine"


def test_no_messages_leave_the_opening_alone() -> None:
    render = renderer(CHATML)
    assert render is not None
    assert render([]) == "<|im_start|>assistant\n"


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant", "system"]), st.text(max_size=9))))
def test_every_text_stands_unchanged_in_its_place(words: list[tuple[str, str]]) -> None:
    render = renderer(CHATML)
    assert render is not None
    prompt = render(words)
    for role, text in words:
        opening = f"<|im_start|>{role}\n{text}<|im_end|>\n"
        assert opening in prompt
        prompt = prompt[prompt.index(opening) + len(opening) :]
    assert prompt == "<|im_start|>assistant\n"


@pytest.mark.parametrize(
    "template",
    [
        None,
        "",
        "{{ messages }}",
        CHATML + " ",
        CHATML.replace("loop.first and ", ""),
        CHATML.replace("message['content']", "message['content'] | trim"),
        CHATML.replace("Be kind.", "It is {{ now }}"),
    ],
)
def test_a_template_that_differs_at_all_is_not_known(template: str | None) -> None:
    assert renderer(template) is None
