"""Revoked evidence moves a model within a round, once, and says so."""

import asyncio
from pathlib import Path
from typing import Any

from tests.support.ops import CountingIds, ManualClock, SilentLog, make_op
from tests.support.stores import fresh_store
from tokenbooth.catalog.models.service import ModelAsk
from tokenbooth.control import launching, models
from tokenbooth.control.launch_report import Desk
from tokenbooth.core.ports import Tx
from tokenbooth.launch.evidence import service as evidence
from tokenbooth.launch.gates.service import read_policy
from tokenbooth.launch.stages import service as stages
from tokenbooth.launch.stages.service import Stage, StageAsk
from tokenbooth.signing.attestation import Finding
from tokenbooth.signing.keys import SigningKey
from tokenbooth.workers.demotion import Demotion

POLICY = b"""version = 1
[[ga.gate]]
name = "billing"
title = "Money comes out"
kind = "billing/1"
fresh_hours = 24
lead_days = 5
reproduce = "tokenbooth drill mixed --json"
need = [{ figure = "difference_nano", is = 0 }]
"""


def test_a_round_takes_a_model_back_and_a_second_one_leaves_it(tmp_path: Path) -> None:
    clock, desk = ManualClock(), Desk(read_policy(POLICY), SigningKey(bytes(32)))
    op = make_op(clock)

    def set_up(tx: Tx) -> str:
        ask = ModelAsk(name="demo", deployments=(models.scripted_deployment(),))
        models.add_model(op, tx, ask, CountingIds())
        finding = Finding("billing/1", {}, clock.us, clock.us + 10**9, {"difference_nano": 0})
        signed = launching.sign_evidence(op, tx, "demo", finding, desk)
        kept = evidence.add(op, tx, signed.to_json())
        stages.move(op, tx, StageAsk(model="demo", stage=Stage.GA))
        return kept.digest

    def take_back(digest: str) -> Any:
        return lambda tx: evidence.revoke(op, tx, digest, "it was not so")

    async def scenario() -> tuple[list[int], Stage | None]:
        store = fresh_store(tmp_path)
        demotion = Demotion(store, lambda: op, lambda: desk)
        digest = await store.write(set_up)
        clock.us += 1
        moved = [await demotion.demote()]
        await store.write(take_back(digest))
        clock.us += 1
        moved += [await demotion.demote(), await demotion.demote()]
        found = await store.read(lambda tx: stages.standing(op, tx, "demo"))
        await store.close()
        return moved, None if found is None else found.stage

    assert asyncio.run(scenario()) == ([0, 1, 0], Stage.PUBLIC_PREVIEW)
    assert isinstance(op.log, SilentLog)
    assert [name for name, _ in op.log.faults] == ["stage_demoted"]
