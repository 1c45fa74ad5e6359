"""Engines in child processes belong to the control process; workers reach them over a socket."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeAlias, cast

import msgspec

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.engines.child.board import Board, Port
from tokenbooth.engines.child.frames import (
    Begin,
    Broken,
    Cancel,
    Count,
    FrameReader,
    FrameTooLargeError,
    Ready,
    Step,
    ToChild,
)
from tokenbooth.engines.child.rules import retry_after_s
from tokenbooth.engines.child.supervisor import ChildListener, ChildPlan

HEADER_BYTES = 4
FRAME_BYTES_MAX = 64 * 1024 * 1024
AGAIN_EVERY_S = 0.1
AWAY = "the process that has the engine is being started"


class Use(msgspec.Struct, tag="use", array_like=True, frozen=True):
    """First frame of all: which deployment's engine."""

    deployment_id: str


class Lost(msgspec.Struct, tag="lost", array_like=True, frozen=True):
    """The child is gone; it is replaced when ``Ready`` comes."""

    reason: str


FromWorker: TypeAlias = Use | Begin | Cancel | Count
ToUser: TypeAlias = Ready | Broken | Step | Lost

_encoder = msgspec.msgpack.Encoder()
_from_worker: "msgspec.msgpack.Decoder[FromWorker]" = msgspec.msgpack.Decoder(FromWorker)
_to_user: "msgspec.msgpack.Decoder[ToUser]" = msgspec.msgpack.Decoder(ToUser)


def _encode(message: FromWorker | ToUser) -> bytes:
    body = _encoder.encode(message)
    if len(body) > FRAME_BYTES_MAX:
        raise FrameTooLargeError(f"a frame of {len(body)} bytes")
    return len(body).to_bytes(HEADER_BYTES, "big") + body


class Boards:
    """The children of the control process, by deployment."""

    def __init__(self) -> None:
        self._boards: dict[str, Board] = {}

    def supervise(self, deployment_id: str, plan: ChildPlan, listener: ChildListener) -> Port:
        """What the control process's own engine has for a supervisor; a new one, a new child."""
        board = self._boards[deployment_id] = Board(plan)
        return board.port(listener)

    def board(self, deployment_id: str) -> Board | None:
        return self._boards.get(deployment_id)


class UserLine(asyncio.Protocol):
    """The control process's end of one worker's use of one engine."""

    def __init__(self, boards: Boards, opened: Callable[[str], Awaitable[None]]) -> None:
        """``opened`` opens the engine of a deployment; raises Problem where it cannot be."""
        self._boards = boards
        self._opened = opened
        self._reader = FrameReader(FRAME_BYTES_MAX)
        self._transport = cast("asyncio.Transport", None)
        self._port: Port | None = None
        self._work: set[asyncio.Task[None]] = set()
        self._told: Ready | None = None

    @property
    def busy(self) -> bool:
        """The board itself knows what is owed."""
        return False

    def heard(self, step: Step) -> None:
        self._send(step)

    def lost(self, reason: str) -> None:
        self._send(Lost(reason))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, chunk: bytes) -> None:
        try:
            for body in self._reader.feed(chunk):
                self._hear(_from_worker.decode(body))
        except (FrameTooLargeError, msgspec.MsgspecError):
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        port, self._port = self._port, None
        if port is not None:
            self._soon(port.close())

    def _hear(self, message: FromWorker) -> None:
        if isinstance(message, Use):
            self._soon(self._use(message.deployment_id))
        elif self._port is not None:
            # What comes for a child that is gone is answered by its loss.
            with contextlib.suppress(Problem):
                self._port.send(message)

    async def _use(self, deployment_id: str) -> None:
        try:
            await self._opened(deployment_id)
            board = self._boards.board(deployment_id)
            if board is None:
                raise Problem(Code.ENGINE_NOT_READY, "The model has no engine here.")
            port = board.port(self)
            self._told = await port.open()
        except Problem as problem:
            self._send(Broken(problem.code.name, problem.public))
            return
        if self._transport.is_closing():
            await port.close()
            return
        self._port, port.ready_again = port, self._again
        self._again()

    def _again(self) -> None:
        if self._told is not None:
            self._send(self._told)

    def _send(self, message: ToUser) -> None:
        if not self._transport.is_closing():
            self._transport.write(_encode(message))

    def _soon(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)


class FarSupervisor(asyncio.Protocol):
    """A worker's end: as a ``Supervisor``, of a child that others use too."""

    restarts = 0
    pid: int | None = None

    def __init__(
        self, path: str, deployment_id: str, plan: ChildPlan, listener: ChildListener
    ) -> None:
        self._path = path
        self._deployment_id = deployment_id
        self._plan = plan
        self._listener = listener
        self._reader = FrameReader(FRAME_BYTES_MAX)
        self._transport: asyncio.Transport | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._first: asyncio.Future[Ready] | None = None
        self._gone = asyncio.Event()
        self.ready = False
        self.reason = AWAY

    def not_ready(self) -> Problem:
        return Problem(
            Code.ENGINE_NOT_READY,
            "The model's engine is starting or restarting.",
            detail=self.reason,
            retry_after_s=retry_after_s(0, self._plan.policy),
        )

    async def open(self) -> Ready:
        """Raises Problem, leaving nothing, when the engine does not load."""
        loop = asyncio.get_running_loop()
        if self._keeper is None or self._first is None:
            self._first = loop.create_future()
            self._keeper = loop.create_task(self._keep())
        try:
            return await asyncio.shield(self._first)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        keeper.cancel()
        await asyncio.wait((keeper,))
        if self._transport is not None:
            self._transport.abort()
        if self._first is not None and not self._first.done():
            self._first.cancel()

    def send(self, message: ToChild) -> None:
        """Raises as ``Supervisor.send``."""
        if self._transport is None or not self.ready:
            raise self.not_ready()
        try:
            self._transport.write(_encode(cast("FromWorker", message)))
        except FrameTooLargeError as error:
            raise Problem(
                Code.BODY_TOO_LARGE, "The call is too large for the model's engine."
            ) from error

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._gone.clear()
            with contextlib.suppress(OSError):  # it is being started
                await loop.create_unix_connection(lambda: self, self._path)
                await self._gone.wait()
            await asyncio.sleep(AGAIN_EVERY_S)

    # What the connection tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._reader = FrameReader(FRAME_BYTES_MAX)
        self._transport.write(_encode(Use(self._deployment_id)))

    def data_received(self, chunk: bytes) -> None:
        try:
            for body in self._reader.feed(chunk):
                self._hear(_to_user.decode(body))
        except (FrameTooLargeError, msgspec.MsgspecError):
            if self._transport is not None:
                self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._lose(AWAY)
        self._gone.set()

    def _hear(self, message: ToUser) -> None:
        if isinstance(message, Step):
            self._listener.heard(message)
        elif isinstance(message, Lost):
            self._lose(message.reason)
        elif isinstance(message, Ready):
            self.ready, self.reason = True, ""
            if self._first is not None and not self._first.done():
                self._first.set_result(message)
        else:
            self._refused(message)

    def _refused(self, broken: Broken) -> None:
        self.reason = broken.public
        if self._first is not None and not self._first.done():
            self._first.set_exception(Problem(Code[broken.code], broken.public))
        elif self._transport is not None:
            self._transport.abort()  # and tried again

    def _lose(self, reason: str) -> None:
        if self.ready:
            self.ready, self.reason = False, reason
            self._listener.lost(reason)
