"""Deltas to the wire, case by case: each is told as a stream and whole, which must be the same."""

import json

import pytest

from tests.support.messages_answer import (
    CAPPED,
    END,
    PROBLEM,
    RECEIPT,
    USAGE,
    both,
    call,
    run,
    whole,
    writer_of,
)
from tests.support.messages_stream import Folder, events_of, kinds_of
from tokenbooth.core.delta import Delta, FinishReason, RunEnd, ToolCallDelta, Usage, UsageSource
from tokenbooth.protocols.anthropic_messages.write import MESSAGE_STOP, PING


def test_a_whole_body() -> None:
    writer = writer_of(stream=False)
    assert writer.content_type == "application/json"
    assert [writer.delta(Delta(text="Hé")), writer.delta(Delta(text="llo"))] == [b"", b""]
    assert writer.heartbeat() == b""
    assert json.loads(writer.closing(END, RECEIPT)) == {
        "id": "msg_req_1",
        "type": "message",
        "role": "assistant",
        "model": "50%d model",
        "content": [{"type": "text", "text": "Héllo"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "stop_details": None,
        "usage": {
            "input_tokens": 5,
            "cache_creation_input_tokens": 2,
            "cache_read_input_tokens": 3,
            "output_tokens": 4,
            "output_tokens_details": {"thinking_tokens": 2},
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
            "service_tier": "standard",
        },
    }


def test_a_stream_event_by_event() -> None:
    writer = writer_of(stream=True)
    assert writer.content_type == "text/event-stream"
    first = events_of(writer.delta(Delta(text="Hé")))
    assert first == [
        {
            "type": "message_start",
            "message": {
                "id": "msg_req_1",
                "type": "message",
                "role": "assistant",
                "model": "50%d model",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "stop_details": None,
                "usage": {
                    "input_tokens": 3,
                    "cache_creation_input_tokens": 0,
                    "cache_read_input_tokens": None,
                    "output_tokens": 0,
                    "service_tier": "standard",
                },
            },
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hé"}},
    ]
    piece = Delta(text="llo", finish=FinishReason.STOP)
    assert kinds_of(writer.delta(piece)) == ["text_delta"]
    last = events_of(writer.closing(END, RECEIPT))
    assert [event["type"] for event in last] == [
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    stopped = {"stop_reason": "end_turn", "stop_sequence": None, "stop_details": None}
    assert last[1]["delta"] == stopped
    assert last[1]["usage"]["cost"]["amount_nano"] == 7
    assert last[1]["usage"]["output_tokens"] == 4


def test_thinking_is_a_block_of_its_own_signed_with_the_id_of_the_call() -> None:
    deltas = [Delta(reasoning="hm"), Delta(reasoning=", yes"), Delta(text="Yes.")]
    assert both(deltas)["content"] == [
        {"type": "thinking", "thinking": "hm, yes", "signature": "tokenbooth_req_1"},
        {"type": "text", "text": "Yes."},
    ]
    kinds = kinds_of(run(writer_of(stream=True), deltas))
    assert kinds[:6] == [
        "message_start",
        "content_block_start",
        "thinking_delta",
        "thinking_delta",
        "signature_delta",
        "content_block_stop",
    ]


def test_thinking_that_is_not_to_be_shown_is_left_out() -> None:
    deltas = [Delta(reasoning="hm"), Delta(text="Yes.", reasoning="!")]
    assert both(deltas, shown=False)["content"] == [{"type": "text", "text": "Yes."}]
    assert writer_of(stream=True, shown=False).delta(deltas[0]) == b""


def test_one_delta_may_say_everything_at_once() -> None:
    delta = Delta(reasoning="r", text="t", refusal="no", tool_call=ToolCallDelta(0, "{}", "c", "f"))
    assert [block["type"] for block in both([delta])["content"]] == ["thinking", "text", "tool_use"]


def test_kinds_that_alternate_become_blocks_in_their_order() -> None:
    deltas = [Delta(text="a"), Delta(reasoning="r"), Delta(text="b"), Delta(text="c")]
    blocks = both(deltas)["content"]
    assert [(b["type"], b.get("text", b.get("thinking"))) for b in blocks] == [
        ("text", "a"),
        ("thinking", "r"),
        ("text", "bc"),
    ]


def test_silence_is_one_empty_text() -> None:
    assert both([])["content"] == [{"type": "text", "text": ""}]
    assert both([Delta(output_tokens=1)])["content"] == [{"type": "text", "text": ""}]
    assert writer_of(stream=True).delta(Delta(output_tokens=1)) == b""


def test_half_surrogates_pass_as_escapes_and_join_in_the_whole() -> None:
    deltas = [Delta(text="\ud83d"), Delta(text="\ude00")]
    assert b"\\ud83d" in writer_of(stream=True).delta(deltas[0])
    assert whole(deltas)["content"][0]["text"] == "😀"


@pytest.mark.parametrize(
    ("deltas", "cancelled", "reason"),
    [
        ([Delta(text="a")], False, "end_turn"),
        ([Delta(text="a")], True, "max_tokens"),
        ([Delta(text="a", finish=FinishReason.STOP)], True, "end_turn"),
        ([Delta(text="a", finish=FinishReason.LENGTH)], False, "max_tokens"),
        ([Delta(text="a", finish=FinishReason.TOOL_CALLS)], False, "end_turn"),
        ([call(0, "{}", "c", "f")], False, "tool_use"),
        ([call(0, "{}", "c", "f"), Delta(finish=FinishReason.STOP)], False, "tool_use"),
        ([call(0, "{", "c", "f"), Delta(finish=FinishReason.LENGTH)], False, "max_tokens"),
        ([call(0, "{", "c", "f")], True, "max_tokens"),
    ],
)
def test_every_answer_gets_a_stop_reason(deltas: list[Delta], cancelled: bool, reason: str) -> None:
    body = both(deltas, end=RunEnd(USAGE, cancelled=cancelled))
    assert (body["stop_reason"], body["stop_sequence"]) == (reason, None)
    assert body["stop_details"] is None


@pytest.mark.parametrize(
    "deltas",
    [
        [Delta(refusal="I may not."), Delta(finish=FinishReason.STOP)],
        [Delta(text="I may not.", finish=FinishReason.CONTENT_FILTER)],
    ],
)
def test_a_refusal_is_text_with_a_reason_of_its_own(deltas: list[Delta]) -> None:
    body = both(deltas)
    assert body["content"] == [{"type": "text", "text": "I may not."}]
    assert body["stop_reason"] == "refusal"
    assert body["stop_details"] == {"type": "refusal", "category": None, "explanation": None}


def test_the_stop_sequence_is_named_where_the_engine_tells_it() -> None:
    body = both([Delta(text="a"), Delta(finish=FinishReason.STOP, stopped_by="END")])
    assert (body["stop_reason"], body["stop_sequence"]) == ("stop_sequence", "END")
    cut = both([Delta(text="a", finish=FinishReason.LENGTH, stopped_by="END")])
    assert (cut["stop_reason"], cut["stop_sequence"]) == ("max_tokens", None)


def test_money_that_ended_the_answer_is_named() -> None:
    body = both([Delta(text="a")], end=RunEnd(None, cancelled=True), receipt=CAPPED)
    assert (body["stop_reason"], body["stopped"]) == ("max_tokens", "cap_reached")
    assert "stopped" not in both([Delta(text="a")])


def test_usage_without_a_receipt_is_the_engines_and_without_that_the_prompts() -> None:
    counted = both([], end=RunEnd(Usage(8, 1, source=UsageSource.BOUND)), receipt=None)["usage"]
    assert counted == {
        "input_tokens": 8,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": None,
        "output_tokens": 1,
        "output_tokens_details": {"thinking_tokens": 0},
        "source": "bound",
        "service_tier": "standard",
    }
    silent = both([], end=RunEnd(None), receipt=None)["usage"]
    assert (silent["input_tokens"], silent["output_tokens"]) == (3, 0)
    assert both([], end=RunEnd(Usage(1, 1, images=2)), receipt=None)["usage"]["uses"] == {
        "image": 2
    }


def test_nothing_counts_after_the_finish_or_for_another_choice() -> None:
    deltas = [
        Delta(choice=1, text="who"),
        Delta(text="a", finish=FinishReason.STOP),
        Delta(text="late"),
        Delta(finish=FinishReason.LENGTH),
    ]
    body = both(deltas)
    assert body["content"] == [{"type": "text", "text": "a"}]
    assert body["stop_reason"] == "end_turn"


def test_a_ping_never_stands_before_the_start() -> None:
    writer = writer_of(stream=True)
    assert kinds_of(writer.heartbeat()) == ["message_start", "ping"]
    assert writer.heartbeat() == PING
    assert kinds_of(writer.delta(Delta(text="a"))) == ["content_block_start", "text_delta"]
    assert writer.heartbeat() == PING


def test_a_failure_is_one_error_event_without_an_end() -> None:
    writer = writer_of(stream=True)
    folder = Folder()
    raw = writer.delta(Delta(text="a")) + writer.problem(PROBLEM)
    for event in events_of(raw):
        folder.take(event)
    assert MESSAGE_STOP not in raw
    assert folder.error == {
        "type": "error",
        "error": {
            "type": "api_error",
            "message": "It broke.",
            "param": None,
            "code": "engine_failed",
            "attempt": 1,
        },
        "request_id": "req_1",
    }


def test_a_whole_failure_is_the_error_body() -> None:
    body = json.loads(writer_of(stream=False).problem(PROBLEM))
    assert (body["type"], body["error"]["code"]) == ("error", "engine_failed")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("well", [True, False])
def test_after_the_end_nothing_is_written(stream: bool, well: bool) -> None:
    writer = writer_of(stream=stream)
    assert writer.closing(END, RECEIPT) if well else writer.problem(PROBLEM)
    assert writer.delta(Delta(text="x")) == b""
    assert writer.closing(END, RECEIPT) == b""
    assert writer.problem(PROBLEM) == b""
    assert writer.heartbeat() == b""
