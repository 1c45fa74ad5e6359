"""The scripted engine as an OpenAI-compatible server, with delays and faults on demand.

It is the far side in tests, drills and benchmarks. ``GET /mock/state`` counts how its calls ended,
``GET /mock/calls`` tells when each began, and when its client left it.
"""

import asyncio
import socket
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import msgspec
import uvicorn

from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, RunEnd
from tokenbooth.core.problem import Problem
from tokenbooth.engines.port import Run
from tokenbooth.engines.scripted import ScriptedEngine, ScriptOptions
from tokenbooth.protocols.dialect import Answer, AnswerFrame, Dialect, Parsed, Writer
from tokenbooth.protocols.openai_chat import OPENAI_CHAT
from tokenbooth.protocols.openai_completions import OPENAI_COMPLETIONS

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BODY_BYTES_MAX = 64 * 2**20
BUFFER_BYTES_MAX = 64 * 2**10
CALLS_KEPT = 10_000
DONE = b"data: [DONE]\n\n"


class WireFault(StrEnum):
    """STATUS answers ``fault_status``; the others happen after ``fault_after_deltas`` deltas."""

    NONE = "none"
    STATUS = "status"
    CUT = "cut"
    GARBAGE = "garbage"
    NO_DONE = "no_done"


@dataclass(frozen=True, slots=True)
class MockOptions:
    """``fault_calls`` chat calls, counted from the first, meet ``wire_fault``; ``None`` means all.

    With ``key`` every call must carry it.
    """

    script: ScriptOptions = field(default_factory=ScriptOptions)
    model: str = "mock"
    key: str | None = None
    wire_fault: WireFault = WireFault.NONE
    fault_calls: int | None = None
    fault_status: int = 500
    fault_after_deltas: int = 0
    retry_after_s: int = 1


@dataclass(slots=True)
class MockState:
    """What became of the chat calls; ``cancelled`` are those whose client hung up.

    ``connections`` is how many client connections were seen.
    """

    calls: int = 0
    running: int = 0
    ended: int = 0
    failed: int = 0
    cancelled: int = 0
    connections: int = 0


@dataclass(slots=True)
class MockCall:
    """A chat call by the last text that it sent; ``left_us`` is when its client hung up, if it did.

    The times are those of the machine's monotonic clock.
    """

    text: str
    began_us: int
    left_us: int | None = None


class _Texts(msgspec.Struct):
    input: str | list[str]
    dimensions: int | None = None


class LineCut(Exception):
    """Makes the server break the connection."""


class MockUpstream:
    """An ASGI application; ``open`` it before the first call."""

    def __init__(self, options: MockOptions) -> None:
        self._options = options
        self._engine = ScriptedEngine(options.script)
        self._clients: set[Any] = set()
        self.state = MockState()
        self.calls: deque[MockCall] = deque(maxlen=CALLS_KEPT)

    async def open(self) -> None:
        await self._engine.open()

    async def close(self) -> None:
        await self._engine.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._clients.add(scope.get("client"))
        self.state.connections = len(self._clients)
        try:
            self._authorize(scope)
            match (scope["method"], scope["path"].removeprefix("/v1")):
                case ("GET", "/mock/state"):
                    await _json(send, asdict(self.state))
                case ("GET", "/mock/calls"):
                    await _json(send, {"data": [asdict(each) for each in self.calls]})
                case ("GET", "/metrics"):
                    await _answer(send, await self._metrics())
                case ("GET", "/models"):
                    entry = {"id": self._options.model, "object": "model", "created": 0}
                    await _json(send, {"object": "list", "data": [entry]})
                case ("POST", "/embeddings"):
                    await self._embed(await _read(receive), send)
                case ("POST", "/chat/completions"):
                    await self._chat(OPENAI_CHAT, receive, send)
                case ("POST", "/completions"):
                    await self._chat(OPENAI_COMPLETIONS, receive, send)
                case _:
                    raise Problem(Code.PATH_NOT_FOUND, "Nothing is served here.")
        except Problem as problem:
            await _answer(send, OPENAI_CHAT.refusal(problem, "mock"))

    async def _metrics(self) -> Answer:
        """Under the names that vLLM gives its counters."""
        told = await self._engine.counters()
        label = f'{{engine="0",model_name="{self._options.model}"}}'
        lines = (
            f"vllm:prompt_tokens_total{label} {told.input_tokens}.0",
            f"vllm:generation_tokens_total{label} {told.output_tokens}.0",
            f"vllm:prompt_tokens_created{label} {int(told.generation, 16)}",
        )
        headers = (("content-type", "text/plain; version=0.0.4"),)
        return Answer(200, headers, "".join(f"{line}\n" for line in lines).encode())

    def _authorize(self, scope: Scope) -> None:
        key = self._options.key
        if key is not None and (b"authorization", f"Bearer {key}".encode()) not in scope["headers"]:
            raise Problem(Code.INVALID_KEY, "The mock wants another key.")

    async def _embed(self, raw: bytes, send: Send) -> None:
        try:
            asked = msgspec.json.decode(raw, type=_Texts)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Problem(Code.INVALID_VALUE, "Send input.", param="input") from error
        texts = [asked.input] if isinstance(asked.input, str) else asked.input
        found = await self._engine.embed(texts, asked.dimensions)
        rows = [
            {"object": "embedding", "index": index, "embedding": vector}
            for index, vector in enumerate(found.vectors)
        ]
        usage = {"prompt_tokens": found.input_tokens, "total_tokens": found.input_tokens}
        model = self._options.model
        await _json(send, {"object": "list", "model": model, "data": rows, "usage": usage})

    async def _chat(self, dialect: Dialect, receive: Receive, send: Send) -> None:
        raw = await _read(receive)
        self.state.calls += 1
        number, options = self.state.calls, self._options
        hit = options.fault_calls is None or number <= options.fault_calls
        fault = options.wire_fault if hit else WireFault.NONE
        if fault is WireFault.STATUS:
            await _answer(send, _status_answer(options))
            return
        parsed = dialect.parse(raw)
        frame = AnswerFrame(f"mock{number:08d}", int(time.time()), parsed.turn.model)
        call = _Call(parsed, dialect.writer(parsed, frame), options, fault)
        self.state.running += 1
        run = self._engine.start(parsed.turn, call)
        noted = MockCall(parsed.turn.messages[-1].text, _now_us())
        self.calls.append(noted)
        hearing = asyncio.ensure_future(_hang_up(receive, run, noted))
        try:
            await call.write_out(run, send)
        finally:
            hearing.cancel()
            self.state.running -= 1
            if not call.cancelled:
                noted.left_us = None  # a server hears a disconnect after every answer
            self._count(call)

    def _count(self, call: "_Call") -> None:
        if call.problem is not None:
            self.state.failed += 1
        elif call.cancelled:
            self.state.cancelled += 1
        else:
            self.state.ended += 1


class _Call:
    """A sink that buffers wire bytes; ``write_out`` sends them as fast as the client reads."""

    def __init__(
        self, parsed: Parsed, writer: Writer, options: MockOptions, fault: WireFault
    ) -> None:
        self._parsed = parsed
        self._writer = writer
        self._options = options
        self._fault = fault
        self._buffer = bytearray()
        self._news = asyncio.Event()
        self._deltas = 0
        self._over = False
        self._cut = False
        self.problem: Problem | None = None
        self.cancelled = False

    def delta(self, delta: Delta) -> None:
        broken = self._fault in (WireFault.CUT, WireFault.GARBAGE)
        if broken and self._deltas >= self._options.fault_after_deltas:
            self._cut = True
            if self._fault is WireFault.GARBAGE:
                self._buffer += b"data: {garbage\n\n"
        if not self._cut:
            self._deltas += 1
            self._buffer += self._writer.delta(delta)
        self._news.set()

    def ended(self, end: RunEnd) -> None:
        self.cancelled = end.cancelled
        closing = self._writer.closing(end, None)
        self._buffer += closing.removesuffix(DONE) if self._fault is WireFault.NO_DONE else closing
        self._end()

    def failed(self, problem: Problem) -> None:
        self.problem = problem
        self._buffer += self._writer.problem(problem)
        self._end()

    def _end(self) -> None:
        self._over = True
        self._news.set()

    async def write_out(self, run: Run, send: Send) -> None:
        """Raises Problem when the run failed before its answer began, LineCut for a cut."""
        while not (self._over or self._cut or (self._deltas and self._parsed.stream)):
            await self._next()
        if self.problem is not None and (self._deltas == 0 or not self._parsed.stream):
            raise self.problem
        kind = self._writer.content_type.encode()
        start = {"type": "http.response.start", "status": 200}
        await send(start | {"headers": [(b"content-type", kind)]})
        while True:
            if len(self._buffer) > BUFFER_BYTES_MAX:
                run.pause()
            await self._flush(send)
            run.resume()
            if self._over or self._cut:
                break
            await self._next()
        await self._flush(send)
        if self._cut:
            run.cancel()
            raise LineCut
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _next(self) -> None:
        await self._news.wait()
        self._news.clear()

    async def _flush(self, send: Send) -> None:
        if self._buffer and (self._parsed.stream or self._over):
            body = bytes(self._buffer)
            self._buffer.clear()
            await send({"type": "http.response.body", "body": body, "more_body": True})


async def serve_mock(
    options: MockOptions, port: int = 0, on_port: Callable[[int], None] = lambda _: None
) -> None:
    """Serve on loopback until the task is cancelled or the process gets SIGTERM or SIGINT.

    ``on_port`` hears the port once the socket listens; port 0 takes a free one.
    """
    mock = MockUpstream(options)
    config = uvicorn.Config(
        mock, lifespan="off", access_log=False, log_level="critical", timeout_graceful_shutdown=1
    )
    with _listener(port) as listener:
        await mock.open()
        on_port(listener.getsockname()[1])
        try:
            await uvicorn.Server(config).serve(sockets=[listener])
        finally:
            await mock.close()


def _listener(port: int) -> socket.socket:
    """asyncio turns Nagle's wait off only where the socket names its protocol."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as refused:
        listener.close()
        raise Problem(
            Code.STATE_CONFLICT, f"Port {port} cannot be used: {refused.strerror}; name another."
        ) from refused
    listener.listen(1024)
    return listener


def run_mock_upstream(port: int, options: MockOptions) -> None:
    """Serve until the process is told to stop; says ``{"port": N}`` on standard output."""

    def say(chosen: int) -> None:
        sys.stdout.write(f'{{"port": {chosen}}}\n')
        sys.stdout.flush()

    asyncio.run(serve_mock(options, port, say))


async def _hang_up(receive: Receive, run: Run, noted: MockCall) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    noted.left_us = _now_us()
    run.cancel()


def _now_us() -> int:
    return time.monotonic_ns() // 1000


async def _read(receive: Receive) -> bytes:
    pieces, size, more = [], 0, True
    while more:
        message = await receive()
        piece = message.get("body", b"")
        size += len(piece)
        if size > BODY_BYTES_MAX:
            raise Problem(Code.BODY_TOO_LARGE, "The body is too large for the mock.")
        pieces.append(piece)
        more = message.get("more_body", False)
    return b"".join(pieces)


def _status_answer(options: MockOptions) -> Answer:
    error = {"message": "The mock was told to fail.", "type": "mock_error", "param": None}
    headers = (("content-type", "application/json"), ("retry-after", str(options.retry_after_s)))
    return Answer(options.fault_status, headers, msgspec.json.encode({"error": error}))


async def _json(send: Send, value: object) -> None:
    headers = (("content-type", "application/json"),)
    await _answer(send, Answer(200, headers, msgspec.json.encode(value)))


async def _answer(send: Send, answer: Answer) -> None:
    headers = [(name.encode(), value.encode()) for name, value in answer.headers]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})
