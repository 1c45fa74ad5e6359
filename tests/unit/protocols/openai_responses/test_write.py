"""Golden transcripts: each kind of answer, event by event, and the whole body beside it."""

import json
from typing import Any

import pytest

from tests.support.responses import (
    END,
    RECEIPT,
    USAGE,
    Json,
    events,
    folded,
    stream_writer,
    streamed,
    whole,
    whole_writer,
)
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, FinishReason, RunEnd, TokenLogprob, ToolCallDelta, Usage
from tokenbooth.core.problem import Problem
from tokenbooth.protocols.openai_responses import OPENAI_RESPONSES
from tokenbooth.protocols.openai_responses.output import TOOL_CALLS_MAX
from tokenbooth.protocols.openai_responses.write import HEARTBEAT

STOP = Delta(finish=FinishReason.STOP)
CALLS_TOOLS = Delta(finish=FinishReason.TOOL_CALLS)
FUNCTIONS = [{"type": "function", "name": "f"}, {"type": "function", "name": "g"}]
CUSTOM = [{"type": "custom", "name": "p"}]


def call(
    index: int, arguments: str = "", call_id: str | None = None, name: str | None = None
) -> Delta:
    return Delta(tool_call=ToolCallDelta(index, arguments, call_id, name))


def told(found: list[Json]) -> list[tuple[Any, ...]]:
    """Each event between the first two and the last: its kind, its places and what it says."""
    lines = []
    for event in found[2:-1]:
        kind = event["type"].removeprefix("response.")
        places = [event["output_index"]]
        places += [event[name] for name in ("content_index", "summary_index") if name in event]
        names = ("delta", "text", "refusal", "arguments", "input")
        said = [event[name] for name in names if name in event]
        if "item" in event:
            said = [event["item"]["type"], event["item"]["status"]]
        if "part" in event:
            part = event["part"]
            said = [part["type"], part.get("text", part.get("refusal"))]
        lines.append((kind, *places, *said))
    return lines


def output_of(body: Json) -> list[Json]:
    """The items without what the order of the events shows already."""
    items: list[Json] = body["output"]
    return [{name: item[name] for name in item if name != "id"} for item in items]


def message(content: list[Json], status: str = "completed") -> Json:
    return {
        "type": "message",
        "status": status,
        "role": "assistant",
        "phase": None,
        "content": content,
    }


def text(said: str) -> Json:
    return {"type": "output_text", "text": said, "annotations": [], "logprobs": []}


def reasoning(said: str, *, summary: bool = False) -> Json:
    return {
        "type": "reasoning",
        "status": "completed",
        "summary": [{"type": "summary_text", "text": said}] if summary else [],
        "content": [] if summary else [{"type": "reasoning_text", "text": said}],
        "encrypted_content": None,
    }


def function(name: str, call_id: str, arguments: str, status: str = "completed") -> Json:
    return {
        "type": "function_call",
        "status": status,
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }


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


@pytest.mark.parametrize(
    ("finish", "cancelled", "status", "reason"),
    [
        (FinishReason.STOP, False, "completed", None),
        (FinishReason.TOOL_CALLS, False, "completed", None),
        (FinishReason.LENGTH, False, "incomplete", "max_output_tokens"),
        (FinishReason.CONTENT_FILTER, True, "incomplete", "content_filter"),
        (FinishReason.STOP, True, "completed", None),
        (None, False, "completed", None),
        (None, True, "incomplete", "max_output_tokens"),
    ],
)
def test_how_it_ends(
    finish: FinishReason | None, cancelled: bool, status: str, reason: str | None
) -> None:
    end = RunEnd(USAGE, cancelled=cancelled)
    deltas = [Delta(text="a"), *([Delta(finish=finish)] if finish else [])]
    for response in (whole(deltas, end), streamed(deltas, end)[-1]["response"]):
        assert response["status"] == status
        assert response["incomplete_details"] == (reason and {"reason": reason})
        assert response["output"][0]["status"] == status
        assert response["error"] is None


def test_the_first_events_tell_what_was_asked() -> None:
    found = streamed([STOP], instructions="Be kind.", metadata={"a": "b"}, temperature=0.5)
    assert [event["type"] for event in found] == [
        "response.created",
        "response.in_progress",
        "response.completed",
    ]
    first, second, last = (event["response"] for event in found)
    assert first == second
    assert first["status"] == "in_progress"
    assert first["usage"] is None
    for response in (first, last):
        assert response["id"] == "resp_1f"
        assert response["created_at"] == 1_700_000_000
        assert response["model"] == "50%d model"
        assert response["instructions"] == "Be kind."
        assert response["metadata"] == {"a": "b"}
        assert response["temperature"] == 0.5
        assert response["store"] is False
        assert response["truncation"] == "disabled"


def test_events_to_the_byte() -> None:
    writer = stream_writer()
    assert writer.content_type == "text/event-stream"
    writer.delta(Delta(text="a"))
    assert writer.delta(Delta(text='"\n')) == (
        b"event: response.output_text.delta\n"
        b'data: {"type":"response.output_text.delta","item_id":"msg_1f_0","output_index":0,'
        b'"content_index":0,"delta":"\\"\\n","logprobs":[],"sequence_number":5}\n\n'
    )
    rest = writer.closing(END, RECEIPT)
    assert rest.endswith(b"}\n\n")
    assert b"[DONE]" not in rest


def test_usage_and_cost_stand_in_the_last_event() -> None:
    expected = {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 0},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 7,
        "source": "engine",
        "cost": {
            "amount": "0.000000007",
            "amount_nano": 7,
            "currency": "USD",
            "price_version": "p1",
        },
        "limits": [
            {
                "scope": "balance",
                "owner_id": "org_1",
                "currency": "USD",
                "limit": {"amount": "0.000000100", "amount_nano": 100},
                "spent": {"amount": "0.000000007", "amount_nano": 7},
                "held": {"amount": "0.000000000", "amount_nano": 0},
                "remaining": {"amount": "0.000000093", "amount_nano": 93},
            }
        ],
    }
    assert streamed([STOP])[-1]["response"]["usage"] == expected
    body = whole([STOP])
    assert body["usage"] == expected
    assert body["system_fingerprint"] == "fp_1"


def test_usage_without_a_receipt_is_what_the_engine_counted() -> None:
    counted = RunEnd(Usage(1, 2, cache_write_tokens=1, images=2))
    usage = whole([STOP], counted, None)["usage"]
    assert usage["input_tokens_details"] == {"cached_tokens": 0, "cache_write_tokens": 1}
    assert usage["uses"] == {"image": 2}
    assert "cost" not in usage
    unknown = whole([STOP], RunEnd(None), None)
    assert unknown["usage"] is None
    assert "system_fingerprint" not in unknown


def test_ids_come_from_the_request_and_name_their_place() -> None:
    deltas = [Delta(reasoning="r"), Delta(text="t"), call(0, "", None, "f"), call(1, "", "", "p")]
    body = whole(deltas, tools=[*FUNCTIONS, *CUSTOM])
    assert [item["id"] for item in body["output"]] == ["rs_1f_0", "msg_1f_1", "fc_1f_2", "ctc_1f_3"]
    assert [item["call_id"] for item in body["output"][2:]] == ["call_1f_0", "call_1f_1"]


def test_an_id_that_was_used_is_made_anew() -> None:
    """Official clients take two calls of one id for one."""
    deltas = [call(0, "", "c", "f"), call(1, "", "c", "f"), call(2, "", "call_1f_1", "f")]
    body = whole(deltas, tools=FUNCTIONS)
    assert [item["call_id"] for item in body["output"]] == ["c", "call_1f_1", "call_1f_2"]


def test_a_call_waits_for_its_name() -> None:
    deltas = [call(0, "{"), Delta(text="a"), call(0, "}", None, "f"), call(0, "", "x", "late")]
    found = streamed(deltas, tools=FUNCTIONS)
    assert ("function_call_arguments.delta", 1, "{") in told(found)
    assert output_of(found[-1]["response"])[1] == function("f", "call_1f_0", "{}")
    assert folded(found) == whole(deltas, tools=FUNCTIONS)


def test_a_call_without_a_name_is_still_told() -> None:
    deltas = [call(3, "{}", "c", None), call(4, "", "d", "")]
    assert output_of(whole(deltas)) == [function("", "c", "{}"), function("", "d", "")]
    assert folded(streamed(deltas)) == whole(deltas)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"input":"a"}', "a"),
        ('{"input":""}', ""),
        ('{"input":"a","more":1}', "a"),
        ('{"input":1}', '{"input":1}'),
        ('{"text":"a"}', '{"text":"a"}'),
        ('{"input":"a', '{"input":"a'),
        ("plain", "plain"),
        ('"a"', '"a"'),
        ("[" * 5000, "[" * 5000),
        ("", ""),
    ],
)
def test_the_input_of_a_custom_tool(arguments: str, expected: str) -> None:
    deltas = [call(0, arguments, "c", "p")]
    found = streamed(deltas, tools=CUSTOM)
    assert folded(found)["output"][0]["input"] == expected
    assert whole(deltas, tools=CUSTOM)["output"][0]["input"] == expected
    kinds = [event["type"] for event in found]
    assert kinds.count("response.custom_tool_call_input.delta") == bool(expected)


def test_tool_calls_are_bounded() -> None:
    deltas = [call(index, "{}", f"c{index}", "f") for index in range(TOOL_CALLS_MAX + 1)]
    assert len(whole(deltas)["output"]) == TOOL_CALLS_MAX
    writer = stream_writer()
    assert [bool(writer.delta(delta)) for delta in deltas][-2:] == [True, False]


def test_one_delta_that_says_everything_is_told_in_order() -> None:
    delta = Delta(text="t", reasoning="r", refusal="n", tool_call=ToolCallDelta(0, "{}", "c", "f"))
    assert [item["type"] for item in whole([delta])["output"]] == [
        "reasoning",
        "message",
        "function_call",
    ]


def test_nothing_counts_after_the_finish_or_for_another_choice() -> None:
    deltas = [
        Delta(choice=1, text="who"),
        Delta(text="a", finish=FinishReason.STOP),
        Delta(text="late"),
        call(0, "{}", "c", "f"),
        Delta(finish=FinishReason.LENGTH),
    ]
    body = whole(deltas)
    assert output_of(body) == [message([text("a")])]
    assert body["status"] == "completed"
    assert folded(streamed(deltas)) == body


TOKEN = TokenLogprob("é", -0.5, (("é", -0.5), ("e", float("-inf"))))
TOKEN_JSON = {
    "token": "é",
    "logprob": -0.5,
    "bytes": [0xC3, 0xA9],
    "top_logprobs": [
        {"token": "é", "logprob": -0.5, "bytes": [0xC3, 0xA9]},
        {"token": "e", "logprob": -9999.0, "bytes": [0x65]},
    ],
}


def test_logprobs_stand_at_the_text() -> None:
    deltas = [
        Delta(reasoning="r", logprobs=(TOKEN,)),
        Delta(text="é", logprobs=(TOKEN,)),
        Delta(logprobs=(TOKEN,)),
        call(0, "{}", "c", "f"),
    ]
    body = whole(deltas, top_logprobs=1)
    assert body["output"][1]["content"][0]["logprobs"] == [TOKEN_JSON, TOKEN_JSON]
    assert body["top_logprobs"] == 1
    found = streamed(deltas, top_logprobs=1)
    assert folded(found) == body
    unasked = whole(deltas)
    assert unasked["output"][1]["content"][0]["logprobs"] == []


def test_logprobs_alone_open_a_message() -> None:
    body = whole([Delta(logprobs=(TOKEN,))], top_logprobs=1)
    assert body["output"][0]["content"][0]["text"] == ""
    assert whole([Delta(logprobs=(TOKEN,))])["output"] == []


def test_half_surrogates_pass_as_escapes_and_join_in_the_whole() -> None:
    deltas = [Delta(text="\ud83d"), Delta(text="\ude00")]
    writer = stream_writer()
    assert b"\\ud83d" in writer.delta(deltas[0])
    assert whole(deltas)["output"][0]["content"][0]["text"] == "😀"


PROBLEMS = [
    (Code.ENGINE_FAILED, "server_error"),
    (Code.RUN_TIMEOUT, "server_error"),
    (Code.INTERNAL, "server_error"),
    (Code.REVOKED_KEY, "server_error"),
    (Code.BALANCE_EXHAUSTED, "rate_limit_exceeded"),
    (Code.INVALID_VALUE, "invalid_prompt"),
    (Code.CONTENT_BLOCKED, "invalid_prompt"),
    (Code.UNSUPPORTED_FEATURE, "invalid_prompt"),
]


@pytest.mark.parametrize(("code", "published"), PROBLEMS)
def test_a_failure_after_the_start(code: Code, published: str) -> None:
    writer = stream_writer(tools=FUNCTIONS)
    raw = writer.delta(Delta(text="a")) + writer.delta(call(0, "{", "c", "f"))
    raw += writer.problem(Problem(code, "It broke.", param="messages", facts={"attempt": 1}))
    found = events(raw)
    assert [event["type"] for event in found].count("response.failed") == 1
    assert b"[DONE]" not in raw
    response = folded(found)
    wire = json.loads(OPENAI_RESPONSES.refusal(Problem(code, "x"), "req_1f").body)["error"]
    assert response["error"] == {
        "attempt": 1,
        "code": published,
        "message": "It broke.",
        "type": wire["type"],
        "param": "input",
        "tokenbooth_code": wire["code"],
        "request_id": "req_1f",
    }
    assert output_of(response) == [message([text("a")]), function("f", "c", "{", "incomplete")]


def test_a_failure_before_any_output_still_begins_the_response() -> None:
    found = events(stream_writer().problem(Problem(Code.ENGINE_FAILED, "It broke.")))
    assert [event["type"] for event in found] == [
        "response.created",
        "response.in_progress",
        "response.failed",
    ]
    assert folded(found)["error"]["param"] is None


def test_a_custom_call_that_failed_is_given_as_it_came() -> None:
    writer = stream_writer(tools=CUSTOM)
    raw = writer.delta(call(0, '{"input":"a', "c", "p"))
    raw += writer.problem(Problem(Code.ENGINE_FAILED, "It broke."))
    *_, last = events(raw)
    assert last["response"]["output"][0]["input"] == '{"input":"a'
    assert last["response"]["output"][0]["status"] == "incomplete"


def test_the_failure_of_a_whole_answer_is_the_error_body() -> None:
    writer = whole_writer()
    raw = writer.problem(Problem(Code.ENGINE_FAILED, "It broke.", param="max_completion_tokens"))
    assert json.loads(raw)["error"] == {
        "message": "It broke.",
        "type": "server_error",
        "param": "max_output_tokens",
        "code": "engine_failed",
        "request_id": "req_1f",
    }


@pytest.mark.parametrize(
    ("param", "expected"),
    [
        ("messages", "input"),
        ("max_completion_tokens", "max_output_tokens"),
        ("response_format", "text.format"),
        ("model", "model"),
        (None, None),
    ],
)
def test_a_refusal_names_the_field_as_the_caller_does(
    param: str | None, expected: str | None
) -> None:
    problem = Problem(
        Code.RATE_LIMITED, "Later.", param=param, detail="d", retry_after_s=3, facts={"a": 1}
    )
    answer = OPENAI_RESPONSES.refusal(problem, "req_1")
    error = json.loads(answer.body)["error"]
    assert answer.status == 429
    assert ("retry-after", "3") in answer.headers
    assert (error["param"], error["a"], error["code"]) == (expected, 1, "rate_limit_exceeded")


@pytest.mark.parametrize("make", [stream_writer, whole_writer])
@pytest.mark.parametrize("well", [True, False])
def test_after_the_end_nothing_is_written(make: Any, well: bool) -> None:
    writer = make()
    problem = Problem(Code.ENGINE_FAILED, "It broke.")
    assert writer.closing(END, RECEIPT) if well else writer.problem(problem)
    assert writer.delta(Delta(text="x")) == b""
    assert writer.closing(END, RECEIPT) == b""
    assert writer.problem(problem) == b""
    assert writer.heartbeat() == b""


def test_heartbeats_are_comments_and_whole_answers_have_none() -> None:
    assert stream_writer().heartbeat() == HEARTBEAT
    assert whole_writer().heartbeat() == b""
    assert whole_writer().content_type == "application/json"
    assert events(HEARTBEAT * 2 + stream_writer().closing(END, None) + HEARTBEAT)


@pytest.mark.parametrize(
    ("asked", "told_tier"),
    [(None, "default"), ("auto", "default"), ("flex", "flex"), ("priority", "priority")],
)
def test_the_tier_is_named(asked: str | None, told_tier: str) -> None:
    assert whole([STOP], service_tier=asked)["service_tier"] == told_tier
    assert streamed([STOP], service_tier=asked)[0]["response"]["service_tier"] == told_tier
