"""The end of a life: no more faults, everybody is served to the end, and the books must close."""

from collections.abc import Callable

from tokenbooth.core.receipt import Outcome
from tokenbooth.proving.simulator import laws
from tokenbooth.proving.simulator.call import (
    INPUT_NANO,
    OUTPUT_NANO,
    Call,
    End,
    Plan,
    Stage,
    worth_nano,
)
from tokenbooth.proving.simulator.coverage import Turn, Way
from tokenbooth.proving.simulator.crowd import Crowd
from tokenbooth.proving.simulator.fairness import Fairness
from tokenbooth.proving.simulator.machine import Gateway, Machine, State
from tokenbooth.proving.simulator.scheduler import Scheduler
from tokenbooth.proving.simulator.world import Violated, World

QUIET_TICKS = 1_000
QUIET_STEPS = 10_000
SECOND_US = 1_000_000
MOST_NANO = 2**40


class Peace:
    """``examine`` asks all laws at any moment; each of these raises Violated."""

    def __init__(
        self, world: World, scheduler: Scheduler, crowd: Crowd, fairness: Fairness
    ) -> None:
        self._world = world
        self._scheduler = scheduler
        self._crowd = crowd
        self._fairness = fairness

    def examine(self) -> None:
        texts = [*self._world.broken_laws(), *self._fairness.verdicts()]
        if texts:
            raise Violated(texts)

    def play(self) -> None:
        self._mend()
        for machine in self._world.machines:
            self._bring_up(machine)
        self._finish_calls()
        self._spend_the_last()
        for gateway in self._world.serving:
            self.stop(gateway)
        self._close()

    def stop(self, gateway: Gateway) -> None:
        """As a server does it: every call ends first."""
        world = self._world
        self._crowd.end_all(gateway)
        world.disturb()
        self._scheduler.bustle(100)
        if gateway.serving and all(call.over for call in world.calls_of(gateway)):
            gateway.stop()
            world.coverage.reach(Turn.STOPPED)

    def _mend(self) -> None:
        world = self._world
        self._scheduler.transaction_faults = 0
        world.database.away = False
        for machine in world.machines:
            machine.disk.mend()
        for gateway in world.gateways:
            gateway.disk.trap = None
        for stray in list(world.strays):
            world.kill(stray, Way.KILL)
        self._calm(lambda: all(g.state is not State.STARTING for g in world.gateways))

    def _bring_up(self, machine: Machine) -> None:
        """What broke is started again; what was stopping may stop first."""
        gateway = machine.gateway
        if gateway is not None and gateway.state is State.CLOSING:
            self._calm(lambda: gateway.state is State.OVER)
        if gateway is not None and gateway.serving and gateway.journal.broken:
            self._world.kill(gateway, Way.KILL)
        if not machine.up:
            machine.mend()
            started = self._world.start(machine)
            self._calm(lambda: started.state is not State.STARTING)
            if not started.serving:
                problem = started.problem
                raise Violated([f"{machine.replica} does not start: {problem!r}"])

    def _calm(self, done: Callable[[], bool]) -> None:
        """Let everybody work, and time pass, until it is done or ought to be."""
        for _ in range(QUIET_TICKS):
            self._scheduler.bustle(QUIET_STEPS)
            self.examine()
            if done():
                return
            self._scheduler.tick(SECOND_US)

    def _finish_calls(self) -> None:
        calls = self._world.calls.values()
        while any(not call.over for call in calls):
            self._calm(lambda: all(call.over or call.idle for call in calls))
            idle = [call for call in calls if call.idle]
            if not idle:
                break
            for call in idle:
                self._crowd.end(call)
        stuck = [call.request_id for call in calls if not call.over]
        if stuck:
            raise Violated([f"{name}: never ended" for name in stuck])

    def _spend_the_last(self) -> None:
        """One call that costs all that is left of a cap must pass, on any replica."""
        world = self._world
        self._calm(lambda: not self._fairness.somebody_silent())
        caller = world.dice.one_of(self._crowd.callers)
        room_nano = self._fairness.room_nano(caller)
        if not OUTPUT_NANO <= room_nano - INPUT_NANO <= MOST_NANO:
            return
        tokens = (room_nano - INPUT_NANO) // OUTPUT_NANO
        plan = Plan(
            request_id=f"req_{world.number():05}",
            caller=caller,
            input_tokens=1,
            output_tokens=tokens,
            choices=1,
            stream=True,
            stated=True,
            strict=True,
        )
        call = world.ask(world.dice.one_of(world.serving), plan)
        self._calm(lambda: call.stage is not Stage.ASKING)
        if call.hold is None or call.hold.amount_nano != worth_nano(1, tokens):
            raise Violated([f"{call.request_id}: {room_nano} was left and could not be spent"])
        world.coverage.reach(Turn.QUIET_EXACT)
        self._use_up(call, tokens)

    def _use_up(self, call: Call, tokens: int) -> None:
        self._world.order(call, tokens)
        self._calm(lambda: call.idle)
        self._world.order(call, End(Outcome.COMPLETED, 1, tokens))
        self._calm(lambda: call.over)

    def _close(self) -> None:
        world = self._world
        self._calm(lambda: not world.gateways)
        for machine in world.machines:
            if machine.gateway is not None:
                world.cover_life(machine.gateway)
        texts = list(laws.final_laws(world.database, world.books, world.calls.values()))
        if world.gateways:
            texts.append("a process did not stop")
        if texts:
            raise Violated(texts)
