"""The dbdown drill: leased money serves, nothing is served unmetered, and all is booked after."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tokenbooth.proving.drills.dbdown.checks import (
    CHECKS,
    DbdownSaw,
    first_stranger_us,
    served_inside,
)
from tokenbooth.proving.drills.dbdown.outage import outage_of
from tokenbooth.proving.drills.dbdown.plan import (
    SETTINGS,
    STRANGERS,
    regular_calls,
    stage_plan,
    stranger_calls,
)
from tokenbooth.proving.drills.laws import Law, lost
from tokenbooth.proving.drills.play import Drill, Scene
from tokenbooth.proving.drills.report import book_figures
from tokenbooth.proving.observations import CallSeen, Evidence
from tokenbooth.proving.plans import CallPlan
from tokenbooth.proving.stage import StagePlan

PARALLEL = 8
WARM_S, AFTER_S = 2, 2
STRANGER_WAIT_S = 60
REFUSED_PAUSE_S = 0.25
SECONDS_MAX = 3600


class DbdownDrill(Drill[DbdownSaw]):
    """``seconds`` is how long the database stays away. Raises ValueError out of range."""

    name = "dbdown"
    laws: Sequence[Law[DbdownSaw]] = CHECKS
    settings = SETTINGS

    def __init__(self, *, seconds: int = 7) -> None:
        if not 1 <= seconds <= SECONDS_MAX:
            raise ValueError(f"seconds must be from 1 to {SECONDS_MAX}")
        self._seconds = seconds

    @contextlib.contextmanager
    def beside(self, directory: Path, store_url: str | None) -> Iterator[str | None]:
        """What the outage is made with."""
        sqlite_path = directory / "instance" / "tokenbooth.db"
        with outage_of(store_url, sqlite_path) as (self._outage, reached_by):
            yield reached_by

    def stage_plan(self) -> StagePlan:
        return stage_plan(PARALLEL)

    async def attack(self, scene: Scene) -> DbdownSaw:
        crowd = _Crowd(scene)
        regulars = asyncio.create_task(crowd.regulars())
        strangers: asyncio.Task[None] | None = None
        try:
            scene.progress("outage", 0, self._seconds)
            await asyncio.sleep(WARM_S)
            await asyncio.to_thread(self._outage.begin)
            down_us = scene.now_us()
            strangers = asyncio.create_task(crowd.strangers())
            for second in range(self._seconds):
                await asyncio.sleep(1)
                scene.progress("outage", second + 1, self._seconds)
            up_us = scene.now_us()
            await asyncio.to_thread(self._outage.end)
            await strangers
            await asyncio.sleep(AFTER_S)
            crowd.over = True
            await regulars
        finally:
            for task in (regulars, strangers):
                if task is not None:
                    task.cancel()
        return DbdownSaw(calls=tuple(crowd.seen), down_us=down_us, up_us=up_us)

    def figures(self, seen: Evidence[DbdownSaw]) -> Mapping[str, object]:
        first_us = first_stranger_us(seen)
        return {
            "outage_ms": (seen.saw.up_us - seen.saw.down_us) // 1000,
            "served_meanwhile": served_inside(seen),
            "refused": sum(call.status == 503 for call in seen.calls),
            "back_after_ms": None if first_us is None else first_us // 1000,
            "lost": lost(seen),
            **book_figures(seen),
        }


class _Crowd:
    """Regulars call until it is over, strangers until they are answered."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._plans = regular_calls(scene.options.seed)
        self.over = False
        self.seen: list[CallSeen] = []

    async def regulars(self) -> None:
        await asyncio.gather(*(self._regular() for _ in range(PARALLEL)))

    async def strangers(self) -> None:
        await asyncio.gather(*(self._stranger(index) for index in range(STRANGERS)))

    async def _regular(self) -> None:
        while not self.over:
            await self._call(next(self._plans))

    async def _stranger(self, index: int) -> None:
        until_us = self._scene.now_us() + STRANGER_WAIT_S * 1_000_000
        for plan in stranger_calls(self._scene.options.seed, index):
            if await self._call(plan) or self._scene.now_us() > until_us:
                return

    async def _call(self, plan: CallPlan) -> bool:
        """Whether it was answered; a refused caller rests for a moment."""
        seen = await self._scene.call(plan)
        self.seen.append(seen)
        if not seen.complete:
            await asyncio.sleep(REFUSED_PAUSE_S)
        return seen.complete
