"""Calls with an idempotency key on a booth without a socket, and what the desk must look like."""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.booth import MemorySink, TestBooth
from tokenbooth.core.codes import Code
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.engines.scripted.engine import ScriptedEngine
from tokenbooth.engines.scripted.values import ScriptOptions

AWAY = Problem(Code.LEDGER_UNAVAILABLE, "away", retry_after_s=1)


def in_loop(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await scenario()

    asyncio.run(bounded())


@dataclass
class Pieces(MemorySink):
    """A sink that also keeps the pieces in which it was written."""

    pieces: list[bytes] = field(default_factory=list)

    def write(self, chunk: bytes) -> None:
        super().write(chunk)
        self.pieces.append(chunk)


async def keyed(
    booth: TestBooth, body: Any, key: str = "k", *, sink: Any = None, secret: str | None = None
) -> Pieces:
    """One call with this idempotency key."""
    headers = {"authorization": f"Bearer {secret or booth.secret}", "idempotency-key": key}
    return await booth.ask(body, sink=sink or Pieces(), headers=headers)


def error(sink: MemorySink) -> tuple[int | None, str]:
    return sink.status, sink.document["error"]["code"]


class Counted(ScriptedEngine):
    """Counts its runs."""

    def __init__(self, options: ScriptOptions | None = None) -> None:
        super().__init__(options or ScriptOptions())
        self.runs = 0

    def start(self, turn: Any, sink: Any) -> Any:
        self.runs += 1
        return super().start(turn, sink)


class Flaky:
    """A store whose next writes fail: ``before`` they do anything, or ``after`` they did it."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.fails: list[str] = []

    async def read(self, verb: Callable[[Tx], Any]) -> Any:
        return await self._store.read(verb)

    async def write(self, verb: Callable[[Tx], Any]) -> Any:
        way = self.fails.pop(0) if self.fails else "works"
        if way == "before":
            raise AWAY
        if way == "hangs":
            await asyncio.Event().wait()
        done = await self._store.write(verb)
        if way == "after":
            raise AWAY
        return done


def flaky(booth: TestBooth) -> Flaky:
    """Put such a store under the booth's desk, and under nothing else."""
    desk: Any = booth.rooms.replays
    desk._store = store = Flaky(desk._store)
    return store


def claims(directory: Path) -> list[tuple[Any, ...]]:
    """Key, state, outcome and lack of every claim, read beside the booth."""
    with closing(sqlite3.connect(directory / "tokenbooth.db")) as connection:
        return connection.execute(
            "SELECT idempotency_key, state, outcome, lacks FROM replay ORDER BY created_us"
        ).fetchall()


def check_left_over(booth: TestBooth, *, answers_bytes_max: int = 64 * 1024 * 1024) -> None:
    """No call is thought to run, and no answer is remembered."""
    desk: Any = booth.rooms.replays
    assert desk._live == set()
    assert desk._space.free_bytes == answers_bytes_max
