"""The gateway's side: a started child, its socket, and the last words on its stderr."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import msgspec

import tokenbooth
from tokenbooth.engines.child.frames import (
    FrameReader,
    FrameTooLargeError,
    FromChild,
    Load,
    ToChild,
    encode,
    from_child_decoder,
)

LAST_WORDS_BYTES = 4096
_ROOT = Path(tokenbooth.__file__).resolve().parent.parent
# The package's own folder comes last on the path, so that nothing in it hides a standard module.
_START = (
    "import runpy, sys; sys.path.append(sys.argv[1]);"
    " runpy.run_module(sys.argv[2], run_name='__main__')"
)


class Link(asyncio.Protocol):
    """One child from spawn to death; never reused."""

    def __init__(self, hear: Callable[[FromChild], None]) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._hear = hear
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._child: asyncio.subprocess.Process | None = None
        self._last_words = bytearray()
        self._listening: asyncio.Task[None] | None = None
        self.lost: asyncio.Future[str] = loop.create_future()
        self.heard_at = loop.time()

    @property
    def pid(self) -> int | None:
        return None if self._child is None else self._child.pid

    async def start(self, module: str, options_json: bytes) -> None:
        """Spawn ``python -m module`` with one end of a socket pair, and send it its options."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._child = await asyncio.create_subprocess_exec(
                    sys.executable, "-P", "-c", _START, str(_ROOT), module, str(theirs.fileno()),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.PIPE,
                    pass_fds=(theirs.fileno(),),
                )  # fmt: skip
            self._listening = self._loop.create_task(self._listen(self._child))
            ours.settimeout(0)
            await self._loop.create_unix_connection(lambda: self, sock=ours)
        except BaseException:
            ours.close()
            raise
        self.send(Load(options_json))

    def send(self, message: ToChild) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode(message))

    async def stop(self) -> str:
        """Kill the child, reap it, close everything; returns its last words. Idempotent."""
        if self._transport is not None:
            self._transport.abort()
        if self._child is not None:
            if self._child.returncode is None:
                # Not ``self._child.kill()``: that may reap the child before the loop's own watcher.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._child.pid, signal.SIGKILL)
            await self._child.wait()
        if self._listening is not None:
            await self._listening
        return self._last_words.decode("utf-8", "replace").strip()

    async def _listen(self, child: asyncio.subprocess.Process) -> None:
        assert child.stderr is not None
        while chunk := await child.stderr.read(LAST_WORDS_BYTES):
            self._last_words += chunk
            del self._last_words[:-LAST_WORDS_BYTES]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not asserted: the transports of other loops are no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, chunk: bytes) -> None:
        self.heard_at = self._loop.time()
        try:
            for body in self._reader.feed(chunk):
                self._hear(from_child_decoder.decode(body))
        except (FrameTooLargeError, msgspec.MsgspecError) as error:
            self._lose(f"it sent what is not a frame ({error})")

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose("it died" if exc is None else f"its socket failed ({exc})")

    def _lose(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)
