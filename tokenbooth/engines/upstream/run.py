"""One streamed call to an upstream."""

import asyncio
from collections.abc import Callable, Mapping

from tokenbooth.core.codes import Code
from tokenbooth.core.delta import RunEnd
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import Turn
from tokenbooth.engines.outbox import Outbox
from tokenbooth.engines.port import DeltaSink
from tokenbooth.engines.upstream.chunks import AnswerFold, StreamError, broken
from tokenbooth.engines.upstream.pool import Pool
from tokenbooth.engines.upstream.refused import in_stream, refusal
from tokenbooth.engines.upstream.silence import Silence
from tokenbooth.engines.upstream.sse import EventTooLarge, SseFold
from tokenbooth.engines.upstream.values import UpstreamOptions
from tokenbooth.engines.upstream.wire import Broken, Connection

ERROR_BYTES_MAX = 64 * 2**10
# After [DONE] the connection may be used again if the rest of the answer comes within this time.
DRAIN_MS = 1_000


class UpstreamRun:
    """Hears the connection and pushes to the sink; while paused the socket is not read."""

    def __init__(
        self,
        turn: Turn,
        pool: Pool,
        options: UpstreamOptions,
        sink: DeltaSink,
        over: Callable[["UpstreamRun"], None],
    ) -> None:
        self._turn = turn
        self._pool = pool
        self._options = options
        self._outbox = Outbox(sink)
        self._forget = over
        self._loop = asyncio.get_running_loop()
        self._silence = Silence(self._silent)
        self._request = b""
        self._connection: Connection | None = None
        self._status = 0
        self._headers: Mapping[str, str] = {}
        self._body_bytes = 0
        self._error_body = bytearray()
        self._events = SseFold(options.event_bytes_max)
        self._fold = AnswerFold(turn.choices)
        self.task: asyncio.Task[None] | None = None

    def begin(self, request: bytes) -> None:
        """Send ``request`` on a free connection, or connect first."""
        self._request = request
        connection = self._pool.take()
        if connection is None:
            self.task = self._loop.create_task(self._connect())
        else:
            self._send(connection)

    def refuse(self, problem: Problem) -> None:
        """End with a problem that was found before the call was made."""
        self._loop.call_soon(self.fail, problem)

    def cancel(self) -> None:
        """Closing the connection is how an upstream is told to stop."""
        if not self._outbox.over:
            self._stop()
            # The sink hears of it from the loop, never from inside its own call of ``cancel``.
            self._outbox.mute()
            self._loop.call_soon(self._outbox.end, RunEnd(self._fold.usage, cancelled=True))

    def pause(self) -> None:
        self._outbox.paused = True
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        if self._outbox.paused:
            self._outbox.paused = False
            self._loop.call_soon(self._release)

    def fail(self, problem: Problem) -> None:
        """Fail now, whatever is held back."""
        self._stop()
        self._outbox.end(problem)

    async def _connect(self) -> None:
        try:
            connection = await self._pool.connect()
        except Problem as problem:
            self.fail(problem)
        else:
            self._send(connection)

    def _send(self, connection: Connection) -> None:
        self._connection = connection
        self._silence.limit(self._options.first_byte_timeout_ms)
        connection.send(self._request, self)
        if self._outbox.paused:
            connection.pause()

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        self._silence.heard()
        self._status = status
        self._headers = headers
        kind = headers.get("content-type", "text/event-stream")
        coding = headers.get("content-encoding", "identity")
        if status == 200 and (not kind.startswith("text/event-stream") or coding != "identity"):
            self._finish(broken("something other than a plain event stream"))

    def body(self, chunk: bytes) -> None:
        if self._outbox.sealed:
            return
        if self._body_bytes:
            self._silence.heard()
        else:
            self._silence.limit(self._options.idle_timeout_ms)
        self._body_bytes += len(chunk)
        if self._status != 200:
            self._error_body += chunk
            if self._body_bytes > ERROR_BYTES_MAX:
                self._refused()
        elif self._body_bytes > self._options.answer_bytes_max:
            self._finish(broken("a longer answer than the limit"))
        else:
            self._read(chunk)

    def done(self) -> None:
        self._leave()
        if self._status == 200:
            self._close_fold()
        else:
            self._refused()

    def broken(self, cause: Broken) -> None:
        self._leave()
        if self._outbox.sealed:
            return
        if cause is Broken.STALE:
            self.task = self._loop.create_task(self._connect())
        elif cause is Broken.CLOSED and self._status == 200:
            self._close_fold()
        else:
            self._finish(broken("a broken answer"))

    def _read(self, chunk: bytes) -> None:
        try:
            for event in self._events.feed(chunk):
                for delta in self._fold.feed(event.data):
                    self._outbox.push(delta)
                if self._fold.done:
                    self._close_fold()
                if self._outbox.sealed:
                    return
        except EventTooLarge:
            self._finish(broken("a larger event than the limit"))
        except StreamError as error:
            self._finish(in_stream(error.error, self._options, self._turn.model))
        except Problem as problem:
            self._finish(problem)

    def _close_fold(self) -> None:
        if self._outbox.sealed:
            return
        try:
            last, end = self._fold.end()
        except Problem as problem:
            self._finish(problem)
            return
        for delta in last:
            self._outbox.push(delta)
        self._finish(end)

    def _refused(self) -> None:
        raw = bytes(self._error_body)
        self._finish(refusal(self._status, self._headers, raw, self._options, self._turn.model))

    def _finish(self, terminal: RunEnd | Problem) -> None:
        """End after what is held back."""
        if isinstance(terminal, Problem):
            self._drop()
        if self._outbox.finish(terminal):
            self._ended()

    def _release(self) -> None:
        if self._outbox.release():
            self._ended()
        elif self._connection is not None and not self._outbox.paused:
            self._silence.heard()
            self._connection.resume()

    def _ended(self) -> None:
        self._forget(self)
        if self._connection is not None:
            self._connection.resume()
            self._silence.limit(DRAIN_MS)

    def _silent(self) -> None:
        if self._outbox.over:
            self._drop()
        elif self._outbox.paused:
            self._silence.limit(self._options.idle_timeout_ms)
        else:
            self.fail(Problem(Code.RUN_TIMEOUT, "The model's server did not answer in time."))

    def _stop(self) -> None:
        self._forget(self)
        self._drop()
        if self.task is not None and self.task is not asyncio.current_task(self._loop):
            self.task.cancel()

    def _drop(self) -> None:
        connection = self._connection
        self._leave()
        if connection is not None:
            connection.abort()

    def _leave(self) -> None:
        """The connection is the pool's again, or gone."""
        self._connection = None
        self._silence.leave(for_good=self._outbox.over)
