"""Each engine of the line-up is opened once per module and used by all its tests."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.outside.engines.lineup import LINEUP, Entry, MakeEngine
from tests.support.turns import Recorder
from tokenbooth.core.features import Feature
from tokenbooth.core.turn import Turn
from tokenbooth.engines.port import Engine


@dataclass
class Arena:
    """An open engine and the event loop that it lives on."""

    entry: Entry
    make: MakeEngine
    engine: Engine
    runner: asyncio.Runner

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def has(self, feature: Feature) -> bool:
        return feature in self.engine.capabilities.features

    def play(self, turn: Turn) -> Recorder:
        """Run a turn to its end."""

        async def work() -> Recorder:
            recorder = Recorder()
            self.engine.start(turn, recorder)
            return await recorder.over()

        found: Recorder = self.run(work())
        return found


@pytest.fixture(scope="module", params=LINEUP, ids=lambda entry: entry.name)
def arena(request: pytest.FixtureRequest) -> Iterator[Arena]:
    entry: Entry = request.param
    with entry.serving() as make, asyncio.Runner() as runner:
        engine = make()
        runner.run(engine.open())
        yield Arena(entry, make, engine, runner)
        runner.run(engine.close())


@pytest.fixture
def new_children() -> Callable[[], list[int]]:
    """Asks for the children that this test has made; others may have servers and engines open."""
    before = set(children_now())
    return lambda: [child for child in children_now() if child not in before]


def children_now() -> list[int]:
    pid = os.getpid()
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
