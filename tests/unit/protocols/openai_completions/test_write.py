"""Deltas to text completions: golden bytes, and the stream as a fold of the whole answer."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Completion

from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, FinishReason, RunEnd, TokenLogprob, ToolCallDelta, Usage
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope, LimitState, Outcome, Receipt
from tokenbooth.protocols.dialect import AnswerFrame, Writer
from tokenbooth.protocols.openai_completions import OPENAI_COMPLETIONS
from tokenbooth.protocols.openai_completions.write import DONE, HEARTBEAT

FRAME = AnswerFrame("req_1", 1_700_000_000, "m")
USAGE = Usage(3, 4, 1)
LIMITS = (LimitState(LimitScope.BALANCE, "org_1", 100, 7, 0),)
RECEIPT = Receipt("req_1", Outcome.COMPLETED, "stop", USAGE, 7, "p1", LIMITS)
END = RunEnd(USAGE, fingerprint="fp_1")
STOP = FinishReason.STOP


def writer_of(**fields: Any) -> Writer:
    body = {"model": "m", "prompt": "once", **fields}
    if body.get("stream"):
        body["stream_options"] = {"include_usage": True}
    return OPENAI_COMPLETIONS.writer(OPENAI_COMPLETIONS.parse(json.dumps(body).encode()), FRAME)


def run(writer: Writer, deltas: list[Delta], end: RunEnd = END, receipt: Any = RECEIPT) -> bytes:
    return b"".join(map(writer.delta, deltas)) + writer.closing(end, receipt)


def chunks_of(raw: bytes) -> list[Any]:
    assert raw.endswith(DONE)
    pieces = raw.removesuffix(DONE).split(b"\n\n")[:-1]
    return [json.loads(piece.removeprefix(b"data: ")) for piece in pieces]


def folded(chunks: list[Any], count: int) -> dict[str, Any]:
    """What a client puts together from chunks, in the form of the whole body."""
    choices: list[Any] = [
        {"text": "", "index": index, "logprobs": None, "finish_reason": None}
        for index in range(count)
    ]
    made: dict[str, Any] = {**chunks[0], "choices": choices}
    for chunk in chunks:
        for name in ("usage", "system_fingerprint", "stopped"):
            made[name] = chunk.get(name) or made.get(name)
        for piece in chunk["choices"]:
            choice = choices[piece["index"]]
            choice["text"] += piece["text"]
            if piece["logprobs"] is not None:
                known = choice["logprobs"] or {}
                choice["logprobs"] = {
                    name: known[name] + values if known and values is not None else values
                    for name, values in piece["logprobs"].items()
                }
            if piece["finish_reason"] is not None:
                assert choice["finish_reason"] is None
                choice["finish_reason"] = piece["finish_reason"]
    return {name: value for name, value in made.items() if value is not None}


def test_a_stream_byte_by_byte() -> None:
    writer = writer_of(stream=True)
    head = '"id":"cmpl-req_1","object":"text_completion","created":1700000000,"model":"m"'

    def chunk(text: str, finish: str) -> bytes:
        choice = f'{{"text":"{text}","index":0,"logprobs":null,"finish_reason":{finish}}}'
        return f'data: {{{head},"choices":[{choice}],"usage":null}}\n\n'.encode()

    assert writer.content_type == "text/event-stream"
    assert writer.delta(Delta(text=" upon")) == chunk(" upon", "null")
    assert writer.delta(Delta()) == b""
    assert writer.heartbeat() == HEARTBEAT
    last = writer.delta(Delta(text=" a", finish=STOP))
    assert last == chunk(" a", "null") + chunk("", '"stop"')
    assert writer.delta(Delta(text="late")) == b""
    closing = writer.closing(END, RECEIPT)
    assert closing.endswith(DONE)
    told = chunks_of(closing)
    assert told[0]["choices"] == []
    assert told[0]["usage"]["cost"]["amount_nano"] == 7
    assert told[0]["system_fingerprint"] == "fp_1"
    assert (writer.closing(END, RECEIPT), writer.heartbeat()) == (b"", b"")
    assert writer.problem(Problem(Code.INTERNAL, "x")) == b""


def test_a_whole_answer() -> None:
    writer = writer_of(echo=True)
    assert writer.content_type == "application/json"
    assert writer.delta(Delta(text=" upon")) == b""
    assert writer.heartbeat() == b""
    body = json.loads(run(writer, [Delta(refusal=" no", finish=FinishReason.TOOL_CALLS)]))
    assert body["choices"] == [
        {"text": "once upon no", "index": 0, "logprobs": None, "finish_reason": "stop"}
    ]
    assert Completion.model_validate(body).choices[0].finish_reason == "stop"
    assert writer.closing(END, RECEIPT) == b""


def test_logprobs_stand_side_by_side_with_their_places() -> None:
    said = [
        Delta(text="ab", logprobs=(TokenLogprob("ab", -1.0, (("ab", -1.0), ("c", -2.0))),)),
        Delta(text="d", logprobs=(TokenLogprob("d", float("-inf"), ()),), finish=STOP),
    ]
    body = json.loads(run(writer_of(logprobs=2), said))
    assert body["choices"][0]["logprobs"] == {
        "tokens": ["ab", "d"],
        "token_logprobs": [-1.0, -9999.0],
        "top_logprobs": [{"ab": -1.0, "c": -2.0}, {}],
        "text_offset": [0, 2],
    }
    bare = json.loads(run(writer_of(logprobs=0), said[1:]))
    assert bare["choices"][0]["logprobs"]["top_logprobs"] is None
    plain = json.loads(run(writer_of(), said))
    assert plain["choices"][0]["logprobs"] is None


@pytest.mark.parametrize("stream", [False, True])
def test_money_that_ended_the_answer_is_named(stream: bool) -> None:
    receipt = Receipt("req_1", Outcome.CAP_REACHED, "x", USAGE, 7, "p1", LIMITS)
    end = RunEnd(USAGE, cancelled=True)
    raw = run(writer_of(stream=stream), [Delta(text="a")], end, receipt)
    body = folded(chunks_of(raw), 1) if stream else json.loads(raw)
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["stopped"] == "cap_reached"


def test_a_failure_in_band_is_the_terminal_event() -> None:
    writer = writer_of(stream=True)
    raw = writer.delta(Delta(text="a")) + writer.problem(Problem(Code.ENGINE_FAILED, "broke"))
    last = json.loads(raw.rpartition(b"data: ")[2])
    assert last["error"]["code"] == "engine_failed"
    assert DONE not in raw
    whole = json.loads(writer_of().problem(Problem(Code.ENGINE_FAILED, "broke")))
    assert whole == last


def test_an_answer_without_a_receipt_tells_the_engines_count_or_nothing() -> None:
    body = json.loads(run(writer_of(), [Delta(finish=STOP)], END, None))
    assert body["usage"]["total_tokens"] == 7
    unknown = json.loads(run(writer_of(), [Delta(finish=STOP)], RunEnd(None), None))
    assert "usage" not in unknown
    assert chunks_of(run(writer_of(stream=True), [], RunEnd(None), None))[-1]["choices"]
    nameless = chunks_of(run(writer_of(stream=True), [], RunEnd(USAGE)))[-1]
    assert nameless["usage"]["total_tokens"] == 7
    assert "system_fingerprint" not in nameless


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
PLACE = st.builds(
    TokenLogprob, TEXTS, st.floats(-9, 0), st.just((("x", -1.0),)) | st.just((("y", -2.0),))
)
DELTAS = st.lists(
    st.builds(
        Delta,
        choice=st.integers(-1, 4),
        text=TEXTS,
        reasoning=TEXTS,
        refusal=TEXTS,
        tool_call=st.none() | st.just(ToolCallDelta(0, "{}", "c", "f")),
        logprobs=st.lists(PLACE, max_size=2).map(tuple),
        finish=st.none() | st.sampled_from(FinishReason),
    ),
    max_size=8,
)


@given(DELTAS, st.booleans(), st.booleans(), st.booleans())
def test_the_fold_of_a_stream_is_the_whole_answer(
    deltas: list[Delta], cancelled: bool, echo: bool, logprobs: bool
) -> None:
    fields: dict[str, Any] = {"prompt": ["a", "b"], "n": 2, "echo": echo}
    if logprobs and not echo:
        fields["logprobs"] = 1
    end = RunEnd(USAGE, cancelled=cancelled, fingerprint="fp")
    whole = json.loads(run(writer_of(**fields), deltas, end))
    chunks = chunks_of(run(writer_of(stream=True, **fields), deltas, end))
    assert folded(chunks, 4) == whole
    Completion.model_validate(whole)
    for choice in whole["choices"]:
        assert choice["finish_reason"] in ("stop", "length", "content_filter")
        assert not echo or choice["text"].startswith("a" if choice["index"] < 2 else "b")


def test_a_stream_tells_its_usage_only_where_it_was_asked_to() -> None:
    body = {"model": "m", "prompt": "once", "stream": True}
    parsed = OPENAI_COMPLETIONS.parse(json.dumps(body).encode())
    raw = run(OPENAI_COMPLETIONS.writer(parsed, FRAME), [Delta(text="a", finish=STOP)])
    assert all("usage" not in chunk and chunk["choices"] for chunk in chunks_of(raw))
