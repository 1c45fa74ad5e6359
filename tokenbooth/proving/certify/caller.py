"""Asks any server that speaks Chat Completions, over kept connections, and times what it says."""

import asyncio
import contextlib
import json
import re
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from tokenbooth.proving.wire import BrokenWire, EventFold, head_of
from tokenbooth.verify.certificates.service import NEVER_US, OK
from tokenbooth.verify.packs.service import Probe

IDLE_MAX = 512
HEAD_BYTES_MAX = 64 * 1024
PIECE_BYTES = 16 * 1024
BODY_BYTES_MAX = 64 * 2**20
TOKENS_MAX = 10_000_000
ANSWER_CHARACTERS_MAX = 8_000
DONE = "[DONE]"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where Chat Completions are served: ``base_url`` ends in ``/v1``, as client libraries have it;
    ``key_secret`` may be empty."""

    base_url: str
    model: str
    key_secret: str = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of one call; times are microseconds of the clock of this process, -1 for never."""

    first_us: int
    end_us: int
    output_tokens: int
    status: str
    finish: str
    answer: str
    fingerprint: str


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta = msgspec.field(default_factory=_Delta)
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    completion_tokens: Annotated[int, msgspec.Meta(ge=0, le=TOKENS_MAX)] = 0


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    system_fingerprint: str | None = None
    error: object = None


_CHUNK = msgspec.json.Decoder(_Chunk)


def now_us() -> int:
    return time.monotonic_ns() // 1000


class Caller:
    """``ask`` any number of times at once; ``close`` at the end."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Raises ValueError for an address that is none, and for a key that no header can carry."""
        parts = urlsplit(endpoint.base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{endpoint.base_url!r} is no address of a server")
        if endpoint.key_secret and not re.fullmatch(r"[!-~]+", endpoint.key_secret):
            raise ValueError("the key holds signs that no header can carry")
        self._host = parts.hostname
        self._secure = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._secure else 80)
        self._path = parts.path.rstrip("/") + "/chat/completions"
        self._endpoint = endpoint
        self._idle: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()

    async def ask(self, probe: Probe, within_s: float) -> Heard:
        """One streamed call; what goes wrong is in ``status``, never raised."""
        told = _Told()
        try:
            async with asyncio.timeout(within_s):
                await self._exchange(_body(self._endpoint.model, probe), told)
        except TimeoutError:
            told.status = "too late"
        except (OSError, EOFError, BrokenWire, ssl.SSLError, msgspec.MsgspecError) as error:
            told.status = f"broken: {type(error).__name__}"
        return told.heard()

    async def close(self) -> None:
        for _, writer in self._idle:
            writer.transport.abort()
        self._idle.clear()

    async def _exchange(self, body: bytes, told: "_Told") -> None:
        reader, writer = await self._line()
        kept = False
        try:
            writer.write(self._head(len(body)) + body)
            status, headers = await _head(reader)
            chunks = _pieces(reader, headers)
            if status != 200:
                told.status = f"status {status}"
                async for _ in chunks:
                    pass
            else:
                fold = EventFold()
                async for piece in chunks:
                    for event in fold.feed(piece):
                        told.event(event)
            told.end()
            kept = headers.get("connection", "").lower() != "close" and len(self._idle) < IDLE_MAX
        finally:
            if kept:
                self._idle.append((reader, writer))
            else:
                writer.transport.abort()

    async def _line(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not writer.is_closing() and not reader.at_eof():
                return reader, writer
            writer.transport.abort()
        return await asyncio.open_connection(
            self._host, self._port, ssl=self._secure, limit=HEAD_BYTES_MAX
        )

    def _head(self, length: int) -> bytes:
        lines = [
            f"POST {self._path} HTTP/1.1",
            f"host: {f'[{self._host}]' if ':' in self._host else self._host}:{self._port}",
            "content-type: application/json",
            f"content-length: {length}",
        ]
        if self._endpoint.key_secret:
            lines.append(f"authorization: Bearer {self._endpoint.key_secret}")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


class _Told:
    """What one answer has said so far."""

    def __init__(self) -> None:
        self.status = ""
        self._first_us = self._end_us = NEVER_US
        self._answer = ""
        self._pieces = 0
        self._tokens: int | None = None
        self._finish = self._fingerprint = ""
        self._whole = False

    def event(self, text: str) -> None:
        if text == DONE:
            self._whole = True
            return
        chunk = _CHUNK.decode(text)
        if chunk.error is not None:
            self.status = "an error inside the stream"
        self._fingerprint = chunk.system_fingerprint or self._fingerprint
        if chunk.usage is not None:
            self._tokens = chunk.usage.completion_tokens
        for choice in chunk.choices:
            said = choice.delta.content
            if said or choice.delta.reasoning_content:
                if self._first_us == NEVER_US:
                    self._first_us = now_us()
                self._end_us = now_us()
                self._pieces += 1
            if said:
                self._answer = (self._answer + said)[:ANSWER_CHARACTERS_MAX]
            self._finish = choice.finish_reason or self._finish

    def end(self) -> None:
        if self._first_us == NEVER_US:
            self._first_us = self._end_us = now_us()
        if not self.status:
            self.status = OK if self._whole else "no end"

    def heard(self) -> Heard:
        clean = self._answer.encode("utf-8", "replace").decode()
        tokens = self._pieces if self._tokens is None else self._tokens
        return Heard(
            self._first_us,
            self._end_us,
            tokens,
            self.status,
            self._finish,
            clean,
            self._fingerprint,
        )


def _body(model: str, probe: Probe) -> bytes:
    fields: dict[str, object] = {
        "model": model,
        "messages": [{"role": "user", "content": probe.text}],
        "max_tokens": probe.output_tokens_max,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if probe.stop:
        fields["stop"] = [probe.stop]
    return json.dumps(fields).encode()


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    with contextlib.suppress(asyncio.LimitOverrunError):
        head = head_of(await reader.readuntil(b"\r\n\r\n"))
        return head.status, dict(head.headers)
    raise BrokenWire("a head is larger than any should be")


async def _pieces(reader: asyncio.StreamReader, headers: dict[str, str]) -> AsyncIterator[bytes]:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while left := await _chunk_size(reader):
            async for piece in _counted(reader, left):
                yield piece
            await reader.readexactly(2)
        await reader.readexactly(2)
    elif "content-length" in headers:
        async for piece in _counted(reader, _whole(headers["content-length"], 10)):
            yield piece
    else:
        while piece := await reader.read(PIECE_BYTES):
            yield piece


async def _chunk_size(reader: asyncio.StreamReader) -> int:
    with contextlib.suppress(asyncio.LimitOverrunError):
        line = await reader.readuntil(b"\r\n")
        return _whole(line.split(b";")[0].decode("latin-1").strip(), 16)
    raise BrokenWire("a chunk size is longer than any should be")


async def _counted(reader: asyncio.StreamReader, left: int) -> AsyncIterator[bytes]:
    while left:
        piece = await reader.read(min(left, PIECE_BYTES))
        if not piece:
            raise BrokenWire("the connection closed inside the answer")
        left -= len(piece)
        yield piece


def _whole(text: str, base: int) -> int:
    try:
        found = int(text, base)
    except ValueError as error:
        raise BrokenWire("not a length") from error
    if not 0 <= found <= BODY_BYTES_MAX:
        raise BrokenWire("a length that no answer has")
    return found
