"""A body to a Turn: every parameter and every note."""

import json
from typing import Any

import pytest

from tests.support.messages_body import HI, LOOK, notes, parse
from tokenbooth.core.features import Feature, asked_features
from tokenbooth.core.terms import ServiceTier
from tokenbooth.core.turn import (
    FormatKind,
    Message,
    OutputFormat,
    Role,
    Sampling,
    TextPart,
    Tool,
    ToolChoice,
    ToolMode,
)
from tokenbooth.protocols.anthropic_messages import ANTHROPIC_MESSAGES
from tokenbooth.protocols.anthropic_messages.parameters import PARAMETERS
from tokenbooth.protocols.parameters import Treatment

SCHEMA = {"type": "object", "properties": {"a": {"$ref": "#"}}}
FORMAT = {"type": "json_schema", "schema": SCHEMA}


def test_the_smallest_body() -> None:
    parsed = parse()
    turn = parsed.turn
    assert turn.model == "m"
    assert turn.messages == (Message(Role.USER, (TextPart("hi"),)),)
    assert (turn.choices, turn.output_tokens_max, turn.logprobs) == (1, 64, None)
    assert turn.sampling == Sampling()
    assert turn.output_format == OutputFormat()
    assert (turn.tools, turn.tool_choice, turn.parallel_tool_calls) == ((), ToolChoice(), None)
    assert (turn.reasoning_effort, turn.effort_optional) == (None, True)
    assert (turn.end_customer, turn.service_tier) == (None, ServiceTier.STANDARD)
    assert (parsed.stream, parsed.include_usage, parsed.notes) == (False, False, ())
    assert parsed.reasoning_shown


def test_null_means_unstated_for_every_optional_parameter() -> None:
    nulls = {row.name: None for row in PARAMETERS if not row.required and row.name != "max_tokens"}
    assert parse(**nulls) == parse()


def test_the_output_limit_may_be_left_out() -> None:
    assert parse(max_tokens=None).turn.output_tokens_max is None


def test_plain_parameters_arrive() -> None:
    parsed = parse(
        temperature=1,
        top_p=0.5,
        stop_sequences=["a", "b"],
        stream=True,
        max_tokens=7.0,
        metadata={"user_id": "u-1"},
        service_tier="standard_only",
    )
    turn = parsed.turn
    assert turn.sampling == Sampling(temperature=1.0, top_p=0.5, stop=("a", "b"))
    assert (turn.output_tokens_max, turn.end_customer) == (7, "u-1")
    assert turn.service_tier is ServiceTier.STANDARD
    assert (parsed.stream, parsed.include_usage) == (True, True)
    assert parsed.notes == ()


def test_an_empty_end_customer_is_none() -> None:
    assert parse(metadata={"user_id": ""}).turn.end_customer is None
    assert parse(metadata={}).turn.end_customer is None


def test_every_ignored_parameter_says_so() -> None:
    ignored = [row for row in PARAMETERS if row.treatment is Treatment.IGNORED]
    assert len(ignored) > 10
    for row in ignored:
        parsed = parse(**{row.name: 1})
        assert notes(parsed) == {row.name: row.note}
        assert parsed.turn == parse().turn


def test_unknown_fields_change_nothing_and_are_noted() -> None:
    parsed = parse(
        betas=["x"],
        novel={"deep": [1]},
        output_config={"task_budget": {"total": 9}},
        metadata={"user_id": "u", "trace": "t"},
    )
    assert notes(parsed) == {
        "betas": "ignored: unknown here",
        "novel": "ignored: unknown here",
        "output_config.task_budget": "ignored: unknown here",
        "metadata.trace": "ignored: unknown here",
    }


@pytest.mark.parametrize(
    ("thinking", "effort", "shown", "said"),
    [
        (None, None, True, {}),
        ({"type": "adaptive"}, None, True, {}),
        ({"type": "adaptive", "display": "summarized"}, None, True, {}),
        (
            {"type": "adaptive", "display": "omitted"},
            None,
            False,
            {"thinking.display": "translated: no thinking in the answer"},
        ),
        ({"type": "disabled"}, "none", False, {"thinking": "translated to effort none"}),
        (
            {"type": "between_tools"},
            None,
            True,
            {"thinking": "ignored: the model decides when it thinks"},
        ),
        (
            {"type": "dreaming", "depth": 3},
            None,
            True,
            {"thinking.dreaming": "ignored: unknown here"},
        ),
    ],
)
def test_thinking(thinking: Any, effort: str | None, shown: bool, said: dict[str, str]) -> None:
    parsed = parse(thinking=thinking)
    assert parsed.turn.reasoning_effort == effort
    assert parsed.reasoning_shown is shown
    assert notes(parsed) == said


@pytest.mark.parametrize(
    ("budget", "effort"),
    [
        (0, "low"),
        (1024, "low"),
        (4096, "low"),
        (4097, "medium"),
        (16384, "medium"),
        (16385, "high"),
        (2**31 - 1, "high"),
    ],
)
def test_a_budget_becomes_an_effort(budget: int, effort: str) -> None:
    parsed = parse(thinking={"type": "enabled", "budget_tokens": budget})
    assert parsed.turn.reasoning_effort == effort
    assert notes(parsed) == {"thinking.budget_tokens": f"translated to effort {effort}"}


@pytest.mark.parametrize("effort", ["low", "medium", "high", "xhigh", "max"])
def test_a_stated_effort_goes_before_a_budget_and_after_a_ban(effort: str) -> None:
    stated = {"effort": effort}
    assert parse(output_config=stated).turn.reasoning_effort == effort
    assert parse(output_config=stated).notes == ()
    budget = parse(output_config=stated, thinking={"type": "enabled", "budget_tokens": 9})
    assert budget.turn.reasoning_effort == effort
    assert notes(budget) == {"thinking.budget_tokens": "ignored: output_config.effort wins"}
    banned = parse(output_config=stated, thinking={"type": "disabled"})
    assert banned.turn.reasoning_effort == "none"
    assert notes(banned)["output_config.effort"] == "ignored: thinking is disabled"


def test_no_model_is_left_out_for_want_of_effort_levels() -> None:
    asked = parse(output_config={"effort": "high"}, thinking={"type": "adaptive"}).turn
    assert Feature.REASONING_EFFORT not in set(asked_features(asked))


def test_structured_output_in_its_newer_and_older_form() -> None:
    expected = OutputFormat(
        FormatKind.JSON_SCHEMA, "answer", json.dumps(SCHEMA, separators=(",", ":")), strict=True
    )
    newer = parse(output_config={"format": FORMAT})
    assert (newer.turn.output_format, newer.notes) == (expected, ())
    older = parse(output_format=FORMAT)
    assert older.turn.output_format == expected
    assert notes(older) == {"output_format": "translated to output_config.format"}
    other = {"type": "json_schema", "schema": {"type": "array"}}
    both = parse(output_format=other, output_config={"format": FORMAT})
    assert both.turn.output_format == expected
    assert notes(both) == {"output_format": "ignored: the newer wins"}


def test_tools_arrive_with_their_schemas() -> None:
    turn = parse(
        tools=[
            {
                "name": "look",
                "type": "custom",
                "description": "Look.",
                "input_schema": SCHEMA,
                "strict": True,
            },
            {"name": "go", "type": None, "input_schema": {"type": "object"}},
        ]
    ).turn
    assert turn.tools == (
        Tool("look", "Look.", json.dumps(SCHEMA, separators=(",", ":")), strict=True),
        Tool("go", "", '{"type":"object"}'),
    )
    assert Feature.TOOLS in set(asked_features(turn))


def test_what_a_tool_says_that_has_no_effect_is_noted_once() -> None:
    more = {
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
        "defer_loading": True,
        "eager_input_streaming": True,
        "input_examples": [{}],
        "allowed_callers": ["direct"],
        "novel": 1,
    }
    found = notes(parse(tools=[{**LOOK, **more}, {**LOOK, "name": "b", **more}]))
    assert found == {
        "tools[].cache_control": "ignored: the engine decides what is cached",
        "tools[].allowed_callers": "ignored: every tool is called directly",
        "tools[].defer_loading": "ignored: every tool is there from the start",
        "tools[].eager_input_streaming": "ignored: arguments are streamed as they are written",
        "tools[].input_examples": "ignored: engines take none",
        "tools[].novel": "ignored: unknown here",
    }


def test_tools_of_other_types_are_left_out_with_a_note() -> None:
    parsed = parse(
        tools=[
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 5},
            LOOK,
            {"type": "bash_20250124", "name": "bash"},
        ]
    )
    assert [tool.name for tool in parsed.turn.tools] == ["look"]
    assert notes(parsed) == {
        "tools[].web_search_20250305": "ignored: unknown here",
        "tools[].bash_20250124": "ignored: unknown here",
    }


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, ToolChoice(ToolMode.AUTO)),
        ({"type": "any"}, ToolChoice(ToolMode.REQUIRED)),
        ({"type": "none"}, ToolChoice(ToolMode.NONE)),
        ({"type": "tool", "name": "look"}, ToolChoice(ToolMode.NAMED, "look")),
    ],
)
@pytest.mark.parametrize(("single", "parallel"), [(None, None), (True, False), (False, True)])
def test_every_choice_of_tools(
    choice: Any, expected: ToolChoice, single: bool | None, parallel: bool | None
) -> None:
    turn = parse(tools=[LOOK], tool_choice={**choice, "disable_parallel_tool_use": single}).turn
    assert turn.tool_choice == expected
    assert turn.parallel_tool_calls is parallel


def test_a_choice_without_tools_that_asks_for_none_is_taken() -> None:
    assert parse(tool_choice={"type": "auto"}).turn.tool_choice == ToolChoice()


@pytest.mark.parametrize("feature", list(Feature))
def test_every_feature_has_a_name_here(feature: Feature) -> None:
    known = {row.name for row in PARAMETERS}
    assert ANTHROPIC_MESSAGES.param_of(feature).partition(".")[0] in {*known, "usage"}


def test_the_names_of_the_dialect() -> None:
    assert ANTHROPIC_MESSAGES.name == "anthropic_messages"
    assert ANTHROPIC_MESSAGES.output_limit_param == "max_tokens"
    assert ANTHROPIC_MESSAGES.param_of(Feature.TOOLS) == "tools"
    assert ANTHROPIC_MESSAGES.param_of(Feature.IMAGES) == "messages"


AGENT = {
    "model": "m",
    "max_tokens": 32000,
    "stream": True,
    "system": [
        {"type": "text", "text": "x-anthropic-billing-header: v=2.1; nonce=9a1;"},
        {"type": "text", "text": "You are an agent.", "cache_control": {"type": "ephemeral"}},
    ],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "say pong"}]},
        {"role": "system", "content": "The directory has changed."},
    ],
    "tools": [
        {
            "name": "Read",
            "description": "Reads a file.",
            "input_schema": {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
                "properties": {"file_path": {"type": "string"}},
                "required": ["file_path"],
                "additionalProperties": False,
            },
            "eager_input_streaming": True,
        }
    ],
    "metadata": {"user_id": "user_" + "0" * 64 + "_account__session_" + "1" * 36},
    "thinking": {"type": "adaptive"},
    "output_config": {"effort": "medium"},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "unheard_of_beta": {"on": True},
}


def test_the_body_of_a_coding_agent_is_taken_as_it_is() -> None:
    parsed = ANTHROPIC_MESSAGES.parse(json.dumps(AGENT).encode())
    assert [(m.role, m.text) for m in parsed.turn.messages] == [
        (Role.SYSTEM, "You are an agent."),
        (Role.USER, "say pong"),
        (Role.SYSTEM, "The directory has changed."),
    ]
    assert set(notes(parsed)) == {
        "system",
        "system[].cache_control",
        "tools[].eager_input_streaming",
        "context_management",
        "unheard_of_beta",
    }
    assert set(asked_features(parsed.turn)) == {Feature.TOOLS}


def test_a_prompt_stays_the_same_behind_a_billing_line_that_changes() -> None:
    turns = []
    for nonce in ("9a1", "b07"):
        line = {"type": "text", "text": f"x-anthropic-billing-header: nonce={nonce};"}
        turns.append(parse(system=[line, {"type": "text", "text": "Be kind."}]).turn)
    assert turns[0] == turns[1]
    assert len(turns[0].messages) == 2
    alone = parse(system="x-anthropic-billing-header: a", messages=[HI])
    assert [m.role for m in alone.turn.messages] == [Role.USER]
