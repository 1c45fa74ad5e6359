"""What the script answers to a turn."""

import dataclasses
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.agent_tools import TOOLS
from tests.support.turns import OBJECT_SCHEMA, TOOL, said, turn_of
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, FinishReason, Usage
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import (
    FormatKind,
    LogprobsAsk,
    OutputFormat,
    Role,
    Sampling,
    Tool,
    ToolChoice,
    ToolMode,
    Turn,
)
from tokenbooth.engines.scripted.rules import (
    ChoicePlan,
    commands_in,
    embedding,
    plan,
    steps,
    usage_of,
    wanted_tools,
)
from tokenbooth.engines.scripted.values import AnswerKind, ScriptOptions, UsageFault

OTHER = Tool("open_door", "", "{}")


def options(**fields: Any) -> ScriptOptions:
    return ScriptOptions(**{"chunks": 6} | fields)


def planned(turn: Turn, **fields: Any) -> ChoicePlan:
    return plan(turn, options(**fields), 10)[0]


def answer(turn: Turn, **fields: Any) -> str:
    return "".join(planned(turn, **fields).answer)


def all_steps(turn: Turn, **fields: Any) -> list[Delta]:
    chosen = options(**fields)
    return list(steps(plan(turn, chosen, 10), turn, chosen))


def test_words_are_as_many_as_asked() -> None:
    assert len(planned(turn_of(), chunks=5, tokens_per_chunk=3).answer) == 15
    assert len(planned(turn_of(), chunks=100).answer) == 100
    assert planned(turn_of(), chunks=0).answer == ()


def test_the_answer_depends_on_prompt_seed_and_option_seed() -> None:
    seeds = [turn_of("a"), turn_of("b"), turn_of("a", sampling=Sampling(seed=1))]
    answers = {answer(turn) for turn in seeds} | {answer(seeds[0], seed=9)}
    assert len(answers) == 4
    assert answer(turn_of("a")) == answer(turn_of("a"))


def test_roles_and_message_borders_matter() -> None:
    one = turn_of(messages=(said("ab"),))
    two = turn_of(messages=(said("a"), said("b")))
    three = turn_of(messages=(said("ab", Role.SYSTEM),))
    assert len({answer(turn) for turn in (one, two, three)}) == 3


def test_choices_differ() -> None:
    plans = plan(turn_of(choices=3), options(), 10)
    assert [p.choice for p in plans] == [0, 1, 2]
    assert len({p.answer for p in plans}) == 3


def test_echo_and_fixed_text() -> None:
    turn = turn_of(messages=(said("first"), said("again, please"), said("no", Role.ASSISTANT)))
    assert answer(turn, answer=AnswerKind.ECHO) == "again, please"
    assert answer(turn, answer=AnswerKind.TEXT, text="Ready.") == "Ready."
    assert answer(turn_of(messages=()), answer=AnswerKind.ECHO) == ""


def test_a_question_that_it_knows_is_solved_and_another_is_not() -> None:
    known = turn_of("Compute 3 * 4 + 5. Answer with the number only.")
    assert answer(known, answer=AnswerKind.SOLVE) == "17"
    other = turn_of("Why?")
    assert answer(other, answer=AnswerKind.SOLVE) == answer(other)


@pytest.mark.parametrize(("limit", "finish"), [(5, FinishReason.LENGTH), (6, FinishReason.STOP)])
def test_the_output_limit(limit: int, finish: FinishReason) -> None:
    found = planned(turn_of(output_tokens_max=limit))
    assert len(found.answer) == limit
    assert found.finish is finish


def test_the_context_window_limits_the_output() -> None:
    found = plan(turn_of(output_tokens_max=50), options(context_tokens=14), 10)[0]
    assert len(found.answer) == 4
    assert found.finish is FinishReason.LENGTH


def test_a_finish_reason_can_be_ordered_but_a_limit_wins() -> None:
    ordered = {"finish": FinishReason.CONTENT_FILTER}
    assert planned(turn_of(), **ordered).finish is FinishReason.CONTENT_FILTER
    assert planned(turn_of(output_tokens_max=1), **ordered).finish is FinishReason.LENGTH


@pytest.mark.parametrize(
    ("stops", "text", "tokens", "met"),
    [
        ((" is",), "This", 2, " is"),
        (("is",), "Th", 1, "is"),
        ((", a", "hort"), "This is a s", 4, "hort"),
        (("s is a s",), "Thi", 4, "s is a s"),
        (("nowhere",), "This is a short, a text.", 8, None),
        (("", "nowhere"), "This is a short, a text.", 8, None),
        (("This",), "", 1, "This"),
    ],
)
def test_a_stop_string_cuts_before_itself_and_is_told(
    stops: tuple[str, ...], text: str, tokens: int, met: str | None
) -> None:
    turn = turn_of(sampling=Sampling(stop=stops))
    found = planned(turn, answer=AnswerKind.TEXT, text="This is a short, a text.")
    assert "".join(found.answer) == text
    assert found.output_tokens == tokens
    assert (found.finish, found.stopped_by) == (FinishReason.STOP, met)
    told = all_steps(turn, answer=AnswerKind.TEXT, text="This is a short, a text.")
    assert [step.stopped_by for step in told] == [None] * (len(told) - 1) + [met]


def test_a_stop_string_beyond_the_limit_is_not_reached() -> None:
    turn = turn_of(output_tokens_max=2, sampling=Sampling(stop=("c",)))
    found = planned(turn, answer=AnswerKind.TEXT, text="a b c d")
    assert "".join(found.answer) == "a b"
    assert found.finish is FinishReason.LENGTH


def test_a_stop_string_within_the_limit_is_a_stop_although_more_was_to_come() -> None:
    turn = turn_of(output_tokens_max=3, sampling=Sampling(stop=("c",)))
    assert planned(turn, answer=AnswerKind.TEXT, text="a b c d").finish is FinishReason.STOP


@given(st.text(max_size=30), st.lists(st.text(max_size=3), max_size=3))
def test_no_stop_string_is_ever_said(text: str, stops: list[str]) -> None:
    turn = turn_of(sampling=Sampling(stop=tuple(stops)))
    found = answer(turn, answer=AnswerKind.TEXT, text=text)
    assert text.startswith(found)
    assert not any(stop and stop in found for stop in stops)


def test_reasoning_comes_first_and_counts() -> None:
    found = planned(turn_of(output_tokens_max=5), reasoning_tokens=3)
    assert (len(found.reasoning), len(found.answer)) == (3, 2)
    assert found.finish is FinishReason.LENGTH
    assert planned(turn_of(output_tokens_max=2), reasoning_tokens=3).answer == ()
    cut = planned(turn_of(output_tokens_max=2), reasoning_tokens=3, chunks=0)
    assert cut.finish is FinishReason.LENGTH


@pytest.mark.parametrize(
    ("effort", "tokens"),
    [("none", 0), ("minimal", 2), ("low", 4), ("medium", 8), ("high", 16), (None, 8)],
)
def test_effort_scales_the_reasoning(effort: str | None, tokens: int) -> None:
    found = planned(turn_of(reasoning_effort=effort), reasoning_tokens=8)
    assert len(found.reasoning) == tokens


def test_json_formats() -> None:
    schema = OutputFormat(FormatKind.JSON_SCHEMA, "it", OBJECT_SCHEMA)
    assert json.loads(answer(turn_of(output_format=schema))) == {"ok": False}
    obj = OutputFormat(FormatKind.JSON_OBJECT)
    assert set(json.loads(answer(turn_of(output_format=obj)))) == {"answer"}


def test_a_schema_that_cannot_be_built_is_refused() -> None:
    schema = OutputFormat(FormatKind.JSON_SCHEMA, "it", '{"pattern":"a"}')
    with pytest.raises(Problem) as caught:
        plan(turn_of(output_format=schema), options(), 10)
    assert caught.value.code is Code.UNSUPPORTED_FEATURE


@pytest.mark.parametrize(
    ("text", "fields", "names"),
    [
        ("hello", {}, []),
        ("use read_clock", {}, ["read_clock"]),
        ("read_clock, open_door", {}, ["read_clock", "open_door"]),
        ("read_clock, open_door", {"parallel_tool_calls": False}, ["read_clock"]),
        ("read_clock", {"tool_choice": ToolChoice(ToolMode.NONE)}, []),
        ("hello", {"tool_choice": ToolChoice(ToolMode.REQUIRED)}, ["read_clock"]),
        ("open_door", {"tool_choice": ToolChoice(ToolMode.REQUIRED)}, ["open_door"]),
        ("read_clock", {"tool_choice": ToolChoice(ToolMode.NAMED, "open_door")}, ["open_door"]),
        ("hello", {"tool_choice": ToolChoice(ToolMode.NAMED, "gone")}, []),
    ],
)
def test_which_tools_are_called(text: str, fields: dict[str, Any], names: list[str]) -> None:
    turn = turn_of(text, tools=(TOOL, OTHER), **fields)
    assert [tool.name for tool in wanted_tools(turn)] == names


def test_after_a_tool_has_answered_the_script_talks() -> None:
    messages = (said("use read_clock"), said("read_clock says 12", Role.TOOL))
    assert wanted_tools(turn_of(messages=messages, tools=(TOOL,))) == ()
    assert wanted_tools(turn_of(messages=(), tools=(TOOL,))) == ()


def test_a_word_of_the_system_behind_the_question_hides_no_tool() -> None:
    messages = (said("use read_clock"), said("be brief", Role.SYSTEM), said("now", Role.DEVELOPER))
    assert wanted_tools(turn_of(messages=messages, tools=(TOOL,))) == (TOOL,)
    only_system = (said("use read_clock", Role.SYSTEM),)
    assert wanted_tools(turn_of(messages=only_system, tools=(TOOL,))) == ()


def test_a_told_tool_is_called_as_told_until_there_is_a_result() -> None:
    told = {"call": "open_door", "call_arguments": '{"which": "left"}', "text": "It is open."}
    turn = turn_of("hello read_clock", tools=(TOOL, OTHER))
    (call,) = planned(turn, answer=AnswerKind.TEXT, **told).calls
    assert (call.name, "".join(call.arguments)) == ("open_door", '{"which": "left"}')
    after = (*turn.messages, said("done", Role.TOOL), said("and now read_clock"))
    answered = turn_of(messages=after, tools=(TOOL, OTHER))
    assert answer(answered, answer=AnswerKind.TEXT, **told) == "It is open."
    assert planned(turn_of(tools=(TOOL,)), **told).calls == ()
    must = turn_of(messages=after, tools=(TOOL,), tool_choice=ToolChoice(ToolMode.REQUIRED))
    assert [tool.name for tool in wanted_tools(must, "open_door")] == ["read_clock"]


def test_a_tool_call_is_valid_and_counted() -> None:
    found = planned(turn_of("read_clock", tools=(TOOL,)))
    assert found.finish is FinishReason.TOOL_CALLS
    assert found.answer == ()
    (call,) = found.calls
    assert call.name == "read_clock"
    assert call.id.startswith("call_")
    assert json.loads("".join(call.arguments)) == {"ok": False}
    assert found.output_tokens == 1 + len(call.arguments)


def test_arguments_are_always_an_object() -> None:
    odd = Tool("odd", "", '{"type":"string"}')
    (call,) = planned(turn_of("odd", tools=(odd,))).calls
    assert "".join(call.arguments) == "{}"


def test_calls_of_one_answer_have_different_ids_and_the_same_ids_again() -> None:
    turn = turn_of("read_clock open_door", tools=(TOOL, OTHER))
    ids = [call.id for call in planned(turn).calls]
    assert len(set(ids)) == 2
    assert ids == [call.id for call in planned(turn).calls]


@pytest.mark.parametrize(
    ("limit", "calls", "finish"),
    [
        (0, 0, FinishReason.LENGTH),
        (1, 1, FinishReason.LENGTH),
        (4, 1, FinishReason.LENGTH),
        (8, 1, FinishReason.LENGTH),
        (9, 2, FinishReason.LENGTH),
        (11, 2, FinishReason.TOOL_CALLS),
    ],
)
def test_a_limit_cuts_tool_calls(limit: int, calls: int, finish: FinishReason) -> None:
    turn = turn_of("read_clock open_door", tools=(TOOL, OTHER), output_tokens_max=limit)
    found = planned(turn)
    assert len(found.calls) == calls
    assert found.finish is finish
    assert found.output_tokens == limit


def test_a_choice_is_told_in_chunks_and_finishes_once() -> None:
    found = all_steps(turn_of(), chunks=3, tokens_per_chunk=2, reasoning_tokens=3)
    assert [delta.output_tokens for delta in found] == [2, 1, 2, 2, 2]
    assert [bool(delta.reasoning) for delta in found] == [True, True, False, False, False]
    assert [delta.finish for delta in found] == [None] * 4 + [FinishReason.STOP]


def test_an_empty_answer_is_one_delta() -> None:
    assert all_steps(turn_of(), chunks=0) == [Delta(finish=FinishReason.STOP)]


def test_choices_take_turns() -> None:
    found = all_steps(turn_of(choices=2), chunks=3)
    assert [delta.choice for delta in found] == [0, 1, 0, 1, 0, 1]


def test_tool_calls_are_told_in_pieces() -> None:
    turn = turn_of("read_clock open_door", tools=(TOOL, OTHER))
    calls = [delta.tool_call for delta in all_steps(turn, tokens_per_chunk=3)]
    assert all(calls)
    openings = [call for call in calls if call and call.id is not None]
    assert [(call.index, call.name) for call in openings] == [(0, "read_clock"), (1, "open_door")]
    assert all(call.name is None for call in calls if call and call.id is None)


@given(
    st.integers(1, 3),
    st.integers(0, 9),
    st.integers(1, 4),
    st.integers(0, 5),
    st.none() | st.integers(0, 12),
    st.booleans(),
)
def test_the_deltas_add_up_to_the_plan(
    choices: int, chunks: int, size: int, thoughts: int, limit: int | None, tool: bool
) -> None:
    turn = turn_of(
        "read_clock", choices=choices, output_tokens_max=limit, tools=(TOOL,) if tool else ()
    )
    chosen = options(chunks=chunks, tokens_per_chunk=size, reasoning_tokens=thoughts)
    plans = plan(turn, chosen, 10)
    found = list(steps(plans, turn, chosen))
    for p in plans:
        mine = [delta for delta in found if delta.choice == p.choice]
        assert sum(delta.output_tokens for delta in mine) == p.output_tokens
        assert p.output_tokens <= (10**9 if limit is None else limit)
        assert [delta.finish for delta in mine if delta.finish] == [p.finish]
        assert mine[-1].finish is p.finish
        assert "".join(delta.text for delta in mine) == "".join(p.answer)
        assert "".join(delta.reasoning for delta in mine) == "".join(p.reasoning)


def test_logprobs_are_a_distribution_that_ranks_the_said_token_first() -> None:
    found = all_steps(turn_of(logprobs=LogprobsAsk(top=4)), tokens_per_chunk=2)
    tokens = [token for delta in found for token in delta.logprobs]
    assert len(tokens) == 12
    for token in tokens:
        assert token.logprob == -math.log(2)
        assert token.alternatives[0] == (token.text, token.logprob)
        assert len(token.alternatives) == 4
        assert len({text for text, _ in token.alternatives}) == 4
        assert sum(math.exp(logprob) for _, logprob in token.alternatives) < 1


def test_logprobs_without_alternatives_and_none_unasked() -> None:
    plain = [token for delta in all_steps(turn_of()) for token in delta.logprobs]
    assert plain == []
    asked = [t for d in all_steps(turn_of(logprobs=LogprobsAsk())) for t in d.logprobs]
    assert len(asked) == 6
    assert all(token.alternatives == () for token in asked)


def test_a_token_that_a_stop_cut_away_has_no_logprob() -> None:
    turn = turn_of(logprobs=LogprobsAsk(), sampling=Sampling(stop=(" b",)))
    found = all_steps(turn, answer=AnswerKind.TEXT, text="a b c")
    assert [t.text for d in found for t in d.logprobs] == ["a"]
    assert sum(delta.output_tokens for delta in found) == 2


def test_usage_tells_the_truth_by_default() -> None:
    assert usage_of(9, (4, 1), options()) == Usage(9, 4, None, 1)


def test_cached_tokens_never_exceed_the_input() -> None:
    for asked, told in ((0, 0), (5, 5), (20, 9)):
        usage = usage_of(9, (4, 0), options(cached_tokens=asked))
        assert usage is not None
        assert usage.cached_input_tokens == told


def test_usage_lies_as_it_is_told() -> None:
    assert usage_of(9, (4, 0), options(usage=UsageFault.MISSING)) is None
    negative = usage_of(9, (4, 0), options(usage=UsageFault.NEGATIVE))
    assert negative is not None
    assert negative.input_tokens < 0
    large = usage_of(9, (4, 0), options(usage=UsageFault.TOO_LARGE))
    assert large is not None
    assert large.output_tokens > 10**9


@given(st.text(max_size=20), st.integers(1, 100))
def test_embeddings_are_unit_vectors(text: str, dimensions: int) -> None:
    vector = embedding(text, dimensions)
    assert len(vector) == dimensions
    assert math.isclose(math.hypot(*vector), 1.0)
    assert vector == embedding(text, dimensions)


def test_different_texts_have_different_embeddings() -> None:
    assert embedding("a", 8) != embedding("b", 8)


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("hello", {}),
        ("[script chunks=4]", {"chunks": "4"}),
        ("please [script fault=fail chunks=2] now", {"fault": "fail", "chunks": "2"}),
        ("[script ]", {}),
        ("[script text=]", {"text": ""}),
        ("[script loose]", {"loose": ""}),
        ("[scripted chunks=4]", {}),
    ],
)
def test_commands_in_a_prompt(text: str, commands: dict[str, str]) -> None:
    assert commands_in(turn_of(text)) == commands


def test_commands_stand_in_the_last_message_of_the_user() -> None:
    messages = (said("[script chunks=1]"), said("hello"), said("[script chunks=2]", Role.SYSTEM))
    assert commands_in(turn_of(messages=messages)) == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"chunks": -1},
        {"chunks": 10**7},
        {"tokens_per_chunk": 0},
        {"first_delay_ms": -1},
        {"cached_tokens": -1},
        {"context_tokens": 0},
        {"embedding_dimensions": 0},
        {"features": frozenset({"images"})},
    ],
)
def test_impossible_options_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(fields))):
        ScriptOptions(**fields)


def test_options_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ScriptOptions().chunks = 5  # type: ignore[misc]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_every_tool_of_an_agent_can_be_called(tool: Tool) -> None:
    turn = turn_of(tools=TOOLS, tool_choice=ToolChoice(ToolMode.NAMED, tool.name))
    (choice,) = plan(turn, ScriptOptions(), 10)
    (call,) = choice.calls
    assert call.name == tool.name
    assert isinstance(json.loads("".join(call.arguments)), dict)
