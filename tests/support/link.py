"""A connection of the listening side without a socket: its bytes, its timers and its end."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from uvicorn import Config
from uvicorn.server import ServerState

from tests.support.front import Counter
from tokenbooth.edge.connection import BoundedConnection, Bounds
from tokenbooth.edge.options import EdgeOptions
from tokenbooth.protocols.problems import openai_refusal


class Timer:
    """A timer that fires when the test says so."""

    def __init__(self, delay_s: float, act: Callable[[], None]) -> None:
        self.delay_s, self._act, self.open = delay_s, act, True

    def cancel(self) -> None:
        self.open = False

    def fire(self) -> None:
        assert self.open, "a cancelled timer does not fire"
        self.open = False
        self._act()


class ManualLoop:
    """Tasks run on the real loop; timers wait for the test."""

    def __init__(self) -> None:
        self.timers: list[Timer] = []

    def call_later(self, delay_s: float, act: Callable[[], None]) -> Timer:
        self.timers.append(Timer(delay_s, act))
        return self.timers[-1]

    def create_task(self, work: Coroutine[Any, Any, Any], **more: Any) -> asyncio.Task[Any]:
        return asyncio.get_running_loop().create_task(work, **more)

    @property
    def running(self) -> list[Timer]:
        return [timer for timer in self.timers if timer.open]


class Link:
    """A transport that keeps what is written; ``fate`` is open, closing or aborted."""

    def __init__(self) -> None:
        self.written, self.fate, self.reading = b"", "open", True

    def write(self, piece: bytes) -> None:
        assert self.fate == "open", "written after the end"
        self.written += piece

    def close(self) -> None:
        self.fate = "closing" if self.fate == "open" else self.fate

    def abort(self) -> None:
        self.fate = "aborted"

    def is_closing(self) -> bool:
        return self.fate != "open"

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 5), "sockname": ("127.0.0.1", 8000)}.get(name, default)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Line:
    """One accepted connection in front of ``app``; made inside a running loop."""

    def __init__(self, app: Any, state: ServerState | None = None, **bounds: int) -> None:
        connections_max = bounds.pop("connections_max", 8)
        self.loop, self.link = ManualLoop(), Link()
        self.state = state or ServerState()
        config = Config(app, lifespan="off", ws="none", log_config=None, access_log=False)
        self.connection = BoundedConnection(
            Bounds(EdgeOptions(**bounds), connections_max, Counter(), openai_refusal),
            config=config,
            server_state=self.state,
            app_state={},
            _loop=self.loop,
        )
        self.connection.connection_made(self.link)  # type: ignore[arg-type]

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.connection.data_received(piece)

    async def answered(self) -> bytes:
        """What was written once every task of the server has ended."""
        while self.state.tasks:
            await asyncio.wait(set(self.state.tasks))
        return self.link.written
