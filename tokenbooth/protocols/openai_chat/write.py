"""Deltas to Chat Completions: server-sent chunks, or one body, as two folds over the same states.

A stream ends with exactly one terminal event: ``[DONE]``, or one ``error`` event without it. Each
choice gets exactly one finish reason. ``system_fingerprint``, known only when the run ends, stands
in the usage chunk and in the whole body.
"""

from collections.abc import Collection
from typing import cast

from tokenbooth.core.delta import Delta, RunEnd, TokenLogprob
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome, Receipt
from tokenbooth.core.terms import ServiceTier
from tokenbooth.protocols.dialect import AnswerFrame, Parsed
from tokenbooth.protocols.openai_chat.choices import ChoiceBook, ChoiceState, Json, logprobs_json
from tokenbooth.protocols.problems import error_body
from tokenbooth.protocols.receipts import receipt_json, tokens_json
from tokenbooth.protocols.wire_json import encode

DONE = b"data: [DONE]\n\n"
HEARTBEAT = b": keep-alive\n\n"
CAPPED = b'"stopped":"%s"' % Outcome.CAP_REACHED.value.encode()


class StreamWriter:
    """Each delta becomes chunks at once; the constant head of a chunk is written only once."""

    content_type = "text/event-stream"

    def __init__(self, parsed: Parsed, frame: AnswerFrame) -> None:
        self._frame = frame
        self._book = ChoiceBook(parsed.turn.choices, frame.request_id, _customs(parsed))
        self._with_logprobs = parsed.turn.logprobs is not None
        self._with_usage = parsed.include_usage
        self._ended = False
        head = encode(_head(parsed, frame, "chat.completion.chunk"))[:-1]
        self._heads = tuple(
            b"data: " + head + b',"choices":[{"index":%d,"delta":' % state.index
            for state in self._book.states
        )
        self._usage_head = b"data: " + head + b',"choices":[],'
        self._tail = b'}],"usage":null}\n\n' if self._with_usage else b"}]}\n\n"
        self._text_heads = tuple(head + b'{"content":' for head in self._heads)
        self._text_tail = b'},"logprobs":null,"finish_reason":null' + self._tail

    def delta(self, delta: Delta) -> bytes:
        state = None if self._ended else self._book.open_choice(delta)
        if state is None:
            return b""
        if state.texted and _is_text(delta):
            return self._text_heads[state.index] + encode(delta.text) + self._text_tail
        fields = _delta_fields(delta, state)
        logprobs = delta.logprobs if self._with_logprobs else ()
        written = b""
        if fields or logprobs:
            if not state.begun:
                written = self._open_before(state)
                state.begun = True
                fields = {"role": "assistant", "content": None, **fields}
            written += self._chunk(state, fields, logprobs)
        if delta.finish is None:
            return written
        state.finish = delta.finish
        return written + self._finish(state)

    def closing(self, end: RunEnd, receipt: Receipt | None) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        pieces = []
        if _is_capped(receipt):
            self._tail = b"}]," + CAPPED + self._tail[2:]
        for state in self._book.states:
            if state.finish is None:
                state.end(cancelled=end.cancelled)
                pieces.append(self._finish(state))
        usage = _usage(end, receipt)
        if self._with_usage and usage is not None:
            rest: Json = {"usage": usage}
            if end.fingerprint is not None:
                rest["system_fingerprint"] = end.fingerprint
            pieces.append(self._usage_head + encode(rest)[1:] + b"\n\n")
        return b"".join(pieces) + DONE

    def problem(self, problem: Problem) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        return b"data: " + error_body(problem, self._frame.request_id) + b"\n\n"

    def heartbeat(self) -> bytes:
        return b"" if self._ended else HEARTBEAT

    def _open_before(self, state: ChoiceState) -> bytes:
        """Chunks that open every earlier choice: clients fill their list of choices in order."""
        pieces = []
        for earlier in self._book.states[: state.index]:
            if not earlier.begun:
                earlier.begun = True
                pieces.append(self._chunk(earlier, {"role": "assistant", "content": None}, ()))
        return b"".join(pieces)

    def _finish(self, state: ChoiceState) -> bytes:
        fields: Json = {}
        opened = b""
        rest = state.custom_rest()
        if rest:
            finish, state.finish = state.finish, None
            opened = self._chunk(state, {"tool_calls": rest}, ())
            state.finish = finish
        if not state.begun:
            opened = self._open_before(state)
            state.begun = True
            fields = {"role": "assistant", "content": ""}
        elif not state.texted and not state.has_calls:
            fields = {"content": ""}
        return opened + self._chunk(state, fields, ())

    def _chunk(self, state: ChoiceState, fields: Json, logprobs: tuple[TokenLogprob, ...]) -> bytes:
        said = b"null"
        if logprobs:
            said = encode({"content": logprobs_json(logprobs), "refusal": None})
        finish = b"null" if state.finish is None else b'"%s"' % state.finish.value.encode()
        return b"".join(
            (
                self._heads[state.index],
                encode(fields),
                b',"logprobs":',
                said,
                b',"finish_reason":',
                finish,
                self._tail,
            )
        )


class WholeWriter:
    """Nothing goes out before the end; then one ``chat.completion`` body."""

    content_type = "application/json"

    def __init__(self, parsed: Parsed, frame: AnswerFrame) -> None:
        self._frame = frame
        self._head = _head(parsed, frame, "chat.completion")
        self._book = ChoiceBook(parsed.turn.choices, frame.request_id, _customs(parsed))
        self._with_logprobs = parsed.turn.logprobs is not None
        self._gathered: list[list[Delta]] = [[] for _ in self._book.states]
        self._ended = False

    def delta(self, delta: Delta) -> bytes:
        state = None if self._ended else self._book.open_choice(delta)
        if state is not None:
            self._gathered[state.index].append(delta)
            if delta.tool_call is not None:
                state.call_piece(delta.tool_call)
            state.finish = delta.finish
        return b""

    def closing(self, end: RunEnd, receipt: Receipt | None) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        body = dict(self._head)
        if end.fingerprint is not None:
            body["system_fingerprint"] = end.fingerprint
        body["choices"] = [
            self._choice(state, deltas, cancelled=end.cancelled)
            for state, deltas in zip(self._book.states, self._gathered, strict=True)
        ]
        usage = _usage(end, receipt)
        if usage is not None:
            body["usage"] = usage
        if _is_capped(receipt):
            body["stopped"] = Outcome.CAP_REACHED.value
        return encode(body)

    def problem(self, problem: Problem) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        return error_body(problem, self._frame.request_id)

    def heartbeat(self) -> bytes:
        return b""

    def _choice(self, state: ChoiceState, deltas: list[Delta], *, cancelled: bool) -> Json:
        content = "".join(delta.text for delta in deltas)
        refusal = "".join(delta.refusal for delta in deltas)
        reasoning = "".join(delta.reasoning for delta in deltas)
        message: Json = {
            "role": "assistant",
            "content": None if state.has_calls and not content else content,
            "refusal": refusal or None,
        }
        if reasoning:
            message["reasoning_content"] = reasoning
        if state.has_calls:
            message["tool_calls"] = state.whole_calls()
        places = [place for delta in deltas for place in delta.logprobs]
        said = None
        if self._with_logprobs and places:
            said = {"content": logprobs_json(places), "refusal": None}
        finish = state.finish or state.end(cancelled=cancelled)
        return {
            "index": state.index,
            "message": message,
            "logprobs": said,
            "finish_reason": finish.value,
        }


def _head(parsed: Parsed, frame: AnswerFrame, kind: str) -> Json:
    """A tier other than the standard one is named."""
    head: Json = {
        "id": f"chatcmpl-{frame.request_id}",
        "object": kind,
        "created": frame.created_s,
        "model": frame.model,
    }
    if parsed.turn.service_tier is not ServiceTier.STANDARD:
        head["service_tier"] = parsed.turn.service_tier.value
    return head


def _customs(parsed: Parsed) -> frozenset[str]:
    return frozenset(cast("Collection[str]", parsed.echo.get("custom", ())))


def _is_text(delta: Delta) -> bool:
    """Whether it holds text and nothing else, as nearly every one does."""
    return bool(delta.text) and not (
        delta.reasoning
        or delta.refusal
        or delta.tool_call is not None
        or delta.logprobs
        or delta.finish is not None
    )


def _delta_fields(delta: Delta, state: ChoiceState) -> Json:
    """The ``delta`` object of a chunk, without the role."""
    fields: Json = {}
    if delta.text:
        state.texted = True
        fields["content"] = delta.text
    if delta.reasoning:
        fields["reasoning_content"] = delta.reasoning
    if delta.refusal:
        fields["refusal"] = delta.refusal
    piece = None if delta.tool_call is None else state.call_piece(delta.tool_call)
    if piece is not None:
        fields["tool_calls"] = [piece]
    return fields


def _is_capped(receipt: Receipt | None) -> bool:
    """Whether the money ended the answer, which its chunks then name beside ``length``."""
    return receipt is not None and receipt.outcome is Outcome.CAP_REACHED


def _usage(end: RunEnd, receipt: Receipt | None) -> Json | None:
    """What was settled; without a receipt, what the engine counted."""
    if receipt is not None:
        return receipt_json(receipt)
    return None if end.usage is None else tokens_json(end.usage)
