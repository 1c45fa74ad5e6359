"""The disconnect drill: whoever hangs up pays for what was delivered, and the engine rests."""

import asyncio
import contextlib
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tokenbooth.proving.caller import Moments
from tokenbooth.proving.drills.disconnect.checks import CHECKS, CutSeen, DisconnectSaw
from tokenbooth.proving.drills.disconnect.plan import Cut, Place, cuts, stage_plan
from tokenbooth.proving.drills.engine import MockEngine
from tokenbooth.proving.drills.laws import Law
from tokenbooth.proving.drills.play import Drill, Scene
from tokenbooth.proving.drills.report import book_figures, counts
from tokenbooth.proving.observations import Evidence
from tokenbooth.proving.stage import StagePlan

PARALLEL = 8
TELL_WAIT_S = 10
EngineCalls = Mapping[str, int | None]
POLL_S = 0.02


class DisconnectDrill(Drill[DisconnectSaw]):
    """About a hundred and thirty calls, each cut at a place of its own."""

    name = "disconnect"
    laws: Sequence[Law[DisconnectSaw]] = CHECKS

    @contextlib.contextmanager
    def beside(self, directory: Path, store_url: str | None) -> Iterator[str | None]:
        """The engine that sees its callers hang up."""
        with MockEngine(directory, "--option", "turn_commands=true") as self._engine:
            yield store_url

    def stage_plan(self) -> StagePlan:
        return stage_plan(self._engine.url, PARALLEL)

    async def attack(self, scene: Scene) -> DisconnectSaw:
        await self._engine.up()
        planned = cuts(scene.options.seed)
        left = iter(planned)
        seen: list[CutSeen] = []

        async def work() -> None:
            for cut in left:
                seen.append(await self._cut(scene, cut))
                scene.progress("cuts", len(seen), len(planned))

        await asyncio.gather(*(work() for _ in range(PARALLEL)))
        awaited = {each.cut.plan.prompt for each in seen if each.awaited}
        told = await self._told(lambda calls: all(calls.get(prompt) for prompt in awaited))
        whole = [
            CutSeen(each.cut, each.call, each.cut_us, told.get(each.cut.plan.prompt))
            for each in sorted(seen, key=lambda each: each.cut.plan.number)
        ]
        return DisconnectSaw(calls=tuple(each.call for each in whole), cuts=tuple(whole))

    async def _cut(self, scene: Scene, cut: Cut) -> CutSeen:
        moments: list[int] = []

        async def engine_has_it() -> None:
            await self._told(lambda calls: cut.plan.prompt in calls)

        told = Moments(
            sent=engine_has_it if cut.far else None, cut=lambda: moments.append(scene.now_us())
        )
        seen = await scene.call(cut.plan, told)
        return CutSeen(cut, seen, moments[0] if moments else None, None)

    async def _told(self, enough: Callable[[EngineCalls], bool]) -> EngineCalls:
        """What the engine tells of its calls once that is enough, or after a bound."""
        until_us = Scene.now_us() + TELL_WAIT_S * 1_000_000
        while True:
            calls = await self._engine.calls()
            if enough(calls) or Scene.now_us() > until_us:
                return calls
            await asyncio.sleep(POLL_S)

    def figures(self, seen: Evidence[DisconnectSaw]) -> Mapping[str, object]:
        cuts_seen = seen.saw.cuts
        spans = [each.cancel_us for each in cuts_seen if each.cancel_us is not None]
        return {
            "cuts": counts(_shown(each.cut) for each in cuts_seen),
            "engine_left": len(spans),
            "cancel_us_median": int(statistics.median(spans)) if spans else None,
            "cancel_us_max": max(spans, default=None),
            **book_figures(seen),
        }


def _shown(cut: Cut) -> str:
    kind = "streamed" if cut.plan.stream else "whole"
    place = "silent" if cut.place is Place.SILENT else cut.place.value
    return f"{cut.plan.model} {kind} {place}"
