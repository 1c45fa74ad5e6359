"""How an answer is written: its ends, ids, usage and odd engines."""

from typing import Any

import pytest

from tests.support.response_items import (
    CUSTOM,
    FUNCTIONS,
    STOP,
    call,
    function,
    message,
    output_of,
    text,
    told,
)
from tests.support.responses import (
    END,
    RECEIPT,
    USAGE,
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
from tokenbooth.protocols.openai_responses.output import TOOL_CALLS_MAX
from tokenbooth.protocols.openai_responses.write import HEARTBEAT


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
        assert response["store"] is True
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


def test_calls_of_tools_in_a_namespace_are_told_by_its_name_and_theirs() -> None:
    inner = [{"type": "function", "name": "f"}, {"type": "custom", "name": "p"}]
    asked = {
        "tools": [{"type": "namespace", "name": "mcp__wiki__", "description": "", "tools": inner}]
    }
    deltas = [
        call(0, "{}", "c1", "mcp__wiki__f"),
        call(1, '{"input":"a"}', "c2", "mcp__wiki__p"),
        call(2, "{}", "c3", "f"),
    ]
    found = streamed(deltas, **asked)
    body = whole(deltas, **asked)
    assert folded(found) == body
    said = [(item["type"], item["name"], item.get("namespace")) for item in body["output"]]
    assert said == [
        ("function_call", "f", "mcp__wiki__"),
        ("custom_tool_call", "p", "mcp__wiki__"),
        ("function_call", "f", None),
    ]
    assert body["output"][1]["input"] == "a"
    added = [event["item"] for event in found if event["type"] == "response.output_item.added"]
    assert [item.get("namespace") for item in added] == ["mcp__wiki__", "mcp__wiki__", None]
