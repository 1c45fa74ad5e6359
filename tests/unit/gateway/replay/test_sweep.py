"""Claims of runs that are over are resolved by the records of their calls, and only then."""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.booth import SEALING_KEY, MemorySink, TestBooth, chat, open_test_booth
from tests.support.keyed import claims, error, flaky, in_loop, keyed
from tokenbooth.access.orgs import service as orgs
from tokenbooth.content.replays import service as replays
from tokenbooth.content.replays.service import BATCH, ClaimAsk
from tokenbooth.core.ports import CallHead
from tokenbooth.core.problem import Problem
from tokenbooth.engines.scripted.values import Fault, ScriptOptions
from tokenbooth.gateway.options import ReplayOptions
from tokenbooth.gateway.replay import FREELY, GRACE_US, REPLAYED, Once, ReplayDesk
from tokenbooth.money.leases import service as leases

REQUEST = f"req_{1:032x}"
PATH = "/v1/chat/completions"
HANG = ScriptOptions(fault=Fault.HANG, fault_after_chunks=3)


@dataclass
class Run:
    """One run of a gateway process, as far as a desk asks for it."""

    replica_id: str = "main"
    epoch: int = 2
    told: bool = True
    flushes: int = 0

    async def flushed(self) -> bool:
        self.flushes += 1
        return self.told


def desk_of(booth: TestBooth, run: Run) -> ReplayDesk:
    till: Any = run
    return ReplayDesk(
        booth.store, till, key=SEALING_KEY, noise=booth.noise, options=ReplayOptions()
    )


async def left_behind(booth: TestBooth, key: str = "k", **fields: Any) -> ClaimAsk:
    """A claim of a call that nobody runs any more: by default of the first run of ``main``."""

    def claim(tx: Any) -> ClaimAsk:
        (project,) = orgs.projects(booth.op, tx, booth.org_id)
        plain = ClaimAsk(
            org_id=booth.org_id,
            project_id=project.id,
            key=key,
            body_sha256=replays.body_sha256(PATH, b"body"),
            request_id="req_gone",
            replica_id="main",
            epoch=1,
            keep_us=10**12,
        )
        ask = replace(plain, **fields)
        assert replays.claim(booth.op, tx, ask) is None
        return ask

    return await booth.store.write(claim)


async def asked(booth: TestBooth, desk: ReplayDesk, key: str = "k") -> Once | str:
    """What a new call with that key becomes, or the code of its refusal."""
    caller = await booth.rooms.directory.caller(booth.op, booth.secret)
    op = replace(booth.new_op(), caller=caller)
    head = CallHead("POST", PATH, {"idempotency-key": key}, {}, {})
    try:
        return await desk.claimed(op, head, b"body")
    except Problem as problem:
        return problem.code.text


async def read_in_part(booth: TestBooth) -> None:
    """The record of the first call: an answer read in part, and charged so."""
    sink = MemorySink()
    sink.on_write = lambda _: sink.body.count(b'"content"') >= 2 and sink.listener.gone()
    await booth.ask(chat(stream=True), sink=sink)
    record = await booth.record(1)
    assert (record.request_id, record.cost_nano > 0) == (REQUEST, True)


def test_a_call_without_a_key_is_nobodys_business(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            op = booth.new_op()
            assert await booth.rooms.replays.claimed(
                op, CallHead("POST", PATH, {}, {}, {}), b""
            ) is (FREELY)

    in_loop(scenario)


def test_a_dead_runs_claim_without_a_record_is_free_after_the_restart(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            await left_behind(booth)
            assert isinstance(await asked(booth, desk_of(booth, Run(epoch=2))), Once)

    in_loop(scenario)


def test_the_same_claim_is_not_free_while_that_run_lives(tmp_path: Path):
    """The run that asks is the one that has the call, and the ledger lags behind it."""

    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            await left_behind(booth)
            run = Run(epoch=1, told=False)
            assert await asked(booth, desk_of(booth, run)) == "idempotency_key_in_use"
            assert run.flushes == 1
            run.told = True
            assert isinstance(await asked(booth, desk_of(booth, run)), Once)

    in_loop(scenario)


def test_while_a_call_runs_here_nobody_asks_the_ledger_for_it(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            run = Run(epoch=1)
            desk = desk_of(booth, run)
            running = await asked(booth, desk)
            assert isinstance(running, Once)
            for _ in range(3):
                assert await asked(booth, desk) == "idempotency_key_in_use"
            assert run.flushes == 0
            running.close()
            assert isinstance(await asked(booth, desk), Once)
            assert run.flushes == 1

    in_loop(scenario)


def test_a_call_that_ends_while_it_is_looked_up_is_repeated_all_the_same(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            ask = await left_behind(booth)
            answer = replays.StoredAnswer(200, (), (b"the answer",))
            sealed = replays.sealed_answer(answer, ask, SEALING_KEY, booth.noise)

            class Ending(Run):
                async def flushed(self) -> bool:
                    over = replays.Over("completed", whole=True, sealed=sealed)
                    await booth.store.write(lambda tx: replays.finish(booth.op, tx, ask, over))
                    return await super().flushed()

            found = await asked(booth, desk_of(booth, Ending(epoch=1)))
            assert isinstance(found, Once)
            sink = MemorySink()
            assert await found.replay(sink)
            assert (sink.body, sink.headers) == (b"the answer", {REPLAYED: "req_gone"})

    in_loop(scenario)


def test_a_claim_of_another_living_process_is_never_free_without_a_record(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            await left_behind(booth, replica_id="other")
            desk = desk_of(booth, Run(epoch=9))
            for _ in range(2):
                assert await asked(booth, desk) == "idempotency_key_in_use"
                booth.clock.us += 10 * GRACE_US
            assert await desk.sweep(booth.op) == 0
            assert claims(tmp_path) == [("k", "running", None, None)]

    in_loop(scenario)


@pytest.mark.parametrize(("epoch", "freed"), [(1, True), (2, True), (3, False)])
def test_a_forfeited_run_can_charge_nothing_more(tmp_path: Path, epoch: int, freed: bool):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:

            def cut_off(tx: Any) -> None:
                for _ in range(2):
                    leases.enroll(booth.op, tx, "other", "journal")
                leases.forfeit(booth.op, tx, "other", living=True)
                leases.enroll(booth.op, tx, "other", "journal")

            await booth.store.write(cut_off)
            await left_behind(booth, replica_id="other", epoch=epoch)
            got = await asked(booth, desk_of(booth, Run()))
            assert isinstance(got, Once) if freed else got == "idempotency_key_in_use"

    in_loop(scenario)


@pytest.mark.parametrize("forfeited", [True, False])
def test_a_call_that_a_lost_run_never_ended_keeps_no_key(tmp_path: Path, forfeited: bool):
    """It ran long enough to be shown in the ledger, where nobody will ever write its end."""

    async def scenario():
        async with open_test_booth(tmp_path, HANG) as booth:
            sink = MemorySink()
            call = asyncio.create_task(booth.ask(chat(stream=True), sink=sink))
            while not sink.body.count(b'"content"'):
                await asyncio.sleep(0)
            assert (await booth.record(1)).running

            def lose(tx: Any) -> None:
                leases.enroll(booth.op, tx, "other", "journal")
                if forfeited:
                    leases.forfeit(booth.op, tx, "other", living=True)

            await booth.store.write(lose)
            await left_behind(booth, replica_id="other", request_id=REQUEST)
            got = await asked(booth, desk_of(booth, Run()))
            assert isinstance(got, Once) if forfeited else got == "idempotency_key_in_use"
            sink.listener.gone()
            await call

    in_loop(scenario)


@pytest.mark.parametrize("ago_us", [0, GRACE_US - 1, GRACE_US])
def test_a_process_elsewhere_gets_time_to_store_its_answer(tmp_path: Path, ago_us: int):
    async def scenario():
        async with open_test_booth(tmp_path, HANG) as booth:
            await read_in_part(booth)
            await left_behind(booth, replica_id="other", request_id=REQUEST)
            booth.clock.us += ago_us
            got = await asked(booth, desk_of(booth, Run()))
            waits = ago_us < GRACE_US
            expected = "idempotency_key_in_use" if waits else "idempotency_replay_unavailable"
            assert got == expected

    in_loop(scenario)


def test_a_charged_call_of_a_dead_run_stays_charged_once(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, HANG) as booth:
            await read_in_part(booth)
            await left_behind(booth, request_id=REQUEST)
            desk = desk_of(booth, Run(epoch=2))
            assert await desk.sweep(booth.op) == 1
            assert claims(tmp_path) == [("k", "failed", "client_gone", "not_whole")]
            assert await asked(booth, desk) == "idempotency_replay_unavailable"

    in_loop(scenario)


def test_a_whole_answer_of_a_dead_run_is_told_of_by_its_outcome(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            await booth.ask(chat())
            await booth.record(1)
            await left_behind(booth, request_id=REQUEST)
            await desk_of(booth, Run(epoch=2)).sweep(booth.op)
            assert claims(tmp_path) == [("k", "done", "completed", "not_stored")]

    in_loop(scenario)


def test_a_free_failure_of_a_dead_run_frees_its_key(tmp_path: Path):
    async def scenario():
        broken = ScriptOptions(fault=Fault.FAIL)
        async with open_test_booth(tmp_path, broken) as booth:
            await booth.ask(chat())
            await booth.record(1)
            await left_behind(booth, request_id=REQUEST)
            assert await desk_of(booth, Run(epoch=2)).sweep(booth.op) == 1
            assert claims(tmp_path) == []

    in_loop(scenario)


def test_a_sweep_resolves_every_claim_of_earlier_runs_in_steps(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            for n in range(BATCH + 3):
                await left_behind(booth, f"k{n:04d}", request_id=f"req_x{n}")
            await left_behind(booth, "elsewhere", replica_id="other", request_id="req_y")
            desk = desk_of(booth, Run(epoch=2))
            assert await desk.sweep(booth.op) == BATCH + 3
            assert [row[0] for row in claims(tmp_path)] == ["elsewhere"]
            assert await desk.sweep(booth.op) == 0

    in_loop(scenario)


def test_a_sweep_waits_for_the_ledger_and_comes_again(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            await left_behind(booth)
            run = Run(epoch=1, told=False)
            desk = desk_of(booth, run)
            assert await desk.sweep(booth.op) == 0
            assert len(claims(tmp_path)) == 1
            run.told = True
            assert await desk.sweep(booth.op) == 1
            assert claims(tmp_path) == []

    in_loop(scenario)


def test_a_sweep_leaves_running_calls_alone(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            run = Run(epoch=1)
            desk = desk_of(booth, run)
            running = await asked(booth, desk)
            assert isinstance(running, Once)
            assert await desk.sweep(booth.op) == 0
            assert run.flushes == 0
            assert claims(tmp_path) == [("k", "running", None, None)]
            running.close()
            assert await desk.sweep(booth.op) == 1
            assert claims(tmp_path) == []

    in_loop(scenario)


def test_the_booths_own_round_resolves_what_its_calls_left(tmp_path: Path):
    """What the upkeep does: a key that could not be freed is free, also for other processes."""

    async def scenario():
        broken = ScriptOptions(fault=Fault.FAIL)
        async with open_test_booth(tmp_path, broken) as booth:
            flaky(booth).fails = ["works", "before"]
            assert error(await keyed(booth, chat())) == (502, "engine_failed")
            assert len(claims(tmp_path)) == 1
            assert await booth.rooms.replays.sweep(booth.op) == 1
            assert claims(tmp_path) == []

    in_loop(scenario)


def test_what_has_expired_is_deleted_in_rounds_of_bounded_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tokenbooth.gateway.replay.TIDY_STEPS_MAX", 2)

    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            desk = desk_of(booth, Run())

            def many(tx: Any) -> None:
                (project,) = orgs.projects(booth.op, tx, booth.org_id)
                plain = ClaimAsk(
                    org_id=booth.org_id,
                    project_id=project.id,
                    key="",
                    body_sha256=b"b" * 32,
                    request_id="req_z",
                    replica_id="main",
                    epoch=1,
                    keep_us=0,
                )
                for n in range(2 * BATCH + 1):
                    ask = replace(plain, key=f"k{n}")
                    replays.claim(booth.op, tx, ask)
                    over = replays.Over("completed", whole=True, lacks=replays.Lack.TOO_LARGE)
                    replays.finish(booth.op, tx, ask, over)

            await booth.store.write(many)
            assert [await desk.tidy(booth.op) for _ in range(3)] == [2 * BATCH, 1, 0]

    in_loop(scenario)
