"""The wire to the byte, and the contract of a stream under any order of calls."""

import json
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from openai._streaming import SSEDecoder

from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, FinishReason, RunEnd, TokenLogprob, ToolCallDelta, Usage
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import LogprobsAsk, Turn
from tokenbooth.protocols.dialect import AnswerFrame, Parsed, Writer
from tokenbooth.protocols.openai_chat import OPENAI_CHAT

FRAME = AnswerFrame("req_7", 9, "tiny")
HEAD = b'data: {"id":"chatcmpl-req_7","object":"chat.completion.chunk","created":9,"model":"tiny",'
END = RunEnd(Usage(2, 1))


def writer_of(
    *, stream: bool = True, usage: bool = False, logprobs: bool = False, choices: int = 1
) -> Writer:
    ask = LogprobsAsk(0) if logprobs else None
    turn = Turn(model="tiny", messages=(), choices=choices, logprobs=ask)
    return OPENAI_CHAT.writer(Parsed(turn, stream, usage), FRAME)


def chunk(delta: bytes, finish: bytes = b"null", logprobs: bytes = b"null") -> bytes:
    """One event of choice 0, without usage."""
    return (
        HEAD
        + b'"choices":[{"index":0,"delta":'
        + delta
        + b',"logprobs":'
        + logprobs
        + b',"finish_reason":'
        + finish
        + b"}]}\n\n"
    )


STREAMS: dict[str, tuple[list[Delta], bytes]] = {
    "text": (
        [Delta(text="a"), Delta(text='"\n'), Delta(finish=FinishReason.STOP)],
        chunk(b'{"role":"assistant","content":"a"}')
        + chunk(b'{"content":"\\"\\n"}')
        + chunk(b"{}", b'"stop"'),
    ),
    "nothing at all": ([], chunk(b'{"role":"assistant","content":""}', b'"stop"')),
    "only a finish": (
        [Delta(finish=FinishReason.CONTENT_FILTER)],
        chunk(b'{"role":"assistant","content":""}', b'"content_filter"'),
    ),
    "reasoning and no text": (
        [Delta(reasoning="r"), Delta(finish=FinishReason.LENGTH)],
        chunk(b'{"role":"assistant","content":null,"reasoning_content":"r"}')
        + chunk(b'{"content":""}', b'"length"'),
    ),
    "a tool call in pieces": (
        [
            Delta(tool_call=ToolCallDelta(0, "", "c", "f")),
            Delta(tool_call=ToolCallDelta(0, "{}"), finish=FinishReason.TOOL_CALLS),
        ],
        chunk(
            b'{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"c",'
            b'"type":"function","function":{"name":"f","arguments":""}}]}'
        )
        + chunk(b'{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}')
        + chunk(b"{}", b'"tool_calls"'),
    ),
    "text that looks like an event": (
        [Delta(text="data: [DONE]\n\n"), Delta(finish=FinishReason.STOP)],
        chunk(b'{"role":"assistant","content":"data: [DONE]\\n\\n"}') + chunk(b"{}", b'"stop"'),
    ),
}


@pytest.mark.parametrize("name", STREAMS)
def test_streams_to_the_byte(name: str) -> None:
    deltas, expected = STREAMS[name]
    writer = writer_of()
    written = b"".join(map(writer.delta, deltas)) + writer.closing(END, None)
    assert written == expected + b"data: [DONE]\n\n"


def test_logprobs_to_the_byte() -> None:
    delta = Delta(text="a", logprobs=(TokenLogprob("a", -0.5),))
    place = b'{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[]}'
    assert writer_of(logprobs=True).delta(delta) == chunk(
        b'{"role":"assistant","content":"a"}', logprobs=b'{"content":[%s],"refusal":null}' % place
    )


def test_usage_chunk_to_the_byte() -> None:
    writer = writer_of(usage=True)
    first = writer.delta(Delta(text="a", finish=FinishReason.STOP))
    assert first.count(b'"usage":null}\n\n') == 2
    assert writer.closing(END, None) == (
        HEAD + b'"choices":[],"usage":{"prompt_tokens":2,"completion_tokens":1,"total_tokens":3,'
        b'"completion_tokens_details":{"reasoning_tokens":0},"source":"engine"}}\n\n'
        b"data: [DONE]\n\n"
    )


def test_error_event_to_the_byte() -> None:
    raw = writer_of().problem(Problem(Code.RUN_TIMEOUT, "Too slow."))
    assert raw == (
        b'data: {"error":{"message":"Too slow.","type":"server_error","param":null,'
        b'"code":"run_timeout","request_id":"req_7"}}\n\n'
    )


def test_whole_body_to_the_byte() -> None:
    writer = writer_of(stream=False)
    writer.delta(Delta(text="é", finish=FinishReason.STOP))
    assert writer.closing(RunEnd(None, fingerprint="fp"), None).decode() == (
        '{"id":"chatcmpl-req_7","object":"chat.completion","created":9,"model":"tiny",'
        '"system_fingerprint":"fp","choices":[{"index":0,"message":{"role":"assistant",'
        '"content":"é","refusal":null},"logprobs":null,"finish_reason":"stop"}]}'
    )


DELTAS = st.builds(
    Delta,
    choice=st.integers(0, 2),
    text=st.text(max_size=3),
    reasoning=st.text(max_size=2),
    tool_call=st.none() | st.builds(ToolCallDelta, st.integers(0, 2), st.text("{}", max_size=2)),
    finish=st.none() | st.sampled_from(FinishReason),
)


class StreamContract(RuleBasedStateMachine):
    """A writer called in any order, also after its end, as a broken engine or a race would."""

    def __init__(self) -> None:
        super().__init__()
        self.writer = writer_of(usage=True, choices=2)
        self.raw = b""
        self.ended_well: bool | None = None

    @rule(delta=DELTAS)
    def push(self, delta: Delta) -> None:
        self.raw += self.writer.delta(delta)

    @rule()
    def wait(self) -> None:
        self.raw += self.writer.heartbeat()

    @rule(cancelled=st.booleans())
    def close(self, cancelled: bool) -> None:
        self.raw += self.writer.closing(RunEnd(Usage(1, 1), cancelled=cancelled), None)
        if self.ended_well is None:
            self.ended_well = True

    @rule()
    def fail(self) -> None:
        self.raw += self.writer.problem(Problem(Code.ENGINE_FAILED, "It broke."))
        if self.ended_well is None:
            self.ended_well = False

    @invariant()
    def one_terminal_event_and_it_is_last(self) -> None:
        events = read(self.raw)
        ends = [event for event in events if event == "[DONE]" or "error" in event]
        assert len(ends) == (self.ended_well is not None)
        if ends:
            assert events[-1] is ends[0]
            assert (ends[0] == "[DONE]") == self.ended_well

    @invariant()
    def each_choice_speaks_in_order(self) -> None:
        roles: list[int] = []
        finished: list[int] = []
        for event in filter(lambda event: event != "[DONE]", read(self.raw)):
            for choice in event.get("choices", ()):
                index = choice["index"]
                assert index not in finished
                if "role" in choice["delta"]:
                    roles.append(index)
                assert index in roles
                if choice["finish_reason"] is not None:
                    finished.append(index)
        assert roles == sorted(set(roles))
        if self.ended_well:
            assert sorted(finished) == [0, 1]


def read(raw: bytes) -> list[Any]:
    decoded = SSEDecoder().iter_bytes(iter([raw]))
    return [event.data if event.data == "[DONE]" else json.loads(event.data) for event in decoded]


class TestStreamContract(StreamContract.TestCase):  # type: ignore[misc, name-defined]
    settings = settings(max_examples=60, stateful_step_count=12, deadline=None)
