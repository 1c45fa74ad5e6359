"""The wire to the byte, and the contract of a stream under any order of calls."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.support.messages_stream import TERMINAL, Folder, events_of
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, FinishReason, RunEnd, ToolCallDelta, Usage
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import Turn
from tokenbooth.protocols.anthropic_messages import ANTHROPIC_MESSAGES
from tokenbooth.protocols.dialect import AnswerFrame, Parsed, Writer

FRAME = AnswerFrame("req_7", 9, "tiny")
END = RunEnd(Usage(2, 1))
PROBLEM = Problem(Code.ENGINE_FAILED, "It broke.")


def writer_of() -> Writer:
    turn = Turn(model="tiny", messages=())
    return ANTHROPIC_MESSAGES.writer(Parsed(turn, True, True), FRAME)


def event(kind: str, rest: str) -> bytes:
    return f'event: {kind}\ndata: {{"type":"{kind}"{rest}}}\n\n'.encode()


START = event(
    "message_start",
    ',"message":{"id":"msg_req_7","type":"message","role":"assistant","model":"tiny","content":[],'
    '"stop_reason":null,"stop_sequence":null,"stop_details":null,"usage":{"input_tokens":0,'
    '"cache_creation_input_tokens":0,"cache_read_input_tokens":null,"output_tokens":0,'
    '"service_tier":"standard"}}',
)
USAGE = (
    '"usage":{"input_tokens":2,"cache_creation_input_tokens":0,"cache_read_input_tokens":null,'
    '"output_tokens":1,"output_tokens_details":{"thinking_tokens":0},"source":"engine"}'
)


def begun(index: int, block: str) -> bytes:
    return event("content_block_start", f',"index":{index},"content_block":{block}')


def piece(index: int, delta: str) -> bytes:
    return event("content_block_delta", f',"index":{index},"delta":{delta}')


def stopped(index: int) -> bytes:
    return event("content_block_stop", f',"index":{index}')


def ended(reason: str, details: str = "null") -> bytes:
    delta = f'{{"stop_reason":"{reason}","stop_sequence":null,"stop_details":{details}}}'
    return event("message_delta", f',"delta":{delta},{USAGE}') + event("message_stop", "")


TEXT = '{"type":"text","text":""}'
STREAMS: dict[str, tuple[list[Delta], bytes]] = {
    "text": (
        [Delta(text="a"), Delta(text='"\n'), Delta(finish=FinishReason.STOP)],
        begun(0, TEXT)
        + piece(0, '{"type":"text_delta","text":"a"}')
        + piece(0, '{"type":"text_delta","text":"\\"\\n"}')
        + stopped(0)
        + ended("end_turn"),
    ),
    "nothing at all": ([], begun(0, TEXT) + stopped(0) + ended("end_turn")),
    "length": (
        [Delta(text="a", finish=FinishReason.LENGTH)],
        begun(0, TEXT)
        + piece(0, '{"type":"text_delta","text":"a"}')
        + stopped(0)
        + ended("max_tokens"),
    ),
    "refusal": (
        [Delta(refusal="no"), Delta(finish=FinishReason.CONTENT_FILTER)],
        begun(0, TEXT)
        + piece(0, '{"type":"text_delta","text":"no"}')
        + stopped(0)
        + ended("refusal", '{"type":"refusal","category":null,"explanation":null}'),
    ),
    "thinking": (
        [Delta(reasoning="hm"), Delta(text="a")],
        begun(0, '{"type":"thinking","thinking":"","signature":""}')
        + piece(0, '{"type":"thinking_delta","thinking":"hm"}')
        + piece(0, '{"type":"signature_delta","signature":"tokenbooth_req_7"}')
        + stopped(0)
        + begun(1, TEXT)
        + piece(1, '{"type":"text_delta","text":"a"}')
        + stopped(1)
        + ended("end_turn"),
    ),
    "parallel tools": (
        [
            Delta(tool_call=ToolCallDelta(0, "", "c1", "f")),
            Delta(tool_call=ToolCallDelta(0, '{"a":1}')),
            Delta(tool_call=ToolCallDelta(1, "{}", "c2", "g")),
            Delta(finish=FinishReason.TOOL_CALLS),
        ],
        begun(0, '{"type":"tool_use","id":"c1","name":"f","input":{}}')
        + piece(0, '{"type":"input_json_delta","partial_json":"{\\"a\\":1}"}')
        + stopped(0)
        + begun(1, '{"type":"tool_use","id":"c2","name":"g","input":{}}')
        + piece(1, '{"type":"input_json_delta","partial_json":"{}"}')
        + stopped(1)
        + ended("tool_use"),
    ),
}


@pytest.mark.parametrize("name", STREAMS)
def test_golden_streams(name: str) -> None:
    deltas, expected = STREAMS[name]
    writer = writer_of()
    raw = b"".join(map(writer.delta, deltas)) + writer.closing(END, None)
    assert raw == START + expected


def test_an_error_before_and_after_the_start() -> None:
    error = (
        b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"It broke.",'
        b'"param":null,"code":"engine_failed"},"request_id":"req_7"}\n\n'
    )
    assert writer_of().problem(PROBLEM) == error
    writer = writer_of()
    assert writer.delta(Delta(text="a")).startswith(START)
    assert writer.problem(PROBLEM) == error


def test_a_whole_body_to_the_byte() -> None:
    writer = ANTHROPIC_MESSAGES.writer(Parsed(Turn(model="tiny", messages=()), False, False), FRAME)
    writer.delta(Delta(text="a"))
    writer.delta(Delta(tool_call=ToolCallDelta(0, '{"n": 1.50}', "c1", "f")))
    assert writer.closing(END, None) == (
        b'{"id":"msg_req_7","type":"message","role":"assistant","model":"tiny","content":['
        b'{"type":"text","text":"a"},'
        b'{"type":"tool_use","id":"c1","name":"f","input":{"n": 1.50}}],'
        b'"stop_reason":"tool_use","stop_sequence":null,"stop_details":null,'
        + USAGE[:-1].encode()
        + b',"service_tier":"standard"}}'
    )


class AnyOrder(RuleBasedStateMachine):
    """However the gateway calls a writer, a reader meets one well-formed stream."""

    def __init__(self) -> None:
        super().__init__()
        self.writer = writer_of()
        self.folder = Folder()
        self.terminals = 0
        self.ended = False

    def read(self, raw: bytes) -> None:
        for found in events_of(raw):
            self.folder.take(found)
            self.terminals += found["type"] in TERMINAL

    @rule(
        text=st.text("ab", max_size=2),
        reasoning=st.text("cd", max_size=1),
        index=st.none() | st.integers(0, 2),
        arguments=st.sampled_from(["", "{", "}", "{}"]),
        finish=st.sampled_from([None, None, None, *FinishReason]),
    )
    def delta(self, index: int | None, arguments: str, **said: Any) -> None:
        called = None if index is None else ToolCallDelta(index, arguments, "c", "f")
        self.read(self.writer.delta(Delta(tool_call=called, **said)))

    @rule()
    def heartbeat(self) -> None:
        self.read(self.writer.heartbeat())

    @rule(cancelled=st.booleans())
    def closing(self, cancelled: bool) -> None:
        self.read(self.writer.closing(RunEnd(None, cancelled=cancelled), None))
        self.ended = True

    @rule()
    def problem(self) -> None:
        self.read(self.writer.problem(PROBLEM))
        self.ended = True

    @invariant()
    def one_terminal_event_and_only_at_the_end(self) -> None:
        assert self.terminals == int(self.ended)


AnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=15)
TestAnyOrder = AnyOrder.TestCase
