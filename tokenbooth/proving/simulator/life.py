"""One life: a weighted choice of operations, then peace, in which all must add up."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError

from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.leases import service as leases
from tokenbooth.money.ledger import service as ledger
from tokenbooth.proving.simulated_disk import SimulatedDisk
from tokenbooth.proving.simulator.call import INPUT_NANO, Stage
from tokenbooth.proving.simulator.coverage import Turn
from tokenbooth.proving.simulator.crowd import Crowd
from tokenbooth.proving.simulator.fairness import Fairness
from tokenbooth.proving.simulator.faults import Faults
from tokenbooth.proving.simulator.machine import Machine
from tokenbooth.proving.simulator.peace import Peace
from tokenbooth.proving.simulator.scheduler import Scheduler
from tokenbooth.proving.simulator.world import HOUR_US, Violated, World

SECOND_US = 1_000_000
DAY_US = 24 * HOUR_US
SKEW_MAX_S = 3600
CALLS_AT_MIDNIGHT = 3


@dataclass(frozen=True, slots=True)
class Bounds:
    """What this life is like; all of it follows from the seed."""

    replicas: int
    tight: bool
    windows: bool
    faults: bool


class Life:
    """Plays one seed: ``play`` raises Violated where a law does not hold."""

    def __init__(self, world: World, operations: int) -> None:
        dice = world.dice
        self._world = world
        self._operations = operations
        self._bounds = Bounds(
            replicas=dice.between(1, 3),
            tight=dice.chance(60),
            windows=dice.chance(30),
            faults=dice.chance(75),
        )
        self._fairness = Fairness(world)
        self._scheduler = Scheduler(world, self._fairness.sample)
        self._crowd = Crowd(world)
        self._peace = Peace(world, self._scheduler, self._crowd, self._fairness)

    def play(self) -> None:
        dice = self._world.dice
        self._found()
        choices = [act for weight, act in self._weights() for _ in range(weight)]
        for _ in range(self._operations):
            dice.one_of(choices)()
            self._fairness.sample()
            self._scheduler.bustle(dice.one_of((0, 2, 6, 20, 200)))
            self._peace.examine()
        self._peace.play()

    def _weights(self) -> list[tuple[int, Callable[[], None]]]:
        weights: list[tuple[int, Callable[[], None]]] = [
            (22, self._crowd.ask),
            (42, self._crowd.move),
            (18, lambda: self._scheduler.tick(SECOND_US)),
            (2, self._credit),
            (2, self._cap),
            (1, self._recall),
            (1, self._crowd.hang_up),
            (1, self._rotate),
            (1, self._hours),
            (6, self._restart),
        ]
        if self._bounds.windows:
            weights.append((3, self._midnight))
        if self._bounds.faults:
            weights += Faults(self._world, self._scheduler).weights()
            weights.append((1, self._stop))
        return weights

    # The beginning.

    def _found(self) -> None:
        world, dice = self._world, self._world.dice
        for org_id in ("org_1", "org_2"):
            world.credit(org_id, self._amount())
        chains = {level for each in self._crowd.callers for level in ledger.chain_of(each)}
        for scope, owner in sorted(chains):
            if scope is not LimitScope.BALANCE and dice.chance(40):
                self._open(scope, owner, self._amount())
        for number in range(self._bounds.replicas):
            skew_us = dice.between(-SKEW_MAX_S, SKEW_MAX_S) * SECOND_US
            machine = Machine(f"gate-{number}", SimulatedDisk(), skew_us)
            world.machines.append(machine)
            world.start(machine)
        self._scheduler.bustle(500)

    def _amount(self) -> int:
        """Near the price of a few calls, or plenty."""
        low, high = (5, 400) if self._bounds.tight else (1_000, 100_000)
        return self._world.dice.between(low, high) * INPUT_NANO

    def _open(self, scope: LimitScope, owner: str, limit_nano: int) -> None:
        self._world.write(lambda op, tx: ledger.open_limit(op, tx, scope, owner, limit_nano))
        if self._bounds.windows and scope is LimitScope.KEY:
            self._world.database.change(
                "UPDATE spend_limit SET period = 'day' WHERE id = ?", f"key:{owner}"
            )

    # The operator, and time.

    def _hours(self) -> None:
        """Far ahead: past every time-out, and at times into another day."""
        world = self._world
        world.disturb()
        running = any(call.stage is Stage.RUNNING for call in world.calls.values())
        if running and self._bounds.windows:
            world.coverage.reach(Turn.WINDOW_ROLLED)
        self._scheduler.advance(world.dice.between(1, 30) * HOUR_US)

    def _midnight(self) -> None:
        """Calls are asked for in the first moment of a new day."""
        world = self._world
        world.disturb()
        self._scheduler.advance(DAY_US - world.now_us % DAY_US)
        for _ in range(CALLS_AT_MIDNIGHT):
            self._crowd.ask()

    def _credit(self) -> None:
        self._world.credit(f"org_{self._world.dice.between(1, 2)}", self._amount())
        self._world.coverage.reach(Turn.CREDITED)

    def _cap(self) -> None:
        """Another cap for a level, where that is not below what is spent or leased."""
        world, limits = self._world, self._world.books.limits
        caps = [name for name, row in limits.items() if row.limit_nano and row.period == "none"]
        caps = [name for name in caps if not name.startswith("balance:")]
        if not caps:
            return
        name = world.dice.one_of(caps)
        scope, owner = name.split(":")
        before_nano, wanted_nano = limits[name].limit_nano or 0, self._amount()
        world.disturb()
        try:
            world.write(
                lambda op, tx: ledger.set_limit(op, tx, LimitScope(scope), owner, wanted_nano)
            )
        except (Problem, IntegrityError):
            world.coverage.reach(Turn.CAP_NOT_LOWERED)
        else:
            raised = wanted_nano > before_nano
            world.coverage.reach(Turn.CAP_RAISED if raised else Turn.CAP_LOWERED)

    def _recall(self) -> None:
        world = self._world
        if world.books.limits:
            name = world.dice.one_of(sorted(world.books.limits))
            world.write(lambda op, tx: leases.recall(op, tx, name))
            world.coverage.reach(Turn.RECALLED)

    def _rotate(self) -> None:
        for gateway in self._world.serving:
            gateway.journal.rotate()
        self._world.coverage.reach(Turn.SEGMENT_ROTATED)

    def _stop(self) -> None:
        serving = self._world.serving
        if serving:
            self._peace.stop(self._world.dice.one_of(serving))

    def _restart(self) -> None:
        for machine in self._world.machines:
            if not machine.up:
                machine.mend()
                self._world.start(machine)
                return


__all__ = ["Life", "Violated"]
