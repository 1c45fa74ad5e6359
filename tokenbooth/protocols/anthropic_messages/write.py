"""Deltas to Messages: server-sent events, or one body, as two folds over the same lanes.

A stream ends with exactly one terminal event: ``message_stop``, or one ``error`` event without it.
The stop reason stands in ``message_delta``, with the usage; blocks come one after another.
"""

from collections.abc import Iterable

from tokenbooth.core.delta import Delta, FinishReason, RunEnd
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome, Receipt
from tokenbooth.protocols.anthropic_messages.lanes import (
    Begun,
    BlockKind,
    Lanes,
    Said,
    Step,
    arguments_object,
)
from tokenbooth.protocols.anthropic_messages.usage import usage_at_end, usage_at_start
from tokenbooth.protocols.dialect import AnswerFrame, Parsed
from tokenbooth.protocols.problems import anthropic_body
from tokenbooth.protocols.receipts import Json
from tokenbooth.protocols.wire_json import encode

PING = b'event: ping\ndata: {"type":"ping"}\n\n'
MESSAGE_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
REFUSAL: Json = {"type": "refusal", "category": None, "explanation": None}

_PIECES = {
    BlockKind.TEXT: b'"text_delta","text":',
    BlockKind.THINKING: b'"thinking_delta","thinking":',
    BlockKind.TOOL_USE: b'"input_json_delta","partial_json":',
}
_HEADS = {
    kind: b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":'
    b'{"type":' + piece
    for kind, piece in _PIECES.items()
}
_REASONS = {
    FinishReason.STOP: "end_turn",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.TOOL_CALLS: "tool_use",
    FinishReason.CONTENT_FILTER: "refusal",
}


class Finish:
    """How the answer ended, as far as it is known."""

    __slots__ = ("_reason", "_refused", "_stopped_by", "over")

    def __init__(self) -> None:
        self.over = False
        self._reason: FinishReason | None = None
        self._refused = False
        self._stopped_by: str | None = None

    def hears(self, delta: Delta) -> bool:
        """Whether this delta counts: nothing does after the finish, nor for another choice."""
        if self.over or self._reason is not None or delta.choice != 0:
            return False
        self._refused = self._refused or bool(delta.refusal)
        self._reason, self._stopped_by = delta.finish, delta.stopped_by
        return True

    def fields(self, lanes: Lanes, *, cancelled: bool) -> Json:
        """``stop_reason`` and what goes with it.

        Without a word of the engine it is ``max_tokens`` when the run was cut short. Calls are
        always ``tool_use``, which their callers wait for, unless they were cut.
        """
        reason = self._reason
        if reason is None:
            reason = FinishReason.LENGTH if cancelled else FinishReason.STOP
        if reason in (FinishReason.STOP, FinishReason.TOOL_CALLS):
            reason = FinishReason.TOOL_CALLS if lanes.has_calls else FinishReason.STOP
        if reason is FinishReason.STOP and self._refused:
            reason = FinishReason.CONTENT_FILTER
        stopped = reason is FinishReason.STOP and self._stopped_by is not None
        return {
            "stop_reason": "stop_sequence" if stopped else _REASONS[reason],
            "stop_sequence": self._stopped_by if stopped else None,
            "stop_details": REFUSAL if reason is FinishReason.CONTENT_FILTER else None,
        }


class StreamWriter:
    """Each delta becomes events at once."""

    content_type = "text/event-stream"

    def __init__(self, parsed: Parsed, frame: AnswerFrame) -> None:
        self._frame = frame
        self._lanes = Lanes(frame.request_id, reasoning_shown=parsed.reasoning_shown)
        self._finish = Finish()
        self._begun = False
        self._index = 0

    def delta(self, delta: Delta) -> bytes:
        if not self._finish.hears(delta):
            return b""
        added = self._lanes.goes_on(delta)
        if added is not None:
            kind, piece = added
            return b"".join((_HEADS[kind] % self._index, encode(piece), b"}}\n\n"))
        written = b"".join(map(self._event, self._lanes.add(delta)))
        return self._opening() + written if written else b""

    def closing(self, end: RunEnd, receipt: Receipt | None) -> bytes:
        if self._finish.over:
            return b""
        self._finish.over = True
        opening = self._opening()
        blocks = b"".join(map(self._event, self._lanes.end()))
        last: Json = {
            "type": "message_delta",
            "delta": self._finish.fields(self._lanes, cancelled=end.cancelled),
            "usage": usage_at_end(end, receipt, self._frame),
            **_capped(receipt),
        }
        return opening + blocks + _event(b"message_delta", encode(last)) + MESSAGE_STOP

    def problem(self, problem: Problem) -> bytes:
        if self._finish.over:
            return b""
        self._finish.over = True
        return _event(b"error", anthropic_body(problem, self._frame.request_id))

    def heartbeat(self) -> bytes:
        return b"" if self._finish.over else self._opening() + PING

    def _opening(self) -> bytes:
        """The first event, once; a ping never stands before it."""
        if self._begun:
            return b""
        self._begun = True
        unsaid = {"stop_reason": None, "stop_sequence": None, "stop_details": None}
        message = {
            **_head(self._frame),
            "content": [],
            **unsaid,
            "usage": usage_at_start(self._frame),
        }
        return _event(b"message_start", encode({"type": "message_start", "message": message}))

    def _event(self, step: Step) -> bytes:
        match step:
            case Begun():
                said = b'"content_block":' + encode(_empty(step))
                return self._block(b"content_block_start", said)
            case Said():
                said = b'"delta":{"type":' + _PIECES[step.kind] + encode(step.piece) + b"}"
                return self._block(b"content_block_delta", said)
        signed = b""
        if step.kind is BlockKind.THINKING:
            last = {"type": "signature_delta", "signature": _signature(self._frame)}
            signed = self._block(b"content_block_delta", b'"delta":' + encode(last))
        stop = b'{"type":"content_block_stop","index":%d}' % self._index
        self._index += 1
        return signed + _event(b"content_block_stop", stop)

    def _block(self, kind: bytes, said: bytes) -> bytes:
        return _event(kind, b'{"type":"%b","index":%d,%b}' % (kind, self._index, said))


class WholeWriter:
    """Nothing goes out before the end; then one ``message`` body."""

    content_type = "application/json"

    def __init__(self, parsed: Parsed, frame: AnswerFrame) -> None:
        self._frame = frame
        self._lanes = Lanes(frame.request_id, reasoning_shown=parsed.reasoning_shown)
        self._finish = Finish()
        self._blocks: list[tuple[Begun, list[str]]] = []

    def delta(self, delta: Delta) -> bytes:
        if self._finish.hears(delta):
            self._gather(self._lanes.add(delta))
        return b""

    def closing(self, end: RunEnd, receipt: Receipt | None) -> bytes:
        if self._finish.over:
            return b""
        self._finish.over = True
        self._gather(self._lanes.end())
        content = b",".join(self._block(begun, "".join(said)) for begun, said in self._blocks)
        usage = usage_at_end(end, receipt, self._frame)
        rest = {
            **self._finish.fields(self._lanes, cancelled=end.cancelled),
            "usage": {**usage, "service_tier": usage_at_start(self._frame)["service_tier"]},
            **_capped(receipt),
        }
        head = encode(_head(self._frame))[:-1]
        return head + b',"content":[' + content + b"]," + encode(rest)[1:]

    def problem(self, problem: Problem) -> bytes:
        if self._finish.over:
            return b""
        self._finish.over = True
        return anthropic_body(problem, self._frame.request_id)

    def heartbeat(self) -> bytes:
        return b""

    def _gather(self, steps: Iterable[Step]) -> None:
        for step in steps:
            match step:
                case Begun():
                    self._blocks.append((step, []))
                case Said():
                    self._blocks[-1][1].append(step.piece)

    def _block(self, begun: Begun, said: str) -> bytes:
        made = _empty(begun)
        match begun.kind:
            case BlockKind.TEXT:
                return encode({**made, "text": said})
            case BlockKind.THINKING:
                return encode({**made, "thinking": said, "signature": _signature(self._frame)})
        arguments = arguments_object(said)
        if arguments is None:
            return encode({**made, "partial_json": said})
        del made["input"]
        return encode(made)[:-1] + b',"input":' + arguments + b"}"


def _head(frame: AnswerFrame) -> Json:
    return {
        "id": f"msg_{frame.request_id}",
        "type": "message",
        "role": "assistant",
        "model": frame.model,
    }


def _empty(begun: Begun) -> Json:
    """A block to which nothing was said yet."""
    match begun.kind:
        case BlockKind.TEXT:
            return {"type": "text", "text": ""}
        case BlockKind.THINKING:
            return {"type": "thinking", "thinking": "", "signature": ""}
    return {"type": "tool_use", "id": begun.id, "name": begun.name, "input": {}}


def _signature(frame: AnswerFrame) -> str:
    """Names the call; clients send thoughts back only with a signature, which nobody checks."""
    return f"tokenbooth_{frame.request_id}"


def _capped(receipt: Receipt | None) -> Json:
    """The word that the money ended the answer, which is told beside ``max_tokens``."""
    if receipt is None or receipt.outcome is not Outcome.CAP_REACHED:
        return {}
    return {"stopped": Outcome.CAP_REACHED.value}


def _event(kind: bytes, body: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind, body)
