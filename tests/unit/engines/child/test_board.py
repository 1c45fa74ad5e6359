"""One child for several engines: numbers, ends, losses, and the last that leaves."""

import asyncio

import pytest
from msgspec import structs

from tests.unit.engines.child.test_engine import POLICY
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.engines.child.board import Board
from tokenbooth.engines.child.frames import (
    Begin,
    Cancel,
    Count,
    Counted,
    Over,
    Piece,
    Ready,
    Refused,
    Step,
)
from tokenbooth.engines.child.supervisor import ChildPlan

BEGIN = Begin(
    run=1, input_ids=None, messages=(), output_tokens_max=4, choices=1, temperature=None,
    top_p=None, presence_penalty=0.0, frequency_penalty=0.0, seed=None, stop=(), logit_bias=(),
    logprobs=None, grammar=None,
)  # fmt: skip


class Child:
    """A supervisor whose child says what the test says."""

    def __init__(self, plan, listener):
        self.listener, self.sent = listener, []
        self.restarts, self.pid, self.ready, self.reason = 0, 7, False, "away"
        self.opened = self.closed = 0
        self.stands = lambda: None
        self.fails = False

    async def open(self):
        self.opened += 1
        if self.fails:
            raise Problem(Code.ENGINE_NOT_READY, "It does not load.")
        self.ready = True
        return Ready(64, "one")

    async def close(self):
        self.closed += 1
        self.ready = False

    def send(self, message):
        if not self.ready:
            raise self.not_ready()
        self.sent.append(message)

    def not_ready(self):
        return Problem(Code.ENGINE_NOT_READY, "No child.")


class Engine:
    """Who listens at a port."""

    busy = False

    def __init__(self):
        self.steps, self.losses, self.again = [], [], 0

    def heard(self, step):
        self.steps.append(step)

    def lost(self, reason):
        self.losses.append(reason)

    def ready_again(self):
        self.again += 1


class Stage:
    def __init__(self):
        self.board = Board(ChildPlan("m", b"{}", POLICY), Child)
        self.child = self.board.supervisor
        self.engines = [Engine(), Engine()]
        self.ports = [self.board.port(engine) for engine in self.engines]


def run(scene):
    asyncio.run(scene(Stage()))


def test_each_engine_has_numbers_of_its_own():
    async def scene(stage):
        one, other = stage.ports
        assert await one.open() == await other.open() == Ready(64, "one")
        assert stage.child.opened == 1
        for port in stage.ports:
            port.send(BEGIN)
            port.send(Count(2, ()))
        assert [structs.asdict(m).get("run", 0) for m in stage.child.sent] == [1, 0, 3, 0]
        assert stage.board.busy
        stage.child.listener.heard(
            Step(
                pieces=(Piece(1, 0, "a", 1), Piece(3, 0, "b", 1), Piece(9, 0, "?", 1)),
                over=(Over(3, 5, 1),),
                refused=(Refused(1, "ENGINE_FAILED", "no"),),
                counted=(Counted(2, 11), Counted(4, 12)),
            )
        )
        (first,), (second,) = (engine.steps for engine in stage.engines)
        assert first == Step(
            (Piece(1, 0, "a", 1),), (), (Refused(1, "ENGINE_FAILED", "no"),), (Counted(2, 11),)
        )
        assert second == Step((Piece(1, 0, "b", 1),), (Over(1, 5, 1),), (), (Counted(2, 12),))
        assert not stage.board.busy

    run(scene)


def test_a_run_is_cancelled_by_who_has_it():
    async def scene(stage):
        one, other = stage.ports
        await one.open()
        one.send(BEGIN)
        other.send(Cancel(1))
        assert len(stage.child.sent) == 1
        one.send(Cancel(1))
        assert stage.child.sent[1] == Cancel(1)

    run(scene)


def test_a_loss_is_told_to_all_and_so_is_the_next_child():
    async def scene(stage):
        one, other = stage.ports
        await one.open()
        one.ready_again = stage.engines[0].ready_again
        one.send(BEGIN)
        stage.child.ready = False
        stage.child.listener.lost("it died")
        assert [engine.losses for engine in stage.engines] == [["it died"], ["it died"]]
        assert not stage.board.busy
        with pytest.raises(Problem):
            other.send(BEGIN)
        assert (one.ready, one.reason, one.restarts, one.pid) == (False, "away", 0, 7)
        assert one.not_ready().code is Code.ENGINE_NOT_READY
        stage.child.ready = True
        stage.child.stands()
        assert stage.engines[0].again == 1

    run(scene)


def test_the_child_ends_with_its_last_user_and_loses_the_runs_of_who_leaves():
    async def scene(stage):
        one, other = stage.ports
        await one.open()
        one.send(BEGIN)
        await one.close()
        assert stage.child.sent[-1] == Cancel(1)
        assert stage.child.closed == 0
        stage.child.listener.heard(Step(pieces=(Piece(1, 0, "late", 1),)))
        assert not stage.engines[0].steps
        await other.close()
        await other.close()
        assert stage.child.closed == 2
        await stage.board.port(Engine()).open()
        assert stage.child.opened == 2

    run(scene)


def test_a_child_that_does_not_load_is_told_to_who_opened():
    async def scene(stage):
        stage.child.fails = True
        with pytest.raises(Problem):
            await stage.ports[0].open()
        stage.child.fails = False
        assert (await stage.ports[1].open()).context_tokens == 64

    run(scene)
