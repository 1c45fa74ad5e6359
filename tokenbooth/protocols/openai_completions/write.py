"""Deltas to text completions: server-sent chunks, or one body, as two folds over the same states.

A stream ends with exactly one terminal event: ``[DONE]``, or one ``error`` event without it. Each
choice gets exactly one finish reason.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tokenbooth.core.delta import Delta, FinishReason, RunEnd, TokenLogprob
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome, Receipt
from tokenbooth.protocols.dialect import AnswerFrame, Parsed
from tokenbooth.protocols.problems import error_body
from tokenbooth.protocols.receipts import receipt_json, tokens_json
from tokenbooth.protocols.wire_json import encode

Json = dict[str, object]

DONE = b"data: [DONE]\n\n"
HEARTBEAT = b": keep-alive\n\n"
LOGPROB_MIN = -9999.0
_FINISHES = {FinishReason.TOOL_CALLS: FinishReason.STOP.value}


@dataclass(frozen=True, slots=True)
class Said:
    """What a step adds to a completion; each place stands with its offset in the text."""

    text: str
    places: tuple[tuple[int, TokenLogprob], ...] = ()


NOTHING = Said("")


class TextChoice:
    """One completion so far: what its answer begins with, and how long its text is.

    ``top`` is how many alternatives were asked for at each place, ``None`` for no places at all.
    """

    __slots__ = ("_length", "_opening", "_top", "finish", "index")

    def __init__(self, index: int, opening: str, top: int | None) -> None:
        self.index = index
        self.finish: FinishReason | None = None
        self._opening = opening
        self._length = 0
        self._top = top

    def said(self, delta: Delta) -> Said:
        """What a step says; the first one also says the prompt that is to be echoed."""
        text = self._opening + delta.text + delta.refusal
        self._opening = ""
        places, at = [], self._length
        for place in delta.logprobs if self._top is not None else ():
            places.append((at, place))
            at += len(place.text)
        self._length += len(text)
        return Said(text, tuple(places))

    def wire(self, said: Said, finish: str | None) -> Json:
        return {
            "text": said.text,
            "index": self.index,
            "logprobs": self._logprobs(said.places) if said.places else None,
            "finish_reason": finish,
        }

    def _logprobs(self, places: Sequence[tuple[int, TokenLogprob]]) -> Json:
        tops = [{text: _finite(value) for text, value in place.alternatives} for _, place in places]
        return {
            "tokens": [place.text for _, place in places],
            "token_logprobs": [_finite(place.logprob) for _, place in places],
            "top_logprobs": tops if self._top else None,
            "text_offset": [at for at, _ in places],
        }

    def end(self, *, cancelled: bool) -> FinishReason:
        """The finish of a choice for which the engine sent none."""
        self.finish = FinishReason.LENGTH if cancelled else FinishReason.STOP
        return self.finish


class _Writer:
    """What both ways of writing share."""

    def __init__(self, parsed: Parsed, frame: AnswerFrame) -> None:
        turn = parsed.turn
        self._frame = frame
        top = None if turn.logprobs is None else turn.logprobs.top
        each = turn.choices // len(turn.messages)
        prompts = [message.text for message in turn.messages for _ in range(each)]
        openings = prompts if parsed.echo.get("echo") else [""] * turn.choices
        self._choices = [TextChoice(index, text, top) for index, text in enumerate(openings)]
        self._ended = False
        self._head: Json = {
            "id": f"cmpl-{frame.request_id}",
            "object": "text_completion",
            "created": frame.created_s,
            "model": frame.model,
        }

    def _choice(self, delta: Delta) -> TextChoice | None:
        """The open choice of a step; one that was not asked for, or is over, has none."""
        if self._ended or not 0 <= delta.choice < len(self._choices):
            return None
        choice = self._choices[delta.choice]
        return choice if choice.finish is None else None

    def problem(self, problem: Problem) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        return self._failed(error_body(problem, self._frame.request_id))

    def _failed(self, body: bytes) -> bytes:
        return body


class StreamWriter(_Writer):
    """Each delta becomes chunks at once."""

    content_type = "text/event-stream"

    def __init__(self, parsed: Parsed, frame: AnswerFrame) -> None:
        super().__init__(parsed, frame)
        self._with_usage = parsed.include_usage

    def delta(self, delta: Delta) -> bytes:
        choice = self._choice(delta)
        if choice is None:
            return b""
        said = choice.said(delta)
        written = b""
        if said.text or said.places:
            written = self._chunk(choice.wire(said, None))
        if delta.finish is not None:
            choice.finish = delta.finish
            written += self._chunk(choice.wire(NOTHING, _finish(delta.finish)))
        return written

    def closing(self, end: RunEnd, receipt: Receipt | None) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        pieces = []
        for choice in self._choices:
            if choice.finish is None:
                finish = choice.end(cancelled=end.cancelled)
                said = choice.said(Delta())
                pieces.append(self._chunk(choice.wire(said, _finish(finish)), receipt))
        usage = _usage(end, receipt)
        if self._with_usage and usage is not None:
            rest: Json = {**self._head, "choices": [], "usage": usage}
            if end.fingerprint is not None:
                rest["system_fingerprint"] = end.fingerprint
            pieces.append(b"data: " + encode(rest) + b"\n\n")
        return b"".join(pieces) + DONE

    def heartbeat(self) -> bytes:
        return b"" if self._ended else HEARTBEAT

    def _chunk(self, choice: Json, receipt: Receipt | None = None) -> bytes:
        chunk: Json = {**self._head, "choices": [choice], **_stopped(receipt)}
        if self._with_usage:
            chunk["usage"] = None
        return b"data: " + encode(chunk) + b"\n\n"

    def _failed(self, body: bytes) -> bytes:
        return b"data: " + body + b"\n\n"


class WholeWriter(_Writer):
    """Nothing goes out before the end; then one ``text_completion`` body."""

    content_type = "application/json"

    def __init__(self, parsed: Parsed, frame: AnswerFrame) -> None:
        super().__init__(parsed, frame)
        self._gathered: list[list[Delta]] = [[] for _ in self._choices]

    def delta(self, delta: Delta) -> bytes:
        choice = self._choice(delta)
        if choice is not None:
            self._gathered[choice.index].append(delta)
            choice.finish = delta.finish
        return b""

    def closing(self, end: RunEnd, receipt: Receipt | None) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        body: Json = {
            **self._head,
            "choices": [
                self._whole(choice, deltas, cancelled=end.cancelled)
                for choice, deltas in zip(self._choices, self._gathered, strict=True)
            ],
            **_stopped(receipt),
        }
        usage = _usage(end, receipt)
        if usage is not None:
            body["usage"] = usage
        if end.fingerprint is not None:
            body["system_fingerprint"] = end.fingerprint
        return encode(body)

    def heartbeat(self) -> bytes:
        return b""

    def _whole(self, choice: TextChoice, deltas: list[Delta], *, cancelled: bool) -> Json:
        steps = [choice.said(delta) for delta in deltas or [Delta()]]
        places = tuple(place for step in steps for place in step.places)
        finish = choice.finish or choice.end(cancelled=cancelled)
        return choice.wire(Said("".join(step.text for step in steps), places), _finish(finish))


def _finish(finish: FinishReason) -> str:
    return _FINISHES.get(finish, finish.value)


def _finite(value: float) -> float:
    return value if math.isfinite(value) else LOGPROB_MIN


def _stopped(receipt: Receipt | None) -> Json:
    """Money that ended the answer is named beside ``length``."""
    capped = receipt is not None and receipt.outcome is Outcome.CAP_REACHED
    return {"stopped": Outcome.CAP_REACHED.value} if capped else {}


def _usage(end: RunEnd, receipt: Receipt | None) -> Json | None:
    """What was settled; without a receipt, what the engine counted."""
    if receipt is not None:
        return receipt_json(receipt)
    return None if end.usage is None else tokens_json(end.usage)
