"""Draws pages and frames in a child that dies with its order. The only import surface of this noun.

What reads hostile files is large and written in C, so it runs where it has nothing: no key, no
database, no connection, bounded memory and time, and one answer to give.
"""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import msgspec

import tokenbooth
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.media.rendering.values import (
    LEAD_BYTES,
    DrawBounds,
    Drawn,
    Failed,
    Frames,
    Order,
    Page,
    Pages,
    Picture,
)

__all__ = ["DrawBounds", "Frames", "Page", "Pages", "Picture", "Renderer"]

WORKER = "tokenbooth.media.rendering.worker"
TEXTS_BYTES_MAX = 16 * 1024 * 1024
_ROOT = Path(tokenbooth.__file__).resolve().parent.parent
# The package's own folder comes last on the path, so that nothing in it hides a standard module.
_START = (
    "import runpy, sys; sys.path.append(sys.argv[1]);"
    " runpy.run_module(sys.argv[2], run_name='__main__')"
)
_decoder: "msgspec.msgpack.Decoder[Drawn]" = msgspec.msgpack.Decoder(Drawn)


class Renderer:
    """``worker`` is the module that draws."""

    def __init__(self, bounds: DrawBounds, worker: str = WORKER) -> None:
        self._bounds = bounds
        self._worker = worker

    async def pages(self, raw: bytes, bytes_max: int, *, sees: bool) -> Pages:
        """A PDF's texts and, for a model that ``sees``, its first pages drawn.

        Raises UNSUPPORTED_FEATURE, MEDIA_UNREADABLE or MEDIA_TOO_LARGE.
        """
        drawn = await self._drawn("pdf", raw, bytes_max, self._bounds.images_max * sees)
        assert isinstance(drawn, Pages)
        return drawn

    async def frames(self, raw: bytes, bytes_max: int) -> Frames:
        """Frames of a video, evenly spread. Raises as ``pages`` does."""
        drawn = await self._drawn("video", raw, bytes_max, self._bounds.frames_max)
        assert isinstance(drawn, Frames)
        return drawn

    async def _drawn(self, what: str, raw: bytes, bytes_max: int, images_max: int) -> Drawn:
        order = Order(
            what=what,
            raw=raw,
            images_max=images_max,
            pages_max=self._bounds.pages_max,
            video_s_max=self._bounds.video_s_max,
            answer_bytes_max=max(0, bytes_max),
            cpu_s_max=self._bounds.cpu_s_max,
        )
        answer = await self._asked(msgspec.msgpack.encode(order), bytes_max + TEXTS_BYTES_MAX)
        try:
            drawn = _decoder.decode(answer)
        except msgspec.MsgspecError as error:
            raise _unreadable() from error
        if isinstance(drawn, Failed):
            raise Problem(Code[drawn.code], drawn.public)
        return drawn

    async def _asked(self, order: bytes, bytes_max: int) -> bytes:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-c", _START, str(_ROOT), self._worker,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={},  # it may hold the address of a database, with a password
        )  # fmt: skip
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(len(order).to_bytes(LEAD_BYTES) + order)
            with contextlib.suppress(ConnectionError):
                await child.stdin.drain()
            size = int.from_bytes(await child.stdout.readexactly(LEAD_BYTES))
            if size > bytes_max:
                raise _unreadable()
            return await child.stdout.readexactly(size)
        except asyncio.IncompleteReadError as error:  # it died, of the file or of its bounds
            raise _unreadable() from error
        finally:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGKILL)
            await child.wait()


def _unreadable() -> Problem:
    return Problem(
        Code.MEDIA_UNREADABLE, "The file could not be read within the bounds that are set for it."
    )
