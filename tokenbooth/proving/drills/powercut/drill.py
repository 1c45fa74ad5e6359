"""The powercut drill: a crash that also takes what was not yet on the disk."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from tokenbooth.control.instance import InstancePaths
from tokenbooth.proving.draw import Draw
from tokenbooth.proving.drills.kill.checks import KillSaw
from tokenbooth.proving.drills.kill.drill import DeathDrill
from tokenbooth.proving.drills.kill.load import Callers
from tokenbooth.proving.drills.laws import Law
from tokenbooth.proving.drills.play import Scene
from tokenbooth.proving.drills.powercut.checks import CHECKS, PowercutSaw, TearSeen
from tokenbooth.proving.drills.powercut.segments import tear_of
from tokenbooth.proving.observations import Evidence


class PowercutDrill(DeathDrill[PowercutSaw]):
    """A server that was killed comes back to a torn journal."""

    name = "powercut"
    laws: Sequence[Law[PowercutSaw]] = CHECKS

    def __init__(self, *, seed: int, kills: int = 12, parallel: int = 12) -> None:
        super().__init__(seed=seed, kills=kills, parallel=parallel)
        self._draw = Draw(seed, "tears")
        self._tears: list[TearSeen] = []

    async def strike(self, scene: Scene, callers: Callers, replica: int) -> None:
        """Tear the journal behind what its callers know to be kept."""
        await callers.left(replica)
        finished = {
            call.request_id or ""
            for call in callers.seen
            if call.complete and call.replica == replica
        }
        paths = InstancePaths(scene.instance.data_dir)
        directory = paths.journal(scene.instance.replicas[replica].name)
        torn = await asyncio.to_thread(tear, directory, finished, self._draw)
        self._tears.append(TearSeen(replica, *torn))

    def saw(self, seen: KillSaw) -> PowercutSaw:
        return PowercutSaw(
            calls=seen.calls,
            probes=seen.probes,
            kills=seen.kills,
            planned=seen.planned,
            tears=tuple(self._tears),
        )

    def figures(self, seen: Evidence[PowercutSaw]) -> Mapping[str, object]:
        tears = seen.saw.tears
        return {
            "cuts_with_loss": sum(tear.lost_records > 0 for tear in tears),
            "cuts_with_garbage": sum(tear.garbage_bytes > 0 for tear in tears),
            "records_torn_off": sum(tear.lost_records for tear in tears),
            **super().figures(seen),
        }


def tear(directory: Path, finished: Collection[str], draw: Draw) -> tuple[int, int, int]:
    """Tear the newest file; the bytes removed, those of garbage, and the records lost."""
    newest = max(directory.glob("segment-*.log"))
    content = newest.read_bytes()
    torn = tear_of(content, finished, draw)
    newest.write_bytes(content[: torn.offset] + torn.garbage)
    return len(content) - torn.offset, len(torn.garbage), torn.lost
