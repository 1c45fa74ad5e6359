"""Deltas to Responses: typed server-sent events, or one body, from one fold.

A stream begins with ``response.created`` and ``response.in_progress``, with ``response.queued``
between them where the call runs in the background, and ends with exactly one of
``response.completed``, ``response.incomplete`` and ``response.failed``, which hold the whole
response. There is no ``[DONE]``.
"""

from collections.abc import Mapping
from typing import Any

from tokenbooth.core.delta import Delta, RunEnd
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Receipt
from tokenbooth.protocols.dialect import AnswerFrame, Parsed
from tokenbooth.protocols.openai_responses.body import (
    core_id,
    ended_json,
    failed_json,
    response_json,
)
from tokenbooth.protocols.openai_responses.events import EventStream, Silence
from tokenbooth.protocols.openai_responses.output import Form, Output
from tokenbooth.protocols.openai_responses.renamed import renamed
from tokenbooth.protocols.openai_responses.tools import called_of
from tokenbooth.protocols.problems import error_body
from tokenbooth.protocols.wire_json import encode

HEARTBEAT = b": keep-alive\n\n"
Json = dict[str, object]


class StreamWriter:
    """Each delta becomes events at once."""

    content_type = "text/event-stream"

    def __init__(self, parsed: Parsed, frame: AnswerFrame) -> None:
        self._frame = frame
        self._response = response_json(parsed, frame)
        self._events = EventStream()
        self._output = Output(_form(parsed, frame), self._events)
        self._waited = parsed.memory is not None and parsed.memory.background
        self._begun = False
        self._ended = False

    def delta(self, delta: Delta) -> bytes:
        if self._ended:
            return b""
        self._begin()
        self._output.take(delta)
        return self._events.taken()

    def closing(self, end: RunEnd, receipt: Receipt | None) -> bytes:
        if self._ended:
            return b""
        self._begin()
        finish = self._output.end_unsaid(cancelled=end.cancelled)
        return self._last(ended_json(finish, end, receipt, self._frame))

    def problem(self, problem: Problem) -> bytes:
        if self._ended:
            return b""
        self._begin()
        self._output.leave()
        return self._last(failed_json(renamed(problem), self._frame.request_id))

    def heartbeat(self) -> bytes:
        return b"" if self._ended else HEARTBEAT

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            queued = {**self._response, "status": "queued"} if self._waited else None
            self._events.add("response.created", {"response": queued or self._response})
            if queued is not None:
                self._events.add("response.queued", {"response": queued})
            self._events.add("response.in_progress", {"response": self._response})

    def _last(self, ended: Json) -> bytes:
        self._ended = True
        response = {**self._response, **ended, "output": self._output.whole()}
        self._events.add(f"response.{ended['status']}", {"response": response})
        return self._events.taken()


class WholeWriter:
    """Nothing goes out before the end; then one response."""

    content_type = "application/json"

    def __init__(self, parsed: Parsed, frame: AnswerFrame) -> None:
        self._frame = frame
        self._response = response_json(parsed, frame)
        self._output = Output(_form(parsed, frame), Silence())
        self._ended = False

    def delta(self, delta: Delta) -> bytes:
        if not self._ended:
            self._output.take(delta)
        return b""

    def closing(self, end: RunEnd, receipt: Receipt | None) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        finish = self._output.end_unsaid(cancelled=end.cancelled)
        ended = ended_json(finish, end, receipt, self._frame)
        return encode({**self._response, **ended, "output": self._output.whole()})

    def problem(self, problem: Problem) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        return error_body(renamed(problem), self._frame.request_id)

    def heartbeat(self) -> bytes:
        return b""


def _form(parsed: Parsed, frame: AnswerFrame) -> Form:
    echo: Mapping[str, Any] = parsed.echo
    return Form(
        core_id=core_id(frame),
        tools=called_of(echo.get("tools", ())),
        summarized=echo.get("reasoning", {}).get("summary") is not None,
        logprobs=parsed.turn.logprobs is not None,
        seal=None if parsed.memory is None else parsed.memory.seal,
    )
