"""The mixed drill: a private instance under honest, broken and hostile calls, then the books."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tokenbooth.proving.drills.engine import MockEngine
from tokenbooth.proving.drills.laws import Law
from tokenbooth.proving.drills.mixed.checks import CHECKS, MixedSaw
from tokenbooth.proving.drills.mixed.load import LoadPorts, MixedLoad, last_of_outage
from tokenbooth.proving.drills.mixed.outage import Outage
from tokenbooth.proving.drills.mixed.schedule import (
    REVOKED,
    SCRIPT_CHUNKS,
    check_calls,
    schedule_of,
    stage_plan,
)
from tokenbooth.proving.drills.play import Drill, Scene
from tokenbooth.proving.drills.report import book_figures, counts
from tokenbooth.proving.observations import Evidence
from tokenbooth.proving.plans import CLIENT_FAULTS
from tokenbooth.proving.stage import StagePlan

PARALLEL_MAX = 256
CHUNK_DELAY_MS = 10


class MixedDrill(Drill[MixedSaw]):
    """Raises ValueError for numbers out of range."""

    name = "mixed"
    laws: Sequence[Law[MixedSaw]] = CHECKS

    def __init__(self, *, calls: int = 500, parallel: int = 16) -> None:
        check_calls(calls)
        if not 2 <= parallel <= PARALLEL_MAX:
            raise ValueError(f"parallel must be from 2 to {PARALLEL_MAX}")
        self._calls = calls
        self._parallel = parallel

    @contextlib.contextmanager
    def beside(self, directory: Path, store_url: str | None) -> Iterator[str | None]:
        """The engine that dies."""
        script = ("--chunks", str(SCRIPT_CHUNKS), "--chunk-delay-ms", str(CHUNK_DELAY_MS))
        with MockEngine(directory, *script) as self._engine:
            yield store_url

    def stage_plan(self) -> StagePlan:
        return stage_plan(self._engine.url, self._parallel)

    async def attack(self, scene: Scene) -> MixedSaw:
        await self._engine.up()
        schedule = schedule_of(scene.options.seed, self._calls)
        outages = [
            Outage(self._engine, range(kill + 1, last_of_outage(kill, schedule) + 1), scene.now_us)
            for kill in schedule.kills
        ]

        async def revoke() -> None:
            key_id = scene.stage.keys[REVOKED.name].id
            await asyncio.to_thread(scene.instance.command, "key", "revoke", key_id)

        ports = LoadPorts(
            address=scene.address,
            now_us=scene.now_us,
            revoke=revoke,
            progress=lambda done: scene.progress("load", done, self._calls),
        )
        load = MixedLoad(schedule, scene.stage, outages, ports)
        return MixedSaw(
            calls=await load.run(self._parallel),
            outages=tuple(each.seen for each in outages if each.seen is not None),
            kills_planned=len(schedule.kills),
        )

    def figures(self, seen: Evidence[MixedSaw]) -> Mapping[str, object]:
        faults = [call for call in seen.calls if call.plan.kind in CLIENT_FAULTS]
        return {
            "parallel": self._parallel,
            "calls_by_kind": counts(call.plan.kind.value for call in seen.calls),
            **book_figures(seen),
            "engine_kills": len(seen.saw.outages),
            "server_5xx_on_client_fault": sum((call.status or 0) >= 500 for call in faults),
        }
