"""What the tests of Messages write answers with."""

import json
from typing import Any

from tests.support.messages_stream import folded
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, RunEnd, ToolCallDelta, Usage
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope, LimitState, Outcome, Receipt
from tokenbooth.core.turn import Turn
from tokenbooth.protocols.anthropic_messages import ANTHROPIC_MESSAGES
from tokenbooth.protocols.dialect import AnswerFrame, Parsed, Writer

FRAME = AnswerFrame("req_1", 1_700_000_000, "50%d model", 3)
USAGE = Usage(10, 4, 3, 2, cache_write_tokens=2)
LIMITS = (LimitState(LimitScope.BALANCE, "org_1", 100, 7, 0),)
RECEIPT = Receipt("req_1", Outcome.COMPLETED, "stop", USAGE, 7, "p1", LIMITS)
CAPPED = Receipt("req_1", Outcome.CAP_REACHED, "", USAGE, 7, "p1", LIMITS)
END = RunEnd(USAGE)
PROBLEM = Problem(Code.ENGINE_FAILED, "It broke.", facts={"attempt": 1})


def writer_of(*, stream: bool, shown: bool = True) -> Writer:
    turn = Turn(model="m", messages=())
    parsed = Parsed(turn, stream, stream, reasoning_shown=shown)
    return ANTHROPIC_MESSAGES.writer(parsed, FRAME)


def run(
    writer: Writer, deltas: list[Delta], end: RunEnd = END, receipt: Receipt | None = RECEIPT
) -> bytes:
    return b"".join(map(writer.delta, deltas)) + writer.closing(end, receipt)


def whole(deltas: list[Delta], **asked: Any) -> dict[str, Any]:
    shown = asked.pop("shown", True)
    body: dict[str, Any] = json.loads(run(writer_of(stream=False, shown=shown), deltas, **asked))
    return body


def both(deltas: list[Delta], **asked: Any) -> dict[str, Any]:
    """The whole body, after the proof that the stream folds to the same."""
    shown = asked.pop("shown", True)
    found = folded(run(writer_of(stream=True, shown=shown), deltas, **asked))
    body = whole(deltas, shown=shown, **asked)
    assert found == body
    return body


def call(index: int, arguments: str = "", id: str | None = None, name: str | None = None) -> Delta:  # noqa: A002
    return Delta(tool_call=ToolCallDelta(index, arguments, id, name))
