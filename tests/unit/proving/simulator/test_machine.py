"""A process on a machine: its disk can end it anywhere, its transactions have a fate."""

from collections.abc import Callable

import pytest
from sqlalchemy import text

from tokenbooth.core.codes import Code
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.proving.simulated_disk import SimulatedDisk
from tokenbooth.proving.simulator.coverage import Cut
from tokenbooth.proving.simulator.database import Template
from tokenbooth.proving.simulator.loop import Died, SimulatedLoop
from tokenbooth.proving.simulator.machine import (
    TRAPS,
    Fate,
    GatewayClock,
    GatewayDisk,
    GatewayStore,
    Machine,
    NotedLog,
)

ADD = text(
    "INSERT INTO ledger_account (id, kind, org_id) VALUES ('prepaid:org_1', 'prepaid', 'org_1')"
)


def traps() -> dict[tuple[str, str], Callable[[GatewayDisk], object]]:
    """For each trap, the step that it lies in."""

    def append(disk: GatewayDisk) -> None:
        disk.append(disk.open("b"), b"0123456789")

    def sync(disk: GatewayDisk) -> None:
        disk.sync(disk.open("b"))

    def remove(disk: GatewayDisk) -> None:
        disk.remove("a")

    steps: dict[str, Callable[[GatewayDisk], object]] = {
        "append": append,
        "sync": sync,
        "open": lambda disk: disk.open("b"),
        "remove": remove,
        "sync_directory": lambda disk: disk.sync_directory(),
    }
    return {trap: steps[trap[0]] for trap in TRAPS}


@pytest.mark.parametrize("trap", TRAPS)
def test_each_trap_ends_the_process_in_its_step_and_nothing_moves_after(
    trap: tuple[str, str],
) -> None:
    below, cuts = SimulatedDisk(), list[Cut]()
    below.overwrite("a", b"")
    disk = GatewayDisk(below, cuts.append)
    disk.trap = trap
    with pytest.raises(Died):
        traps()[trap](disk)
    assert len(cuts) == 1
    assert disk.dead
    for verb in (disk.list, disk.sync_directory, disk.release, lambda: disk.read("a")):
        with pytest.raises(Died):
            verb()


@pytest.mark.parametrize(
    ("when", "left"), [("before", b""), ("half", b"01234"), ("after", b"0123456789")]
)
def test_an_append_is_cut_before_inside_or_after(when: str, left: bytes) -> None:
    below = SimulatedDisk()
    disk = GatewayDisk(below, lambda cut: None)
    disk.trap = ("append", when)
    file = disk.open("b")
    with pytest.raises(Died):
        disk.append(file, b"0123456789")
    assert below.content("b") == left


def test_without_a_trap_the_disk_is_just_the_disk() -> None:
    below = SimulatedDisk()
    disk = GatewayDisk(below, lambda cut: None)
    file = disk.open("b")
    disk.append(file, b"x")
    disk.sync(file)
    disk.sync_named("b")
    disk.sync_directory()
    disk.close(file)
    assert (disk.list(), disk.read("b")) == (("b",), b"x")
    disk.remove("b")
    assert disk.removed == 1
    disk.release()
    assert disk.is_of(below)
    assert not disk.is_of(SimulatedDisk())


@pytest.fixture(scope="module")
def template() -> Template:
    return Template(lambda tx: None)


def add(tx: Tx) -> str:
    tx.execute(ADD)
    return "added"


def accounts(tx: Tx) -> int:
    return int(tx.execute(text("SELECT count(*) FROM ledger_account")).scalar_one())


@pytest.mark.parametrize(
    ("fate", "answered", "kept"),
    [
        (Fate.KEPT, True, 1),
        (Fate.REFUSED, False, 0),
        (Fate.ROLLED_BACK, False, 0),
        (Fate.LOST, False, 1),
    ],
)
def test_a_transaction_meets_its_fate(
    template: Template, fate: Fate, answered: bool, kept: int
) -> None:
    loop = SimulatedLoop(lambda: 0)  # type: ignore[abstract]
    with template.opened(lambda: 5) as database:
        store = GatewayStore(database, loop)
        task = loop.spawn(store.write(add))
        loop.run_some(5)
        store.fate = fate
        (job,) = loop.jobs
        job.run()
        job.deliver()
        loop.run_some(5)
        if answered:
            assert task.result() == "added"
        else:
            error = task.exception()
            assert isinstance(error, Problem)
            assert error.code is Code.LEDGER_UNAVAILABLE
        assert database.transact(accounts, keep=False) == kept
        assert store.fate is Fate.KEPT
        assert store.writes == kept


def test_what_a_read_writes_is_rolled_back_and_nothing_passes_while_away(
    template: Template,
) -> None:
    loop = SimulatedLoop(lambda: 0)  # type: ignore[abstract]
    with template.opened(lambda: 5) as database:
        store = GatewayStore(database, loop)
        for away in (False, True):
            database.away = away
            task = loop.spawn(store.read(add))
            loop.run_some(5)
            job = loop.jobs.popleft()
            job.run()
            job.deliver()
            loop.run_some(5)
            assert (task.exception() is not None) == away
        assert database.transact(accounts, keep=False) == 0


def test_lives_do_not_see_each_other_and_share_the_schema(template: Template) -> None:
    for _ in range(2):
        with template.opened(lambda: 1_000) as database:
            before = database.changes
            database.transact(add, keep=True)
            assert database.changes > before
            assert database.rows("SELECT id FROM ledger_account") == [("prepaid:org_1",)]
            assert database.rows("SELECT tokenbooth_now_us()") == [(1_000,)]
            database.change("UPDATE replica SET id = ? WHERE id = 'a'", "b")


def test_wall_clocks_are_wrong_and_the_other_clock_is_not() -> None:
    now = [1_000]
    clock = GatewayClock(lambda: now[0], skew_us=-300, begun_us=400)
    assert (clock.now_us(), clock.monotonic_us()) == (700, 600)
    now[0] = 1_500
    assert (clock.now_us(), clock.monotonic_us()) == (1_200, 1_100)


def test_the_log_remembers_names() -> None:
    log = NotedLog()
    log.event("one", count=1)
    log.fault("two", ValueError())
    assert log.names == ["one", "two"]


def test_a_machine_without_process_is_down_and_can_be_mended() -> None:
    machine = Machine("gate-0", SimulatedDisk(), 0)
    assert not machine.up
    machine.disk.space_bytes = 0
    machine.disk.fail_next("open")
    machine.mend()
    machine.disk.append(machine.disk.open("a"), b"x")
    assert machine.disk.content("a") == b"x"
