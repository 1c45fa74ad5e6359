"""Each engine of the line-up is opened once per module and used by all its tests."""

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
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
