"""Calls of tools on the wire: in order, mixed, nameless, cut."""

import pytest

from tests.support.messages_answer import both, call, run, writer_of
from tests.support.messages_stream import events_of, kinds_of
from tokenbooth.core.delta import Delta, FinishReason
from tokenbooth.protocols.anthropic_messages.lanes import TOOL_CALLS_MAX


def test_a_tool_call_with_its_arguments() -> None:
    deltas = [
        Delta(text="Let me see."),
        call(0, id="toolu_9", name="weather"),
        call(0, '{"pl'),
        call(0, 'ace": "Oslo"}'),
        Delta(finish=FinishReason.TOOL_CALLS),
    ]
    body = both(deltas)
    assert body["stop_reason"] == "tool_use"
    assert body["content"] == [
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "toolu_9", "name": "weather", "input": {"place": "Oslo"}},
    ]
    pieces = [
        event["delta"]["partial_json"]
        for event in events_of(run(writer_of(stream=True), deltas))
        if event.get("delta", {}).get("type") == "input_json_delta"
    ]
    assert pieces == ['{"pl', 'ace": "Oslo"}']


def test_parallel_calls_one_after_another_are_streamed_as_they_come() -> None:
    deltas = [
        call(0, id="a", name="f"),
        call(0, '{"x":1}'),
        call(1, id="b", name="g"),
        call(1, '{"y":'),
        call(1, "2}"),
    ]
    writer = writer_of(stream=True)
    written = [kinds_of(writer.delta(delta)) for delta in deltas]
    assert written == [
        ["message_start", "content_block_start"],
        ["input_json_delta"],
        ["content_block_stop", "content_block_start"],
        ["input_json_delta"],
        ["input_json_delta"],
    ]
    assert [block["input"] for block in both(deltas)["content"]] == [{"x": 1}, {"y": 2}]


def test_calls_that_are_told_in_turns_lose_nothing() -> None:
    deltas = [
        call(0, '{"x"', "a", "f"),
        call(1, '{"y"', "b", "g"),
        call(0, ":"),
        call(1, ":"),
        Delta(text="meanwhile"),
        call(2, "{}", "c", "h"),
        Delta(text=" more"),
        call(0, "1}"),
        call(1, "2}"),
    ]
    blocks = both(deltas)["content"]
    assert [block.get("input") or block.get("text") for block in blocks] == [
        {"x": 1},
        {"y": 2},
        "meanwhile",
        None,
        " more",
    ]
    writer = writer_of(stream=True)
    sizes = [len(events_of(writer.delta(delta))) for delta in deltas]
    assert sizes[1] == sizes[3] == sizes[4] == sizes[5] == sizes[6] == 0


def test_the_whole_of_a_call_ends_it_and_what_follows_is_not_heard() -> None:
    deltas = [call(0, "{}", "a", "f"), call(1, "{}", "b", "g"), call(0, '{"late":1}')]
    assert [block["input"] for block in both(deltas)["content"]] == [{}, {}]


def test_a_brace_that_ends_no_document_ends_no_call() -> None:
    deltas = [call(0, '{"x":{}', "a", "f"), call(1, "{}", "b", "g"), call(0, "}")]
    assert [block["input"] for block in both(deltas)["content"]] == [{"x": {}}, {}]


def test_a_call_without_arguments_has_an_empty_input() -> None:
    deltas = [call(0, "", "a", "f"), call(1, " ", "b", "g")]
    assert [block["input"] for block in both(deltas)["content"]] == [{}, {}]


def test_ids_are_made_up_and_the_first_name_stays() -> None:
    deltas = [
        call(4, "{"),
        call(4, '"a":1', name="late"),
        call(4, "}", "other", "later"),
        call(2, "{}"),
    ]
    blocks = both(deltas)["content"]
    assert [(b["id"], b["name"], b["input"]) for b in blocks] == [
        ("toolu_req_1_0", "late", {"a": 1}),
        ("toolu_req_1_1", "", {}),
    ]


def test_a_nameless_call_waits_for_its_name_also_when_it_is_whole() -> None:
    deltas = [call(0, "{}", "a"), call(1, "{}", "b", "g"), call(0, "", None, "f")]
    writer = writer_of(stream=True)
    assert [writer.delta(deltas[0]), writer.delta(deltas[1])] == [b"", b""]
    assert kinds_of(writer.delta(deltas[2]))[:3] == [
        "message_start",
        "content_block_start",
        "input_json_delta",
    ]
    assert [block["name"] for block in both(deltas)["content"]] == ["f", "g"]


def test_calls_are_bounded() -> None:
    deltas = [call(index, "{}", f"c{index}", "f") for index in range(TOOL_CALLS_MAX + 1)]
    assert len(both(deltas)["content"]) == TOOL_CALLS_MAX


@pytest.mark.parametrize(
    "arguments",
    ['{"cut": "of', "[1]", "7", "{} {}", '{"x": NaN}', '{"x": "\ud800"}', "{" * 3000, "}"],
)
def test_arguments_that_are_no_object_are_kept_as_text(arguments: str) -> None:
    (block,) = both([call(0, arguments, "a", "f"), Delta(finish=FinishReason.LENGTH)])["content"]
    assert block == {
        "type": "tool_use",
        "id": "a",
        "name": "f",
        "input": {},
        "partial_json": arguments,
    }


def test_arguments_keep_numbers_that_no_double_holds() -> None:
    raw = run(
        writer_of(stream=False), [call(0, ' {"n": 123456789012345678901234567890} ', "a", "f")]
    )
    assert b'"input":{"n": 123456789012345678901234567890}' in raw


def test_half_surrogates_in_arguments_are_joined() -> None:
    (block,) = both([call(0, '{"a":"\ud83d', "a", "f"), call(0, '\ude00"}')])["content"]
    assert block["input"] == {"a": "😀"}
