"""One child for engines in several processes: real sockets between, and a child of the test's."""

import asyncio

import pytest
from msgspec import msgpack

from tests.support.fleets import run, settled, until
from tests.unit.engines.child.test_board import BEGIN, Child
from tests.unit.engines.child.test_engine import POLICY
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.engines.child import board as board_module
from tokenbooth.engines.child.frames import Cancel, Count, Over, Piece, Ready, Step
from tokenbooth.engines.child.supervisor import ChildPlan
from tokenbooth.fleet import engines as module
from tokenbooth.fleet.engines import Boards, FarSupervisor, UserLine

PLAN = ChildPlan("nothing", b"{}", POLICY)


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    """Who comes again comes at once."""
    monkeypatch.setattr(module, "AGAIN_EVERY_S", 0)


class Ear:
    """An engine as its supervisor knows it."""

    busy = False

    def __init__(self) -> None:
        self.steps, self.losses = [], []

    def heard(self, step):
        self.steps.append(step)

    def lost(self, reason):
        self.losses.append(reason)


class Town:
    """A control process with children, at a socket; workers come to it as ``FarSupervisor``."""

    def __init__(self, path) -> None:
        self.path, self.boards, self.children = path, Boards(), {}
        self.refuses: Problem | None = None
        self.holds = asyncio.Event()
        self.holds.set()
        self.transports, self.server = [], None

    async def opens(self) -> "Town":
        loop = asyncio.get_running_loop()
        self.server = await loop.create_unix_server(self._accepted, str(self.path))
        return self

    def dies(self) -> None:
        self.server.close()
        self.path.unlink(missing_ok=True)
        for transport in self.transports:
            transport.abort()

    def worker(self, deployment_id="d") -> tuple[FarSupervisor, Ear]:
        ear = Ear()
        return FarSupervisor(str(self.path), deployment_id, PLAN, ear), ear

    async def opened(self, deployment_id="d") -> tuple[FarSupervisor, Ear]:
        far, ear = self.worker(deployment_id)
        await far.open()
        return far, ear

    def _accepted(self):
        line = UserLine(self.boards, self._opened)
        made = line.connection_made

        def kept(transport):
            self.transports.append(transport)
            made(transport)

        line.connection_made = kept
        return line

    async def _opened(self, deployment_id):
        await self.holds.wait()
        if self.refuses is not None:
            raise self.refuses
        if deployment_id != "unknown" and self.boards.board(deployment_id) is None:
            board = board_module.Board(PLAN, supervise=Child)
            self.boards._boards[deployment_id] = board
            self.children[deployment_id] = board.supervisor


def scene(tmp_path, play) -> None:
    async def scenario():
        town = await Town(tmp_path / "engines").opens()
        try:
            await play(town)
        finally:
            town.dies()

    run(scenario)


def test_two_workers_share_one_child_and_each_hears_only_its_own(tmp_path):
    async def play(town):
        (one, near), (other, far) = await town.opened(), await town.opened()
        child = town.children["d"]
        assert (child.opened, one.ready, other.ready) == (1, True, True)
        one.send(BEGIN)
        await until(lambda: child.sent)
        other.send(BEGIN)
        await until(lambda: len(child.sent) == 2)
        mine, theirs = (begin.run for begin in child.sent)
        child.listener.heard(
            Step(
                pieces=(Piece(mine, 0, "a", 1), Piece(theirs, 0, "b", 1)), over=(Over(mine, 1, 1),)
            )
        )
        await until(lambda: near.steps and far.steps)
        assert near.steps == [Step(pieces=(Piece(1, 0, "a", 1),), over=(Over(1, 1, 1),))]
        assert far.steps == [Step(pieces=(Piece(1, 0, "b", 1),))]
        await one.close()
        await other.close()
        await until(lambda: child.closed)

    scene(tmp_path, play)


def test_the_child_tells_what_it_is_and_opening_twice_asks_once(tmp_path):
    async def play(town):
        far, _ = town.worker()
        first, second = await asyncio.gather(far.open(), far.open())
        assert first == second == Ready(64, "one")
        assert town.children["d"].opened == 1
        await far.close()
        await far.close()

    scene(tmp_path, play)


def test_deployments_have_children_of_their_own(tmp_path):
    async def play(town):
        (one, _), (other, _) = await town.opened("d"), await town.opened("e")
        one.send(BEGIN)
        other.send(Count(4, ()))
        await until(lambda: town.children["d"].sent and town.children["e"].sent)
        assert isinstance(town.children["d"].sent[0], type(BEGIN))
        assert isinstance(town.children["e"].sent[0], Count)
        await one.close()
        await other.close()

    scene(tmp_path, play)


def test_a_cancel_ends_the_run_of_that_worker_alone(tmp_path):
    async def play(town):
        (one, _), (other, _) = await town.opened(), await town.opened()
        child = town.children["d"]
        for user in (one, other):
            user.send(BEGIN)
        await until(lambda: len(child.sent) == 2)
        other.send(Cancel(1))
        await until(lambda: len(child.sent) == 3)
        assert child.sent[2] in (Cancel(child.sent[0].run), Cancel(child.sent[1].run))
        one.send(Cancel(1))
        await until(lambda: len(child.sent) == 4)
        assert {each.run for each in child.sent[2:]} == {each.run for each in child.sent[:2]}
        await one.close()
        await other.close()

    scene(tmp_path, play)


def test_a_worker_that_dies_has_its_runs_cancelled_and_the_others_go_on(tmp_path):
    async def play(town):
        (one, _), (other, ear) = await town.opened(), await town.opened()
        child = town.children["d"]
        one.send(BEGIN)
        await until(lambda: child.sent)
        number = child.sent[0].run
        one._keeper.cancel()
        one._transport.abort()
        await until(lambda: Cancel(number) in child.sent)
        assert not child.closed
        other.send(BEGIN)
        await until(lambda: len(child.sent) == 3)
        child.listener.heard(Step(over=(Over(child.sent[2].run, 1, 1),)))
        await until(lambda: ear.steps)
        await other.close()

    scene(tmp_path, play)


def test_a_lost_child_is_told_to_all_and_its_replacement_too(tmp_path):
    async def play(town):
        users = [await town.opened() for _ in range(3)]
        child = town.children["d"]
        child.listener.lost("it died")
        await until(lambda: all(ear.losses for _, ear in users))
        for far, ear in users:
            assert (far.ready, far.reason, ear.losses) == (False, "it died", ["it died"])
            with pytest.raises(Problem) as caught:
                far.send(BEGIN)
            assert (caught.value.code, caught.value.detail) == (Code.ENGINE_NOT_READY, "it died")
            assert caught.value.retry_after_s >= 1
        child.stands()
        await until(lambda: all(far.ready for far, _ in users))
        users[0][0].send(BEGIN)
        await until(lambda: child.sent)
        for far, _ in users:
            await far.close()

    scene(tmp_path, play)


def test_an_engine_that_cannot_be_opened_is_refused_with_the_reason(tmp_path):
    async def play(town):
        town.refuses = Problem(Code.ENGINE_NOT_READY, "The weights are gone.")
        far, ear = town.worker()
        with pytest.raises(Problem) as caught:
            await far.open()
        assert (caught.value.code, caught.value.public) == (
            Code.ENGINE_NOT_READY,
            "The weights are gone.",
        )
        assert (far.ready, ear.losses) == (False, [])
        town.refuses = None
        assert (await far.open()).fingerprint == "one"
        await far.close()

    scene(tmp_path, play)


def test_a_deployment_without_a_child_is_refused(tmp_path):
    async def play(town):
        with pytest.raises(Problem, match="no engine here"):
            await town.opened("unknown")

    scene(tmp_path, play)


def test_who_opens_before_the_control_process_stands_waits_for_it(tmp_path):
    async def scenario():
        town = Town(tmp_path / "engines")
        far, _ = town.worker()
        opening = asyncio.create_task(far.open())
        await settled()
        assert not opening.done()
        with pytest.raises(Problem):
            far.send(BEGIN)
        await town.opens()
        await opening
        await far.close()
        town.dies()

    run(scenario)


def test_when_the_control_process_is_replaced_runs_are_lost_and_new_ones_begin(tmp_path):
    async def play(town):
        far, ear = await town.opened()
        far.send(BEGIN)
        await until(lambda: town.children["d"].sent)
        town.dies()
        await until(lambda: ear.losses)
        assert (ear.losses, far.ready) == ([module.AWAY], False)
        again = await Town(town.path).opens()
        await until(lambda: far.ready)
        far.send(BEGIN)
        await until(lambda: again.children["d"].sent)
        await far.close()
        again.dies()

    scene(tmp_path, play)


def test_an_engine_refused_after_it_stood_is_asked_for_again_until_it_is_back(tmp_path):
    async def play(town):
        far, ear = await town.opened()
        town.refuses = Problem(Code.ENGINE_NOT_READY, "Not now.")
        town.transports[0].abort()
        await until(lambda: len(town.transports) > 3)
        assert (far.ready, far.reason in ("Not now.", module.AWAY)) == (False, True)
        assert ear.losses == [module.AWAY]
        town.refuses = None
        await until(lambda: far.ready)
        await far.close()

    scene(tmp_path, play)


def test_who_gives_up_opening_leaves_no_user_behind(tmp_path):
    async def play(town):
        stays, _ = await town.opened()
        town.holds.clear()
        far, _ = town.worker()
        opening = asyncio.create_task(far.open())
        await until(lambda: len(town.transports) == 2)
        await settled()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        town.holds.set()
        await settled()
        child = town.children["d"]
        assert not child.closed
        await stays.close()
        await until(lambda: child.closed == 1)

    scene(tmp_path, play)


@pytest.mark.parametrize("raw", [b"\xff\xff\xff\xff", b"\0\0\0\1\xc1", b"\0\0\0\0"])
def test_a_user_that_babbles_is_cut_off_and_its_runs_end(tmp_path, raw):
    async def play(town):
        stays, _ = await town.opened()
        babbler, ear = await town.opened()
        child = town.children["d"]
        babbler.send(BEGIN)
        await until(lambda: child.sent)
        babbler._transport.write(raw)
        await until(lambda: ear.losses and Cancel(child.sent[0].run) in child.sent)
        await until(lambda: babbler.ready)
        assert stays.ready
        await babbler.close()
        await stays.close()

    scene(tmp_path, play)


@pytest.mark.parametrize("raw", [b"\xff\xff\xff\xff", b"\0\0\0\1\xc1", b"\0\0\0\0"])
def test_a_control_process_that_babbles_is_left_and_looked_for_again(tmp_path, raw):
    async def play(town):
        far, ear = await town.opened()
        town.transports[0].write(raw)
        await until(lambda: ear.losses and far.ready)
        assert len(town.transports) == 2
        await far.close()

    scene(tmp_path, play)


def test_a_message_before_any_use_is_nothing(tmp_path):
    async def play(town):
        reader, writer = await asyncio.open_unix_connection(str(town.path))
        body = msgpack.encode(Cancel(1))
        writer.write(len(body).to_bytes(4, "big") + body)
        body = msgpack.encode(module.Use("d"))
        writer.write(len(body).to_bytes(4, "big") + body)
        head = await reader.readexactly(4)
        told = await reader.readexactly(int.from_bytes(head, "big"))
        assert msgpack.decode(told, type=module.ToUser) == Ready(64, "one")
        assert town.children["d"].sent == []
        writer.transport.abort()

    scene(tmp_path, play)


def test_a_call_too_large_for_a_frame_is_the_callers_fault_and_harms_nobody(tmp_path, monkeypatch):
    async def play(town):
        far, ear = await town.opened()
        monkeypatch.setattr(module, "FRAME_BYTES_MAX", 1000)
        with pytest.raises(Problem) as caught:
            far.send(Count(1, (("user", "x" * 1000),)))
        assert caught.value.code is Code.BODY_TOO_LARGE
        far.send(Count(2, (("user", "x"),)))
        await until(lambda: town.children["d"].sent)
        assert (ear.losses, far.ready) == ([], True)
        await far.close()

    scene(tmp_path, play)


def test_what_comes_for_a_child_that_is_gone_is_answered_by_its_loss(tmp_path):
    async def play(town):
        far, _ = await town.opened()
        child = town.children["d"]

        def refuses(message):
            raise Problem(Code.ENGINE_NOT_READY, "It restarts.")

        send, child.send = child.send, refuses
        far.send(BEGIN)
        await settled()
        child.send = send
        far.send(Count(2, ()))
        await until(lambda: child.sent)
        assert isinstance(child.sent[0], Count)
        await far.close()

    scene(tmp_path, play)


def test_a_new_supervisor_of_a_deployment_is_a_new_child(monkeypatch):
    made = []

    class Kept(board_module.Board):
        def __init__(self, plan):
            super().__init__(plan, supervise=Child)
            made.append(self)

    monkeypatch.setattr(module, "Board", Kept)
    boards = Boards()
    assert boards.board("d") is None
    first = boards.supervise("d", PLAN, Ear())
    assert boards.board("d") is made[0]
    second = boards.supervise("d", PLAN, Ear())
    assert boards.board("d") is made[1]
    assert first is not second
