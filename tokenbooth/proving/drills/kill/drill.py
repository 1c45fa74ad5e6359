"""The kill drill: ``kill -9`` at random points, and every charge is there, once."""

import asyncio
import statistics
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TypeVar

from tokenbooth.proving.drills.kill.checks import (
    CHECKS,
    KillSaw,
    KillSeen,
    is_unavailable,
    overcharged,
    undelivered,
    waived_tokens,
)
from tokenbooth.proving.drills.kill.load import Callers, Servers, Watch
from tokenbooth.proving.drills.kill.plan import (
    INPUT_TOKENS,
    OUTPUT_TOKENS_MAX,
    SETTINGS,
    Wallet,
    calls,
    probe_plans,
    purses,
    stage_plan,
)
from tokenbooth.proving.drills.laws import Law, lost
from tokenbooth.proving.drills.play import Drill, Scene, until_quiet
from tokenbooth.proving.drills.probing import Probe, probe_all
from tokenbooth.proving.drills.report import book_figures
from tokenbooth.proving.observations import Evidence
from tokenbooth.proving.stage import StagePlan

KILLS_MAX = 100_000
PARALLEL_MAX = 256
PURSES_FIRST, PURSES_PER_KILL = 6, 2
PURSES_PROBED = 3


K = TypeVar("K", bound=KillSaw)


class DeathDrill(Drill[K]):
    """Servers die under load; what happens to one that lies dead, ``strike`` says.

    Raises ValueError for numbers out of range.
    """

    settings = SETTINGS

    def __init__(self, *, seed: int, kills: int = 12, parallel: int = 12) -> None:
        if not 1 <= kills <= KILLS_MAX:
            raise ValueError(f"kills must be from 1 to {KILLS_MAX}")
        if not 2 <= parallel <= PARALLEL_MAX:
            raise ValueError(f"parallel must be from 2 to {PARALLEL_MAX}")
        self._seed = seed
        self._kills = kills
        self._parallel = parallel
        self._purses = purses(seed, PURSES_FIRST + PURSES_PER_KILL * kills)

    def stage_plan(self) -> StagePlan:
        return stage_plan(self._purses, self._parallel)

    @abstractmethod
    async def strike(self, scene: Scene, callers: Callers, replica: int) -> None:
        """The replica is dead and takes no new calls; it is started again afterwards."""

    @abstractmethod
    def saw(self, seen: KillSaw) -> K:
        """With what this drill adds to it."""

    async def attack(self, scene: Scene) -> K:
        wallet = Wallet(self._purses)
        servers = Servers(scene, self._kills)
        callers = Callers(scene, servers, wallet, calls(self._seed, wallet))
        watch = Watch(scene, servers, callers)
        load = asyncio.create_task(callers.run(self._parallel))
        try:
            await servers.kill_all(partial(self.strike, scene, callers), watch.look)
            callers.stop()
            await load
        finally:
            load.cancel()
        addresses = [replica.address for replica in scene.instance.replicas]
        await until_quiet(addresses, [scene.stage.readers[each.name] for each in wallet.opened])
        kills = await watch.kills()
        last = wallet.opened[-PURSES_PROBED:]
        probes = await probe_all(
            scene,
            [Probe(plan, INPUT_TOKENS, OUTPUT_TOKENS_MAX) for plan in probe_plans(last)],
            [purse.name for purse in last],
        )
        return self.saw(
            KillSaw(
                calls=(*callers.seen, *(probe.call for probe in probes)),
                probes=probes,
                kills=kills,
                planned=self._kills,
            )
        )

    def figures(self, seen: Evidence[K]) -> Mapping[str, object]:
        kills: tuple[KillSeen, ...] = seen.saw.kills
        restarts_ms = [(kill.ready_us - kill.killed_us) // 1000 for kill in kills]
        recovered = [kill.recovered_us for kill in kills if kill.recovered_us is not None]
        return {
            "kills": len(kills),
            "restart_ms_median": int(statistics.median(restarts_ms)) if restarts_ms else None,
            "recovered_ms_max": max(recovered) // 1000 if recovered else None,
            "completed": sum(call.complete for call in seen.calls),
            "refused": sum(call.refusal is not None for call in seen.calls),
            "unavailable": sum(map(is_unavailable, seen.calls)),
            "lost": lost(seen),
            "overcharged": overcharged(seen),
            "undelivered": undelivered(seen),
            "waived_tokens": waived_tokens(seen),
            **book_figures(seen),
        }


class KillDrill(DeathDrill[KillSaw]):
    """A server that was killed comes back to its files as it left them."""

    name = "kill"
    laws: Sequence[Law[KillSaw]] = CHECKS

    async def strike(self, scene: Scene, callers: Callers, replica: int) -> None:
        """Nothing: the kill is all."""

    def saw(self, seen: KillSaw) -> KillSaw:
        return seen
