"""Golden transcripts: each kind of answer, event by event, and the whole body beside it."""

from typing import Any

import pytest

from tests.support.response_items import (
    CALLS_TOOLS,
    CUSTOM,
    FUNCTIONS,
    STOP,
    call,
    function,
    message,
    output_of,
    reasoning,
    text,
    told,
)
from tests.support.responses import Json, folded, streamed, whole
from tokenbooth.core.delta import Delta, FinishReason

GOLDEN: dict[str, tuple[dict[str, Any], list[Delta], list[tuple[Any, ...]], list[Json]]] = {
    "text": (
        {},
        [Delta(text="Hé"), Delta(text="llo"), STOP],
        [
            ("output_item.added", 0, "message", "in_progress"),
            ("content_part.added", 0, 0, "output_text", ""),
            ("output_text.delta", 0, 0, "Hé"),
            ("output_text.delta", 0, 0, "llo"),
            ("output_text.done", 0, 0, "Héllo"),
            ("content_part.done", 0, 0, "output_text", "Héllo"),
            ("output_item.done", 0, "message", "completed"),
        ],
        [message([text("Héllo")])],
    ),
    "nothing at all": ({}, [], [], []),
    "only a finish": ({}, [STOP], [], []),
    "one tool": (
        {"tools": FUNCTIONS},
        [call(0, "", "c1", "f"), call(0, '{"a"'), call(0, ":1}"), CALLS_TOOLS],
        [
            ("output_item.added", 0, "function_call", "in_progress"),
            ("function_call_arguments.delta", 0, '{"a"'),
            ("function_call_arguments.delta", 0, ":1}"),
            ("function_call_arguments.done", 0, '{"a":1}'),
            ("output_item.done", 0, "function_call", "completed"),
        ],
        [function("f", "c1", '{"a":1}')],
    ),
    "text and parallel tools": (
        {"tools": FUNCTIONS},
        [
            Delta(text="Let me look."),
            call(0, "{", "c1", "f"),
            call(1, "[", "c2", "g"),
            call(0, "}"),
            call(1, "]"),
            CALLS_TOOLS,
        ],
        [
            ("output_item.added", 0, "message", "in_progress"),
            ("content_part.added", 0, 0, "output_text", ""),
            ("output_text.delta", 0, 0, "Let me look."),
            ("output_text.done", 0, 0, "Let me look."),
            ("content_part.done", 0, 0, "output_text", "Let me look."),
            ("output_item.done", 0, "message", "completed"),
            ("output_item.added", 1, "function_call", "in_progress"),
            ("function_call_arguments.delta", 1, "{"),
            ("output_item.added", 2, "function_call", "in_progress"),
            ("function_call_arguments.delta", 2, "["),
            ("function_call_arguments.delta", 1, "}"),
            ("function_call_arguments.delta", 2, "]"),
            ("function_call_arguments.done", 1, "{}"),
            ("output_item.done", 1, "function_call", "completed"),
            ("function_call_arguments.done", 2, "[]"),
            ("output_item.done", 2, "function_call", "completed"),
        ],
        [message([text("Let me look.")]), function("f", "c1", "{}"), function("g", "c2", "[]")],
    ),
    "a custom tool": (
        {"tools": CUSTOM},
        [call(0, '{"input":', "c1", "p"), call(0, '"é\\n"}'), CALLS_TOOLS],
        [
            ("output_item.added", 0, "custom_tool_call", "in_progress"),
            ("custom_tool_call_input.delta", 0, "é\n"),
            ("custom_tool_call_input.done", 0, "é\n"),
            ("output_item.done", 0, "custom_tool_call", "completed"),
        ],
        [
            {
                "type": "custom_tool_call",
                "status": "completed",
                "call_id": "c1",
                "name": "p",
                "input": "é\n",
            }
        ],
    ),
    "reasoning, then text": (
        {},
        [Delta(reasoning="Hm"), Delta(reasoning="m."), Delta(text="Yes."), STOP],
        [
            ("output_item.added", 0, "reasoning", "in_progress"),
            ("content_part.added", 0, 0, "reasoning_text", ""),
            ("reasoning_text.delta", 0, 0, "Hm"),
            ("reasoning_text.delta", 0, 0, "m."),
            ("reasoning_text.done", 0, 0, "Hmm."),
            ("content_part.done", 0, 0, "reasoning_text", "Hmm."),
            ("output_item.done", 0, "reasoning", "completed"),
            ("output_item.added", 1, "message", "in_progress"),
            ("content_part.added", 1, 0, "output_text", ""),
            ("output_text.delta", 1, 0, "Yes."),
            ("output_text.done", 1, 0, "Yes."),
            ("content_part.done", 1, 0, "output_text", "Yes."),
            ("output_item.done", 1, "message", "completed"),
        ],
        [reasoning("Hmm."), message([text("Yes.")])],
    ),
    "reasoning as a summary": (
        {"reasoning": {"summary": "auto"}},
        [Delta(reasoning="Hmm."), STOP],
        [
            ("output_item.added", 0, "reasoning", "in_progress"),
            ("reasoning_summary_part.added", 0, 0, "summary_text", ""),
            ("reasoning_summary_text.delta", 0, 0, "Hmm."),
            ("reasoning_summary_text.done", 0, 0, "Hmm."),
            ("reasoning_summary_part.done", 0, 0, "summary_text", "Hmm."),
            ("output_item.done", 0, "reasoning", "completed"),
        ],
        [reasoning("Hmm.", summary=True)],
    ),
    "a refusal after text": (
        {},
        [Delta(text="Well, "), Delta(refusal="no."), STOP],
        [
            ("output_item.added", 0, "message", "in_progress"),
            ("content_part.added", 0, 0, "output_text", ""),
            ("output_text.delta", 0, 0, "Well, "),
            ("output_text.done", 0, 0, "Well, "),
            ("content_part.done", 0, 0, "output_text", "Well, "),
            ("content_part.added", 0, 1, "refusal", ""),
            ("refusal.delta", 0, 1, "no."),
            ("refusal.done", 0, 1, "no."),
            ("content_part.done", 0, 1, "refusal", "no."),
            ("output_item.done", 0, "message", "completed"),
        ],
        [message([text("Well, "), {"type": "refusal", "refusal": "no."}])],
    ),
    "text after a tool": (
        {"tools": FUNCTIONS},
        [call(0, "{}", "c1", "f"), Delta(text="There."), CALLS_TOOLS],
        [
            ("output_item.added", 0, "function_call", "in_progress"),
            ("function_call_arguments.delta", 0, "{}"),
            ("output_item.added", 1, "message", "in_progress"),
            ("content_part.added", 1, 0, "output_text", ""),
            ("output_text.delta", 1, 0, "There."),
            ("function_call_arguments.done", 0, "{}"),
            ("output_item.done", 0, "function_call", "completed"),
            ("output_text.done", 1, 0, "There."),
            ("content_part.done", 1, 0, "output_text", "There."),
            ("output_item.done", 1, "message", "completed"),
        ],
        [function("f", "c1", "{}"), message([text("There.")])],
    ),
    "cut by its length": (
        {"max_output_tokens": 1},
        [Delta(text="Th", finish=FinishReason.LENGTH)],
        [
            ("output_item.added", 0, "message", "in_progress"),
            ("content_part.added", 0, 0, "output_text", ""),
            ("output_text.delta", 0, 0, "Th"),
            ("output_text.done", 0, 0, "Th"),
            ("content_part.done", 0, 0, "output_text", "Th"),
            ("output_item.done", 0, "message", "incomplete"),
        ],
        [message([text("Th")], "incomplete")],
    ),
    "cut inside the second of two calls": (
        {"tools": FUNCTIONS},
        [call(0, "{}", "c1", "f"), call(1, "{", "c2", "g"), Delta(finish=FinishReason.LENGTH)],
        [
            ("output_item.added", 0, "function_call", "in_progress"),
            ("function_call_arguments.delta", 0, "{}"),
            ("output_item.added", 1, "function_call", "in_progress"),
            ("function_call_arguments.delta", 1, "{"),
            ("function_call_arguments.done", 0, "{}"),
            ("output_item.done", 0, "function_call", "completed"),
            ("function_call_arguments.done", 1, "{"),
            ("output_item.done", 1, "function_call", "incomplete"),
        ],
        [function("f", "c1", "{}"), function("g", "c2", "{", "incomplete")],
    ),
    "an answer to an image": (
        {
            "input": [
                {
                    "role": "user",
                    "content": [{"type": "input_image", "image_url": "https://x/y.png"}],
                }
            ]
        },
        [Delta(text="A cat."), STOP],
        [
            ("output_item.added", 0, "message", "in_progress"),
            ("content_part.added", 0, 0, "output_text", ""),
            ("output_text.delta", 0, 0, "A cat."),
            ("output_text.done", 0, 0, "A cat."),
            ("content_part.done", 0, 0, "output_text", "A cat."),
            ("output_item.done", 0, "message", "completed"),
        ],
        [message([text("A cat.")])],
    ),
}


@pytest.mark.parametrize(("asked", "deltas", "lines", "items"), GOLDEN.values(), ids=GOLDEN)
def test_golden_transcripts(
    asked: dict[str, Any], deltas: list[Delta], lines: list[Any], items: list[Json]
) -> None:
    found = streamed(deltas, **asked)
    assert told(found) == lines
    assert output_of(found[-1]["response"]) == items
    assert folded(found) == whole(deltas, **asked)
