"""The way back of a call on a WebSocket: each event of its stream is one text."""

from collections.abc import Sequence

from tokenbooth.core.ports import SinkListener, Talk
from tokenbooth.protocols.dialect import Answer
from tokenbooth.protocols.openai_responses.body import response_id
from tokenbooth.protocols.openai_responses.heard import (
    error_event,
    event_end,
    events_of,
    is_failure,
)

WELL = 200


class EventSink:
    """``failed`` once the call is known to end badly; ``status`` is that of its answer."""

    def __init__(self, talk: Talk, stream_id: str | None) -> None:
        self._talk = talk
        self._stream_id = stream_id
        self._event_end = event_end(stream_id)
        self._headers: tuple[tuple[str, str], ...] = ()
        self._first: tuple[tuple[str, str], ...] = ()
        self._refusal = b""
        self._listener: SinkListener | None = None
        self._gone = self._ended = self._high = self._told_high = False
        self._request_id: str | None = None
        self.status = 0
        self.failed = False

    def belongs(self, request_id: str) -> None:
        """To that call."""
        self._request_id = request_id

    def answers(self, said_id: object) -> bool:
        """Whether the response of that id comes this way."""
        return self._request_id is not None and response_id(self._request_id) == said_id

    @property
    def started(self) -> bool:
        return self.status != 0

    def start(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        self.status = status
        self.failed = status != WELL
        self._headers = tuple(headers)
        named = [("x-request-id", self._request_id or ""), *self._headers]
        self._first = tuple(pair for pair in named if pair[0] != "content-type")

    def write(self, chunk: bytes) -> None:
        if self._gone or not chunk:
            return
        if self.status != WELL:
            self._refusal += chunk
            return
        for event in events_of(chunk, self._event_end, self._first):
            self.failed = self.failed or is_failure(event)
            self._talk.say(event)
            self._first = ()
        if self._high and not self._told_high:
            # What began to write after the reader had enough was not there to be told.
            self.press(high=True)

    def end(self) -> None:
        if self._ended:
            return
        self._ended = True
        if self._refusal and not self._gone:
            answer = Answer(self.status, self._headers, self._refusal)
            self._talk.say(error_event(answer, self._stream_id))

    def listen(self, listener: SinkListener) -> None:
        self._listener = listener
        if self._gone:
            listener.gone()

    def gone(self) -> None:
        """The other end is gone."""
        self._gone = True
        if self._listener is not None and not self._ended:
            self._listener.gone()

    def press(self, *, high: bool) -> None:
        """The other end takes less than is said, or has caught up."""
        self._high = high
        if self._listener is not None and not self._ended:
            self._told_high = high and self.started
            self._listener.pressure(high)
