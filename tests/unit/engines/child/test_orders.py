"""A turn becomes an order that says the same."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.grammars import grammar_of
from tests.support.turns import OBJECT_SCHEMA, TOOL, said, turn_of
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import FormatKind, LogprobsAsk, OutputFormat, Role, Sampling
from tokenbooth.engines.child import orders
from tokenbooth.engines.child.orders import (
    Asked,
    Prompt,
    asked_of,
    begin_of,
    ids_of,
    in_thought,
    prompt_of,
)
from tokenbooth.engines.child.prompt import words_of
from tokenbooth.engines.gguf.template import RAW, Traits
from tokenbooth.engines.grammar.schema import ANY_OBJECT

WORDS = Prompt((("user", "x"),))


def test_a_raw_prompt_stands_without_a_role() -> None:
    assert words_of(turn_of("once upon", raw=True)) == ((RAW, "once upon"),)


def test_roles_and_texts_are_kept_and_a_developer_speaks_as_system() -> None:
    turn = turn_of(
        messages=(
            said("a", Role.DEVELOPER),
            said("b", Role.SYSTEM),
            said("c"),
            said("d", Role.ASSISTANT),
        )
    )
    assert words_of(turn) == (("system", "a"), ("system", "b"), ("user", "c"), ("assistant", "d"))


def test_text_that_utf8_cannot_hold_is_the_callers_fault() -> None:
    with pytest.raises(Problem) as caught:
        words_of(turn_of("half \ud83d"))
    assert caught.value.code is Code.INVALID_VALUE
    assert caught.value.param == "messages"


@given(st.lists(st.integers(0, 2**32 - 1), max_size=50))
def test_ids_travel_as_little_endian_numbers(ids: list[int]) -> None:
    begin = begin_of(1, turn_of(), WORDS, array("I", ids))
    assert begin.input_ids == b"".join(id_.to_bytes(4, "little") for id_ in ids)
    assert ids_of(begin.input_ids).tolist() == ids
    assert begin.messages == ()


def test_ids_travel_alike_on_big_endian_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "byteorder", "big")
    # Here the numbers lie the other way round, so the bytes come out swapped: once, and back.
    begin = begin_of(1, turn_of(), WORDS, array("I", [1, 258]))
    assert begin.input_ids == bytes([0, 0, 0, 1, 0, 0, 1, 2])
    assert ids_of(begin.input_ids).tolist() == [1, 258]


def test_without_ids_the_words_travel() -> None:
    begin = begin_of(1, turn_of(), WORDS, None)
    assert begin.input_ids is None
    assert begin.messages == (("user", "x"),)
    assert begin.template_json == ""
    assert asked_of(begin) == Asked([{"role": "user", "content": "x"}])


def test_every_wish_is_carried_over() -> None:
    turn = turn_of(
        output_tokens_max=9,
        choices=2,
        logprobs=LogprobsAsk(top=3),
        sampling=Sampling(
            temperature=0.5,
            top_p=0.9,
            presence_penalty=0.1,
            frequency_penalty=-0.2,
            seed=7,
            stop=("a", "b"),
            logit_bias=((3, -1.0),),
        ),
    )
    begin = begin_of(5, turn, WORDS, None)
    assert (begin.run, begin.output_tokens_max, begin.choices, begin.logprobs) == (5, 9, 2, 3)
    assert (begin.temperature, begin.top_p, begin.seed) == (0.5, 0.9, 7)
    assert (begin.presence_penalty, begin.frequency_penalty) == (0.1, -0.2)
    assert (begin.stop, begin.logit_bias) == (("a", "b"), ((3, -1.0),))


def test_what_is_not_asked_is_left_to_the_engine() -> None:
    begin = begin_of(1, turn_of(), WORDS, None)
    assert (begin.temperature, begin.top_p, begin.seed, begin.logprobs) == (None,) * 4
    assert (begin.presence_penalty, begin.frequency_penalty) == (0.0, 0.0)
    assert begin.grammar is None


def test_logprobs_without_alternatives_are_asked_as_zero() -> None:
    assert begin_of(1, turn_of(logprobs=LogprobsAsk()), WORDS, None).logprobs == 0


@pytest.mark.parametrize(
    ("form", "schema"),
    [
        (OutputFormat(FormatKind.JSON_OBJECT), ANY_OBJECT),
        (OutputFormat(FormatKind.JSON_SCHEMA, "it", OBJECT_SCHEMA), OBJECT_SCHEMA),
        (OutputFormat(FormatKind.JSON_SCHEMA, "it"), ANY_OBJECT),
    ],
)
def test_a_wished_form_becomes_a_grammar(form: OutputFormat, schema: str) -> None:
    assert begin_of(1, turn_of(output_format=form), WORDS, None).grammar == grammar_of(schema)


def test_a_schema_that_cannot_be_followed_is_refused() -> None:
    form = OutputFormat(
        FormatKind.JSON_SCHEMA, "it", '{"type":"string","pattern":"a+"}', strict=True
    )
    with pytest.raises(Problem) as caught:
        begin_of(1, turn_of(output_format=form), WORDS, None)
    assert caught.value.code is Code.UNSUPPORTED_FEATURE


def test_what_a_template_must_see_travels_instead_of_texts() -> None:
    prompt = prompt_of(turn_of(tools=(TOOL,)), Traits(tools=True))
    assert prompt.words == ()
    assert prompt.characters == len(prompt.template_json)
    begin = begin_of(1, turn_of(), prompt, None)
    asked = asked_of(begin)
    assert asked.messages == [{"role": "user", "content": "Say something."}]
    assert [tool["function"]["name"] for tool in asked.tools] == [TOOL.name]
    assert begin_of(1, turn_of(), prompt, array("I", [1])).template_json == ""


def test_a_prompt_may_end_inside_of_a_thought() -> None:
    assert in_thought("<|assistant|>\n<think>\n")
    assert not in_thought("<|assistant|>\n<think>\n\n</think>\n\n")
