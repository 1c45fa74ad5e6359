"""What goes wrong: processes, transactions, databases, disks and machines."""

from collections.abc import Callable

from tokenbooth.core.problem import Problem
from tokenbooth.money.leases import service as leases
from tokenbooth.proving.simulated_disk import SimulatedDisk
from tokenbooth.proving.simulator.coverage import Turn, Way
from tokenbooth.proving.simulator.machine import TRAPS, Machine, State
from tokenbooth.proving.simulator.scheduler import Scheduler
from tokenbooth.proving.simulator.world import World


class Faults:
    """Each may come at any moment."""

    def __init__(self, world: World, scheduler: Scheduler) -> None:
        self._world = world
        self._scheduler = scheduler

    def weights(self) -> list[tuple[int, Callable[[], None]]]:
        return [
            (2, self.kill),
            (2, self.trap),
            (2, self.spoil_transactions),
            (1, self.toggle_database),
            (1, self.break_disk),
            (1, self.lose_machine),
        ]

    def kill(self) -> None:
        gateways = self._world.gateways
        if gateways:
            way = Way.POWER if self._world.dice.chance(50) else Way.KILL
            self._world.kill(self._world.dice.one_of(gateways), way)

    def trap(self) -> None:
        """A process will end inside its next step of that kind."""
        gateways = self._world.gateways
        if gateways:
            self._world.dice.one_of(gateways).disk.trap = self._world.dice.one_of(TRAPS)

    def spoil_transactions(self) -> None:
        self._scheduler.transaction_faults = self._world.dice.one_of((0, 0, 10, 40))

    def toggle_database(self) -> None:
        self._world.database.away = not self._world.database.away

    def break_disk(self) -> None:
        world = self._world
        disk = world.dice.one_of(world.machines).disk
        if world.dice.chance(30):
            disk.space_bytes = 0
            world.coverage.reach(Turn.DISK_FULL)
        else:
            disk.fail_next(world.dice.one_of(("append", "sync", "open", "remove")))
            world.coverage.reach(Turn.DISK_FAILED)
        world.disturb()

    def lose_machine(self) -> None:
        """It is gone, or only cut off, and another one takes its name; or its disk is found again
        after its money was given up."""
        world = self._world
        machine = world.dice.one_of(world.machines)
        gateway = machine.gateway
        found_again = world.dice.chance(40)
        if gateway is not None and gateway.state is not State.OVER:
            if gateway.serving and not found_again and world.dice.chance(60):
                world.strays.append(gateway)
            else:
                world.kill(gateway, Way.POWER)
        machine.gateway = None
        if not found_again:
            machine.disk = SimulatedDisk()
        self._forfeit(machine)

    def _forfeit(self, machine: Machine) -> None:
        world = self._world
        for call in world.calls.values():
            if call.gateway.machine is machine:
                call.gateway.forfeited = True
        try:
            world.write(lambda op, tx: leases.forfeit(op, tx, machine.replica, living=True))
        except Problem:  # a name that never enrolled has no leases
            return
        world.coverage.reach(Turn.FORFEITED)
        world.disturb()
