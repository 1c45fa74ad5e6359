"""What becomes of a key when its call ends otherwise: freed for free failures, kept for charges."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.support.booth import MemorySink, chat, open_test_booth
from tests.support.keyed import (
    Counted,
    Pieces,
    check_left_over,
    claims,
    error,
    flaky,
    in_loop,
    keyed,
)
from tokenbooth.access.keys import service as access_keys
from tokenbooth.control import accounts
from tokenbooth.core.caller import CallLimits
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome
from tokenbooth.engines.scripted.engine import ScriptedEngine
from tokenbooth.engines.scripted.values import Fault, ScriptOptions
from tokenbooth.gateway.replay import REPLAYED
from tokenbooth.safety.screening.service import Policy

HANG = ScriptOptions(fault=Fault.HANG, fault_after_chunks=3)
BODY = chat(stream=True)


class Recovering(ScriptedEngine):
    """An engine that plays one script first, and works from then on."""

    def __init__(self, first: ScriptOptions) -> None:
        super().__init__()
        self._first = ScriptedEngine(first)
        self.runs = 0

    async def open(self) -> None:
        await self._first.open()
        await super().open()

    async def close(self) -> None:
        await self._first.close()
        await super().close()

    def start(self, turn: Any, sink: Any) -> Any:
        self.runs += 1
        return self._first.start(turn, sink) if self.runs == 1 else super().start(turn, sink)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("after_chunks", [0, 2])
def test_a_failure_that_cost_nothing_frees_the_key(tmp_path: Path, stream: bool, after_chunks: int):
    async def scenario():
        engine = Recovering(ScriptOptions(fault=Fault.FAIL, fault_after_chunks=after_chunks))
        async with open_test_booth(tmp_path, engines={"0": engine}) as booth:
            failed = await keyed(booth, chat(stream=stream))
            assert b"engine_failed" in failed.body
            assert claims(tmp_path) == []
            good = await keyed(booth, chat(stream=stream))
            assert good.status == 200
            assert REPLAYED not in good.headers
            assert (await keyed(booth, chat(stream=stream))).body == good.body
            assert engine.runs == 2
            assert await booth.spent_nano() == (await booth.record(2)).cost_nano > 0
            check_left_over(booth)

    in_loop(scenario)


def test_the_key_is_free_before_the_refusal_is_heard(tmp_path: Path):
    async def scenario():
        broken = ScriptOptions(fault=Fault.FAIL)
        async with open_test_booth(tmp_path, broken) as booth:
            sink, seen = Pieces(), []
            sink.on_write = lambda _: seen.append(claims(tmp_path))
            await keyed(booth, chat(), sink=sink)
            assert seen == [[]]

    in_loop(scenario)


async def no_model(booth) -> tuple[dict, str]:
    return chat() | {"model": "none"}, "model_not_found"


async def blocked(booth) -> tuple[dict, str]:
    return chat("forbidden words"), "content_policy_violation"


async def too_long(booth) -> tuple[dict, str]:
    return chat(max_tokens=10**8), "invalid_value"


async def over_the_rate(booth) -> tuple[dict, str]:
    await booth.ask(chat())
    return chat(), "rate_limit_exceeded"


@pytest.mark.parametrize("prepare", [no_model, blocked, too_long, over_the_rate])
def test_a_refusal_before_any_money_frees_the_key(tmp_path: Path, prepare):
    limits = CallLimits(requests_per_minute=1)

    async def scenario():
        async with open_test_booth(
            tmp_path, policy=Policy(("forbidden words",)), key={"limits": limits}
        ) as booth:
            body, code = await prepare(booth)
            for _ in range(2):
                assert error(await keyed(booth, body))[1] == code
                assert claims(tmp_path) == []
            booth.clock.us += 61_000_000
            assert (await keyed(booth, chat())).status == 200
            check_left_over(booth)

    in_loop(scenario)


def test_a_body_that_cannot_be_read_claims_nothing(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            assert error(await keyed(booth, b"{"))[1] == "malformed_json"
            assert claims(tmp_path) == []

    in_loop(scenario)


def test_without_money_the_key_waits_for_credit(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, credit_nano=0) as booth:
            assert error(await keyed(booth, chat())) == (429, "insufficient_quota")
            await booth.store.write(
                lambda tx: accounts.add_credit(booth.op, tx, "acme", 10**9, "more")
            )
            assert (await keyed(booth, chat())).status == 200
            assert await booth.spent_nano() > 0

    in_loop(scenario)


async def left_after(booth, events: int, body: dict) -> MemorySink:
    """A keyed call whose reader hangs up when it has read that many content events."""
    sink = Pieces()

    def leave(chunk: bytes) -> None:
        if sink.body.count(b'"content"') >= events:
            sink.listener.gone()

    sink.on_write = leave
    return await keyed(booth, body, sink=sink)


def unavailable(sink: MemorySink) -> tuple[str, str, str]:
    assert error(sink) == (409, "idempotency_replay_unavailable")
    told = sink.document["error"]
    return told["original_request_id"], told["outcome"], told["reason"]


def test_a_part_that_was_charged_is_never_charged_again(tmp_path: Path):
    async def scenario():
        engine = Counted(HANG)
        async with open_test_booth(tmp_path, engines={"0": engine}) as booth:
            await left_after(booth, 2, BODY)
            record = await booth.record(1)
            assert record.outcome is Outcome.CLIENT_GONE
            assert record.cost_nano > 0
            for _ in range(3):
                told = unavailable(await keyed(booth, BODY))
                assert told == (f"req_{1:032x}", "client_gone", "not_whole")
            assert error(await keyed(booth, chat()))[1] == "idempotency_key_reused"
            assert engine.runs == 1
            assert await booth.spent_nano() == record.cost_nano
            check_left_over(booth)

    in_loop(scenario)


def test_a_whole_answer_that_nobody_waited_for_may_be_asked_again(tmp_path: Path):
    """A connection that breaks while the caller waits costs nothing, and the retry runs."""

    async def scenario():
        engine = Recovering(HANG)
        async with open_test_booth(tmp_path, engines={"0": engine}) as booth:
            sink = Pieces()
            running = asyncio.create_task(keyed(booth, chat(), sink=sink))
            while sink.listener is None or sink.listener.first_output_us is None:
                await asyncio.sleep(0)
            sink.listener.gone()
            await running
            assert (await booth.record(1)).cost_nano == 0
            again = await keyed(booth, chat())
            assert again.status == 200
            assert REPLAYED not in again.headers
            assert engine.runs == 2

    in_loop(scenario)


def test_a_revoked_key_leaves_the_claim_of_what_it_paid_for(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, HANG) as booth:
            sink = Pieces()
            running = asyncio.create_task(keyed(booth, BODY, sink=sink))
            while sink.body.count(b'"content"') < 2:
                await asyncio.sleep(0)
            await booth.store.write(lambda tx: access_keys.revoke(booth.op, tx, booth.key_id))
            booth.rooms.live.stop_keys({booth.key_id}, Problem(Code.REVOKED_KEY, "revoked"))
            await running
            assert claims(tmp_path) == [("k", "failed", "key_revoked", "not_whole")]
            check_left_over(booth)

    in_loop(scenario)


@pytest.mark.parametrize("way", ["before", "after", "hangs"])
def test_an_answer_that_cannot_be_stored_goes_out_all_the_same(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tokenbooth.gateway.replay.STORE_WAIT_MAX_S", 0.2)

    async def scenario():
        engine = Counted()
        async with open_test_booth(tmp_path, engines={"0": engine}) as booth:
            store = flaky(booth)
            store.fails = ["works", way]
            first = await keyed(booth, BODY)
            assert first.events[-1] == "[DONE]"
            again = await keyed(booth, BODY)
            if way == "after":
                assert again.body == first.body
            else:
                told = (f"req_{1:032x}", "completed", "not_stored")
                assert unavailable(again) == told
                assert unavailable(await keyed(booth, BODY)) == told
            assert engine.runs == 1
            assert await booth.spent_nano() == (await booth.record(1)).cost_nano
            assert booth.op.log.faults[0][0] == "claim_not_resolved"  # type: ignore[attr-defined]
            check_left_over(booth)

    in_loop(scenario)


@pytest.mark.parametrize("way", ["before", "after"])
def test_a_key_that_could_not_be_freed_is_free_for_the_next_call(tmp_path: Path, way: str):
    async def scenario():
        engine = Recovering(ScriptOptions(fault=Fault.FAIL))
        async with open_test_booth(tmp_path, engines={"0": engine}) as booth:
            store = flaky(booth)
            store.fails = ["works", way]
            assert error(await keyed(booth, chat())) == (502, "engine_failed")
            assert (await keyed(booth, chat())).status == 200
            assert engine.runs == 2

    in_loop(scenario)


def test_a_refusal_that_could_not_free_its_key_blocks_nobody(tmp_path: Path):
    """No record exists of such a call, and none ever will."""

    async def scenario():
        async with open_test_booth(tmp_path, policy=Policy(("forbidden words",))) as booth:
            store = flaky(booth)
            store.fails = ["works", "before"]
            assert error(await keyed(booth, chat("forbidden words")))[0] == 400
            assert claims(tmp_path) == [("k", "running", None, None)]
            again = await keyed(booth, chat("forbidden words"))
            assert error(again) == (400, "content_policy_violation")
            assert claims(tmp_path) == []

    in_loop(scenario)


@pytest.mark.parametrize(("way", "rows"), [("before", 0), ("after", 1)])
def test_without_the_ledger_nothing_runs_under_a_key(tmp_path: Path, way: str, rows: int):
    async def scenario():
        engine = Counted()
        async with open_test_booth(tmp_path, engines={"0": engine}) as booth:
            store = flaky(booth)
            store.fails = [way]
            assert error(await keyed(booth, chat())) == (503, "billing_unavailable")
            assert engine.runs == 0
            assert len(claims(tmp_path)) == rows
            check_left_over(booth)
            assert (await keyed(booth, chat())).status == 200
            assert engine.runs == 1

    in_loop(scenario)


class Rude(Counted):
    """An engine that breaks its own contract."""

    def start(self, turn: Any, sink: Any) -> Any:
        self.runs += 1
        raise RuntimeError("a bug in an engine")


def test_a_bug_leaves_a_key_that_the_record_of_its_call_resolves(tmp_path: Path):
    async def scenario():
        engine = Rude()
        async with open_test_booth(tmp_path, engines={"0": engine}) as booth:
            for runs in (1, 2):
                with pytest.raises(RuntimeError):
                    await keyed(booth, chat())
                assert engine.runs == runs
            assert (await booth.record(2)).cost_nano == 0
            check_left_over(booth)

    in_loop(scenario)


def test_a_call_whose_settlement_is_not_known_is_left_to_its_record(tmp_path: Path):
    async def scenario():
        engine = Counted()
        async with open_test_booth(tmp_path, engines={"0": engine}) as booth:
            settle = booth.rooms.till.settle

            async def lost(op, ending):
                await settle(op, ending)
                raise Problem(Code.LEDGER_UNAVAILABLE, "lost", retry_after_s=5)

            booth.rooms.till.settle = lost  # type: ignore[method-assign]
            broken = await keyed(booth, BODY)
            assert broken.events[-1]["error"]["code"] == "billing_unavailable"
            assert claims(tmp_path) == [("k", "running", None, None)]
            told = unavailable(await keyed(booth, BODY))
            assert told == (f"req_{1:032x}", "completed", "not_stored")
            assert engine.runs == 1
            assert await booth.spent_nano() == (await booth.record(1)).cost_nano > 0

    in_loop(scenario)


def test_while_the_ledger_is_behind_nobody_takes_an_unknown_call_for_free(tmp_path: Path):
    async def scenario():
        engine = Counted()
        async with open_test_booth(tmp_path, engines={"0": engine}) as booth:
            store = flaky(booth)
            store.fails = ["works", "before"]

            async def behind() -> bool:
                return False

            flushed, booth.rooms.till.flushed = booth.rooms.till.flushed, behind  # type: ignore[method-assign]
            tell = booth.rooms.till._teller.tell
            booth.rooms.till._teller.tell = lambda call: told.append(call)  # type: ignore[method-assign]
            told: list[Any] = []
            assert (await keyed(booth, BODY)).status == 200
            for _ in range(2):
                assert error(await keyed(booth, BODY)) == (409, "idempotency_key_in_use")
            booth.rooms.till.flushed = flushed  # type: ignore[method-assign]
            booth.rooms.till._teller.tell = tell  # type: ignore[method-assign]
            tell(told[0])
            assert unavailable(await keyed(booth, BODY))[1] == "completed"
            assert engine.runs == 1

    in_loop(scenario)
