"""Demotion over many rounds: what falls, what stays, and what a failure in the middle leaves."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.ops import CountingIds, ManualClock, SilentLog, make_op
from tests.support.stores import fresh_store
from tokenbooth.catalog.models import service as catalog
from tokenbooth.catalog.models.service import ModelAsk
from tokenbooth.control import launching, models
from tokenbooth.control.launch_report import Desk, ReadinessAsk
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Store, Tx
from tokenbooth.core.problem import Problem
from tokenbooth.launch.evidence import service as evidence
from tokenbooth.launch.gates.service import read_policy
from tokenbooth.launch.stages import service as stages
from tokenbooth.launch.stages.service import Stage, StageAsk
from tokenbooth.signing.attestation import Finding
from tokenbooth.signing.keys import SigningKey
from tokenbooth.workers.demotion import OVERLAP_US, Demotion

GATE = """[[{stage}.gate]]
name = "billing"
title = "Money comes out"
kind = "billing/1"
fresh_hours = 24
lead_days = 5
reproduce = "tokenbooth drill mixed --json"
need = [{{ figure = "difference_nano", is = 0 }}]
"""
EDGES = ("private_preview", "public_preview", "ga")
POLICY = "version = 1\n" + "".join(GATE.format(stage=stage) for stage in EDGES)
DAY_US = 86_400_000_000


@dataclass
class Booth:
    """A store with models at a stage, evidence of each, and a worker that is asked for rounds."""

    store: Store
    clock: ManualClock
    op: Op
    desk: Desk
    demotion: Demotion

    async def offer(self, name: str, stage: Stage | None, ids: CountingIds) -> str:
        """Gives the digest of its evidence."""

        def made(tx: Tx) -> str:
            ask = ModelAsk(name=name, deployments=(models.scripted_deployment(),))
            models.add_model(self.op, tx, ask, ids)
            digest = self.measured(tx, name)
            if stage is not None:
                stages.move(self.op, tx, StageAsk(model=name, stage=stage))
            return digest

        digest = await self.store.write(made)
        self.clock.us += 1
        return digest

    def measured(self, tx: Tx, name: str) -> str:
        now_us = self.clock.us
        finding = Finding("billing/1", {}, now_us, now_us + 9 * DAY_US, {"difference_nano": 0})
        signed = launching.sign_evidence(self.op, tx, name, finding, self.desk)
        return evidence.add(self.op, tx, signed.to_json()).digest

    async def revoke(self, digest: str) -> None:
        await self.store.write(lambda tx: evidence.revoke(self.op, tx, digest, "it was not so"))
        self.clock.us += 1

    async def round(self) -> int:
        moved = await self.demotion.demote()
        self.clock.us += 1
        return moved

    async def stage(self, name: str) -> Stage | None:
        found = await self.store.read(lambda tx: stages.standing(self.op, tx, name))
        return None if found is None else found.stage

    @property
    def faults(self) -> list[tuple[str, dict[str, object]]]:
        assert isinstance(self.op.log, SilentLog)
        return self.op.log.faults


Play = Callable[[Callable[[Booth], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Runs a story in a booth of its own."""

    def run(story: Callable[[Booth], Coroutine[Any, Any, None]]) -> None:
        async def whole() -> None:
            clock = ManualClock()
            op, store = make_op(clock), fresh_store(tmp_path)
            desk = Desk(read_policy(POLICY.encode()), SigningKey(bytes(32)))
            try:
                await story(
                    Booth(store, clock, op, desk, Demotion(store, lambda: op, lambda: desk))
                )
            finally:
                await store.close()

        asyncio.run(whole())

    return run


def test_only_the_models_whose_evidence_was_revoked_go_back(play: Play) -> None:
    async def story(booth: Booth) -> None:
        ids = CountingIds()
        digests = {name: await booth.offer(name, Stage.GA, ids) for name in ("a", "b", "c")}
        plain = await booth.offer("plain", None, ids)
        assert await booth.round() == 0
        for digest in (digests["a"], digests["c"], plain):
            await booth.revoke(digest)
        assert await booth.round() == 2
        at = [await booth.stage(name) for name in ("a", "b", "c", "plain")]
        assert at == [Stage.PUBLIC_PREVIEW, Stage.GA, Stage.PUBLIC_PREVIEW, None]
        assert [(name, said["model"], said["stage"]) for name, said in booth.faults] == [
            ("stage_demoted", "a", "public_preview"),
            ("stage_demoted", "c", "public_preview"),
        ]

    play(story)


def test_one_revocation_takes_one_step_and_no_more_however_often_it_is_looked_at(
    play: Play,
) -> None:
    async def story(booth: Booth) -> None:
        digest = await booth.offer("demo", Stage.GA, CountingIds())
        await booth.revoke(digest)
        assert [await booth.round() for _ in range(4)] == [1, 0, 0, 0]
        again = Demotion(booth.store, lambda: booth.op, lambda: booth.desk)
        assert await again.demote() == 0
        assert await booth.stage("demo") is Stage.PUBLIC_PREVIEW

    play(story)


def test_a_worker_that_was_away_finds_what_was_revoked_meanwhile(play: Play) -> None:
    async def story(booth: Booth) -> None:
        digest = await booth.offer("demo", Stage.GA, CountingIds())
        await booth.revoke(digest)
        booth.clock.us += 30 * DAY_US
        assert await booth.round() == 1

    play(story)


def test_a_clock_that_is_behind_by_less_than_the_overlap_misses_nothing(play: Play) -> None:
    async def story(booth: Booth) -> None:
        digest = await booth.offer("demo", Stage.GA, CountingIds())
        booth.clock.us += DAY_US
        assert await booth.round() == 0
        # Another server, whose clock is behind, takes the evidence back after this round.
        booth.clock.us -= OVERLAP_US - 10
        await booth.revoke(digest)
        booth.clock.us += OVERLAP_US
        assert await booth.round() == 1

    play(story)


def test_a_revocation_that_is_dated_ahead_takes_one_step_when_its_moment_has_come(
    play: Play,
) -> None:
    async def story(booth: Booth) -> None:
        digest = await booth.offer("demo", Stage.GA, CountingIds())
        booth.clock.us += OVERLAP_US
        await booth.revoke(digest)
        booth.clock.us -= OVERLAP_US // 2
        assert [await booth.round() for _ in range(3)] == [0, 0, 0]
        booth.clock.us += OVERLAP_US // 2
        assert [await booth.round() for _ in range(3)] == [1, 0, 0]
        assert await booth.stage("demo") is Stage.PUBLIC_PREVIEW

    play(story)


def test_evidence_that_merely_grew_old_takes_nobody_back(play: Play) -> None:
    async def story(booth: Booth) -> None:
        await booth.offer("demo", Stage.GA, CountingIds())
        booth.clock.us += 60 * DAY_US
        assert await booth.round() == 0
        assert await booth.stage("demo") is Stage.GA

    play(story)


def test_newer_evidence_that_holds_keeps_a_model_where_it_is(play: Play) -> None:
    async def story(booth: Booth) -> None:
        digest = await booth.offer("demo", Stage.GA, CountingIds())
        await booth.revoke(digest)
        await booth.store.write(lambda tx: booth.measured(tx, "demo"))
        assert await booth.round() == 0
        assert await booth.stage("demo") is Stage.GA

    play(story)


def test_a_gate_that_somebody_waived_takes_nobody_back(play: Play) -> None:
    async def story(booth: Booth) -> None:
        digest = await booth.offer("demo", Stage.GA, CountingIds())
        how = ReadinessAsk(model="demo", stage=Stage.GA)
        grant = launching.Grant(
            gate="billing", owner="Ada", reason="known", expires_us=booth.clock.us + DAY_US
        )
        await booth.store.write(
            lambda tx: launching.waive(booth.op, tx, how, grant, booth.desk.policy)
        )
        await booth.revoke(digest)
        assert await booth.round() == 0
        assert await booth.stage("demo") is Stage.GA

    play(story)


def test_a_model_that_is_not_offered_any_more_is_left_where_it_was(play: Play) -> None:
    async def story(booth: Booth) -> None:
        digest = await booth.offer("demo", Stage.GA, CountingIds())
        await booth.store.write(lambda tx: catalog.remove_model(booth.op, tx, "demo"))
        await booth.revoke(digest)
        assert await booth.round() == 0
        assert await booth.stage("demo") is Stage.GA

    play(story)


def test_two_workers_at_once_move_a_model_once(play: Play) -> None:
    async def story(booth: Booth) -> None:
        digest = await booth.offer("demo", Stage.GA, CountingIds())
        await booth.revoke(digest)
        others = [Demotion(booth.store, lambda: booth.op, lambda: booth.desk) for _ in range(3)]
        moved = await asyncio.gather(*(each.demote() for each in others))
        assert sum(moved) == 1
        assert await booth.stage("demo") is Stage.PUBLIC_PREVIEW

    play(story)


def test_a_policy_that_cannot_be_read_leaves_the_round_to_be_done_again(play: Play) -> None:
    async def story(booth: Booth) -> None:
        wrong = [True]

        def desk() -> Desk:
            if wrong.pop() if wrong else False:
                raise Problem(Code.INVALID_VALUE, "The policy is wrong.", param="policy")
            return booth.desk

        demotion = Demotion(booth.store, lambda: booth.op, desk)
        assert await demotion.demote() == 0
        digest = await booth.offer("demo", Stage.GA, CountingIds())
        await booth.revoke(digest)
        booth.clock.us += 10 * OVERLAP_US
        with pytest.raises(Problem):
            await demotion.demote()
        assert await booth.stage("demo") is Stage.GA
        booth.clock.us += 10 * OVERLAP_US
        assert await demotion.demote() == 1

    play(story)


def test_a_loop_is_named_and_as_often_as_it_is_said(play: Play) -> None:
    async def story(booth: Booth) -> None:
        loop = booth.demotion.loop(1_500)
        assert (loop.name, loop.every_ms) == ("demotions", 1_500)

    play(story)
