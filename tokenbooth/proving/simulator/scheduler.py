"""Who moves next, and how far: callbacks, jobs, transactions and time, all by the dice."""

from collections.abc import Callable

from tokenbooth.core.problem import Problem
from tokenbooth.proving.simulator.coverage import Turn, Way
from tokenbooth.proving.simulator.loop import Died, Job, SimulatedLoop
from tokenbooth.proving.simulator.machine import Fate, Gateway, State
from tokenbooth.proving.simulator.world import Violated, World


class Scheduler:
    """``transaction_faults``: how many of a hundred transactions go wrong."""

    def __init__(self, world: World, watch: Callable[[], None]) -> None:
        """``watch`` is called after every step."""
        self._world = world
        self._watch = watch
        self.transaction_faults = 0

    def bustle(self, steps: int) -> None:
        """Let processes move on, in random order, for so many steps or until nothing moves."""
        for _ in range(steps):
            runnable = [gateway for gateway in self._world.gateways if gateway.runnable]
            if not runnable:
                return
            self.step(self._world.dice.one_of(runnable))
            self._watch()

    def step(self, gateway: Gateway) -> None:
        """Some callbacks, or one half of a job: its work, or the news of it."""
        loop = gateway.loop
        try:
            if loop.jobs and (not loop.ready or self._world.dice.chance(40)):
                self._move_job(gateway, loop)
            else:
                loop.run_some(self._world.dice.one_of((1, 3, 100)))
        except Died:
            pass
        if loop.dead and gateway.state is not State.OVER:
            self._world.kill(gateway, Way.POWER if self._world.dice.chance(50) else Way.KILL)
        elif loop.faults:
            raise Violated([f"{gateway.machine.replica}: {fault!r}" for fault in loop.faults])

    def _move_job(self, gateway: Gateway, loop: SimulatedLoop) -> None:
        """The disk has one thread; transactions may overtake each other."""
        disk = next((job for job in loop.jobs if job.kind == "disk"), None)
        others = [job for job in loop.jobs if job.kind != "disk"]
        job = self._world.dice.one_of([*others, disk] if disk else others)
        if job.done:
            loop.jobs.remove(job)
            job.deliver()
        else:
            self._run_job(gateway, job)

    def _run_job(self, gateway: Gateway, job: Job) -> None:
        store = gateway.store
        if job.kind != "disk":
            store.fate = self._fate()
            self._note_fate(store.fate)
        error = job.run()
        if error is not None and not isinstance(error, Problem):
            raise Violated([f"{gateway.machine.replica}: {error!r}"])

    def _fate(self) -> Fate:
        if not self._world.dice.chance(self.transaction_faults):
            return Fate.KEPT
        return self._world.dice.one_of((Fate.REFUSED, Fate.ROLLED_BACK, Fate.LOST))

    def _note_fate(self, fate: Fate) -> None:
        if self._world.database.away:
            self._world.coverage.reach(Turn.DATABASE_AWAY)
            self._world.disturb()
        if fate is not Fate.KEPT:
            turns = {
                Fate.REFUSED: Turn.ROUND_REFUSED,
                Fate.ROLLED_BACK: Turn.ROUND_ROLLED_BACK,
                Fate.LOST: Turn.ROUND_LOST,
            }
            self._world.coverage.reach(turns[fate])
            self._world.disturb()

    def tick(self, at_most_us: int) -> None:
        """Move time to the next timer, or by ``at_most_us`` where nothing is due before."""
        gaps = [at_most_us]
        for gateway in self._world.gateways:
            timer_us = gateway.loop.next_timer_us
            if timer_us is not None:
                gaps.append(max(0, timer_us - gateway.clock.monotonic_us()))
        self.advance(min(gaps))

    def advance(self, by_us: int) -> None:
        self._world.now_us += by_us
        for gateway in self._world.gateways:
            gateway.loop.ring()
