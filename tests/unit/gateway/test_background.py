"""Background calls: the same ten steps, charged once, ended once, whether or not anybody reads."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.support.background import (
    assert_nothing_left,
    begun_of,
    flaky_background,
    is_running,
    key_of,
    other_desk,
    over,
    running,
    told,
)
from tests.support.booth import MemorySink, open_test_booth
from tests.support.keyed import in_loop
from tests.support.responses import checked_body, events
from tests.unit.gateway.test_stored_responses import ask, body_of, caller, read, rows
from tokenbooth.control import accounts
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome
from tokenbooth.engines.scripted.values import Fault, ScriptOptions
from tokenbooth.gateway import background, event_log, following
from tokenbooth.gateway.options import ResponseOptions
from tokenbooth.gateway.replay import REPLAYED
from tokenbooth.money.leases import service as leases

HANG = ScriptOptions(fault=Fault.HANG, fault_after_chunks=6)
LATE = ScriptOptions(fault=Fault.FAIL, fault_after_chunks=3)
BROKEN = ScriptOptions(fault=Fault.FAIL)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for its period."""
    monkeypatch.setattr(background, "FLUSH_EVERY_S", 0.001)
    monkeypatch.setattr(background, "FINISH_PAUSE_S", 0)
    monkeypatch.setattr(following, "POLL_S", 0.001)


def test_it_is_answered_before_a_word_is_said_and_runs_to_its_end(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, HANG) as booth:
            sink = MemorySink()
            async with running(booth, sink=sink) as (key, log):
                begun = await begun_of(sink)
                checked_body(begun)
                assert (begun["id"], begun["status"], begun["output"]) == (key[1], "queued", [])
                assert (await read(booth, key[1]))["status"] == "in_progress"
                log.cut()
            assert sink.ends == 1
            assert (await over(booth, key))["status"] == "cancelled"

    in_loop(scenario)


@pytest.mark.parametrize("stream", [False, True])
def test_it_costs_what_a_call_costs_that_is_waited_for(tmp_path: Path, stream: bool):
    async def scenario():
        async with open_test_booth(tmp_path, ScriptOptions(reasoning_tokens=3)) as booth:
            plain = body_of(await ask(booth))
            sink = await ask(booth, background=True, stream=stream)
            body = await over(booth, await key_of(booth))
            assert body["usage"]["cost"] == plain["usage"]["cost"]
            assert await booth.spent_nano() == 2 * plain["usage"]["cost"]["amount_nano"]
            assert (await booth.record()).outcome is Outcome.COMPLETED
            if stream:
                assert events(sink.body)[-1]["response"] == body
            assert (await booth.verified()).open_holds == 0
            assert_nothing_left(booth)

    in_loop(scenario)


def test_a_listener_who_leaves_changes_nothing(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            sink = MemorySink()
            sink.on_write = lambda _: (sink.listener.gone(), sink.listener.pressure(high=True))
            await ask(booth, sink, background=True, stream=True)
            assert (await over(booth, await key_of(booth)))["status"] == "completed"

    in_loop(scenario)


@pytest.mark.parametrize("after", [0, 1, 3, 6])
def test_who_comes_later_reads_the_same_from_any_event_on(tmp_path: Path, after: int):
    async def scenario():
        async with open_test_booth(tmp_path, HANG) as booth:
            async with running(booth, 8) as (key, log):
                live = asyncio.create_task(told(booth, key, after))
                await asyncio.sleep(0)
                log.cut()
            late = await told(booth, key, after)
            assert await live == late
            assert late[0]["sequence_number"] == after

    in_loop(scenario)


def test_a_cancelled_call_is_charged_for_what_can_be_read(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, HANG) as booth:
            async with running(booth, 10) as (key, log):
                log.cut()
                log.cut()
            body = await over(booth, key)
            record = await booth.record()
            assert record.outcome is Outcome.CLIENT_GONE
            assert body["usage"]["cost"]["amount_nano"] == record.cost_nano > 0
            assert len(body["output"][0]["content"][0]["text"].split()) == 6
            assert body["usage"]["output_tokens"] == 6

    in_loop(scenario)


def test_a_wish_to_cancel_is_heard_from_another_process(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, HANG) as booth:
            desk = booth.rooms.background
            assert await desk.stop_cancelled(booth.op) == 0
            async with running(booth, 4) as (key, _):
                assert await desk.stop_cancelled(booth.op) == 0
                row = await booth.rooms.responses.row(booth.op, await caller(booth), key[1])
                await other_desk(booth).cancel(booth.op, row)
                assert await desk.stop_cancelled(booth.op) == 1
            assert (await over(booth, key))["status"] == "cancelled"

    in_loop(scenario)


def test_a_server_that_stops_says_so_in_the_response(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, HANG) as booth:
            async with running(booth, 4) as (key, _):
                booth.rooms.live.stop_all(Problem(Code.SHUTTING_DOWN, "stopping"))
            body = await over(booth, key)
            assert (body["status"], body["error"]["message"]) == ("failed", "stopping")
            assert (await booth.record()).outcome is Outcome.INTERRUPTED

    in_loop(scenario)


@pytest.mark.parametrize("script", [BROKEN, LATE])
@pytest.mark.parametrize("stream", [False, True])
def test_a_failure_costs_nothing_and_stands_in_the_response(tmp_path: Path, script, stream: bool):
    async def scenario():
        async with open_test_booth(tmp_path, script) as booth:
            sink = await ask(booth, background=True, stream=stream)
            assert sink.status == (502 if stream and script is BROKEN else 200)
            body = await over(booth, await key_of(booth))
            assert (body["status"], body["error"]["tokenbooth_code"]) == ("failed", "engine_failed")
            assert await booth.spent_nano() == 0
            assert_nothing_left(booth)

    in_loop(scenario)


@pytest.mark.parametrize("stream", [False, True])
def test_a_charge_that_cannot_be_written_fails_the_response(
    tmp_path: Path, stream: bool, monkeypatch: pytest.MonkeyPatch
):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            till: Any = booth.rooms.till

            async def broken(op: Any, ending: Any) -> Any:
                raise Problem(Code.LEDGER_UNAVAILABLE, "no disk")

            monkeypatch.setattr(till, "settle", broken)
            await ask(booth, background=True, stream=stream)
            body = await read(booth, (await key_of(booth))[1])
            assert (body["status"], body["error"]["message"]) == ("failed", "no disk")
            assert_nothing_left(booth)

    in_loop(scenario)


def test_without_money_there_is_no_response(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, credit_nano=0) as booth:
            assert (await ask(booth, background=True)).status == 429
            assert rows(tmp_path) == 0
            assert_nothing_left(booth)

    in_loop(scenario)


@pytest.mark.parametrize("way", ["works", "before"])
def test_money_that_is_gone_at_the_last_moment_leaves_no_response(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
):
    """What cannot be taken back at once is taken back by a sweep, as a failed response."""

    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            till: Any = booth.rooms.till
            store = flaky_background(booth)

            async def refused(op: Any, ask: Any) -> Any:
                store.fails = [way]
                raise Problem(Code.BALANCE_EXHAUSTED, "no more")

            monkeypatch.setattr(till, "hold", refused)
            assert (await ask(booth, background=True)).status == 429
            assert rows(tmp_path) == (way == "before")
            assert await booth.rooms.background.sweep(booth.op) == (way == "before")
            if way == "before":
                body = await over(booth, await key_of(booth))
                assert (body["status"], body["usage"]) == ("failed", None)

    in_loop(scenario)


@pytest.mark.parametrize(
    ("options", "status", "code", "param"),
    [
        ({"background_calls_max": 0}, 429, "rate_limit_exceeded", "background"),
        ({"response_bytes_max": 100}, 413, "payload_too_large", "input"),
    ],
)
def test_bounds_refuse_before_anything_is_held(tmp_path: Path, options, status, code, param):
    async def scenario():
        async with open_test_booth(tmp_path, response_options=ResponseOptions(**options)) as booth:
            sink = await ask(booth, background=True)
            error = sink.document["error"]
            assert (sink.status, error["code"], error["param"]) == (status, code, param)
            assert rows(tmp_path) == 0

    in_loop(scenario)


def test_a_project_that_keeps_no_answers_has_no_background(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            project = (await caller(booth)).project_id
            await booth.store.write(
                lambda tx: accounts.keep_answers(booth.op, tx, "acme", project, kept=False)
            )
            sink = await ask(booth, background=True)
            assert (sink.status, sink.document["error"]["param"]) == (400, "background")

    in_loop(scenario)


def test_a_database_that_is_away_refuses_before_anything_is_held(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            flaky_background(booth).fails = ["before"]
            assert (await ask(booth, background=True)).status == 503
            assert (await booth.verified()).open_holds == 0

    in_loop(scenario)


@pytest.mark.parametrize("bound", ["process", "response"])
def test_more_than_is_kept_ends_the_call_and_is_charged_as_delivered(
    tmp_path: Path, bound: str, monkeypatch: pytest.MonkeyPatch
):
    options = ResponseOptions(background_bytes_max=8000 if bound == "process" else 10**6)
    if bound == "response":
        monkeypatch.setattr(event_log, "EVENTS_BYTES_MAX", 8000)

    async def scenario():
        async with open_test_booth(
            tmp_path, ScriptOptions(chunks=500), response_options=options
        ) as booth:
            sink = await ask(booth, background=True, stream=True)
            body = await over(booth, await key_of(booth))
            assert events(sink.body)[-1]["response"] == body
            assert body["status"] == "incomplete"
            assert body["incomplete_details"] == {"reason": "max_output_tokens"}
            assert 0 < body["usage"]["output_tokens"] < 500
            assert body["usage"]["cost"]["amount_nano"] == (await booth.record()).cost_nano
            assert_nothing_left(booth)

    in_loop(scenario)


@pytest.mark.parametrize("fails", [["before"], ["after", "before", "after"]])
def test_a_database_that_is_away_at_the_end_is_waited_for(tmp_path: Path, fails: list[str]):
    async def scenario():
        async with open_test_booth(tmp_path, HANG) as booth:
            store = flaky_background(booth)
            async with running(booth, 6) as (key, log):
                store.fails = list(fails)
                log.cut()
            assert (await over(booth, key))["status"] == "cancelled"

    in_loop(scenario)


def test_an_end_that_could_not_be_stored_is_made_up_for(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, HANG) as booth:
            store = flaky_background(booth)
            async with running(booth, 6) as (key, log):
                while not (await booth.rooms.background.said(booth.op, key, 5))[0]:
                    await asyncio.sleep(0)
                store.fails = ["before"] * (background.FINISH_TRIES + 5)
                log.cut()
            assert await is_running(booth, key)
            assert "response_not_stored" in [name for name, *_ in booth.op.log.faults]  # type: ignore[attr-defined]
            store.fails = []
            assert await booth.rooms.background.sweep(booth.op) == 1
            assert await booth.rooms.background.sweep(booth.op) == 0
            body = await over(booth, key)
            assert body["status"] == "failed"
            assert body["usage"]["output_tokens"] == (await booth.record()).usage.output_tokens  # type: ignore[union-attr]
            assert body["output"][0]["content"][0]["text"]

    in_loop(scenario)


def test_a_sweep_leaves_those_that_run_alone(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, HANG) as booth, running(booth, 4) as (key, log):
            assert await booth.rooms.background.sweep(booth.op) == 0
            assert await is_running(booth, key)
            log.cut()

    in_loop(scenario)


def test_what_was_sealed_under_another_key_is_taken_away(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, HANG) as booth:
            async with running(booth, 4) as (_, log):
                other: Any = other_desk(booth)
                other._key = b"x" * 32
                assert await other.sweep(booth.op) == 1
                assert rows(tmp_path) == 0
                log.cut()
            assert rows(tmp_path) == 0

    in_loop(scenario)


def test_a_call_that_is_made_once_is_followed_by_the_same_id(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            first = await ask(booth, key="k", background=True)
            again = await ask(booth, key="k", background=True)
            assert again.headers[REPLAYED] == f"req_{1:032x}"
            assert again.document == first.document
            assert rows(tmp_path) == 1
            assert await booth.spent_nano() == (await booth.record(1)).cost_nano

    in_loop(scenario)


def test_a_response_too_large_to_keep_loses_its_output_and_not_its_end(tmp_path: Path):
    options = ResponseOptions(response_bytes_max=5000)

    async def scenario():
        async with open_test_booth(
            tmp_path, ScriptOptions(chunks=900), response_options=options
        ) as booth:
            await ask(booth, background=True)
            body = await read(booth, (await key_of(booth))[1])
            assert (body["status"], body["output"]) == ("completed", [])

    in_loop(scenario)


def test_who_follows_hears_that_the_stream_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def scenario():
        async with open_test_booth(tmp_path, HANG, heartbeat_s=0) as booth:
            async with running(booth, 4) as (key, log):
                follower = following.follow(booth.rooms, booth.op, key, 10**6)
                assert await anext(follower) == b": keep-alive\n\n"
                log.cut()
            elsewhere = following._stored(booth.rooms, booth.op, key, 10**6)
            assert [piece async for piece in elsewhere] == []

    in_loop(scenario)


def test_one_that_runs_elsewhere_is_followed_for_as_long_as_a_call_may_run(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, HANG) as booth:
            async with running(booth, 4) as (key, log):
                elsewhere = following._stored(booth.rooms, booth.op, key, 0)
                first = await anext(elsewhere)
                assert first.startswith((b"event: response.created", b":"))
                log.cut()
                rest = b"".join([piece async for piece in elsewhere])
                assert b'"status":"cancelled"' in rest
            async with running(booth, 4) as (key, log):
                brief = replace(booth.rooms, options=replace(booth.rooms.options, run_max_s=0))
                short = following._stored(brief, booth.op, key, 10**6)
                with pytest.raises(Problem) as refused:
                    _ = [piece async for piece in short]
                assert refused.value.code is Code.RUN_TIMEOUT
                log.cut()

    in_loop(scenario)


@pytest.mark.parametrize("forfeited", [True, False])
def test_one_of_a_lost_process_ends_when_its_leases_are_forfeited(tmp_path: Path, forfeited: bool):
    async def scenario():
        async with open_test_booth(tmp_path, HANG) as booth, running(booth, 4) as (key, log):

            def lose(tx: Any) -> None:
                leases.enroll(booth.op, tx, "other", "ab" * 16)
                tx.execute(text("UPDATE stored_response SET replica_id = 'other', epoch = 1"))
                if forfeited:
                    leases.forfeit(booth.op, tx, "other", living=True)

            await booth.store.write(lose)
            assert await booth.rooms.background.sweep(booth.op) == 0
            desk = other_desk(booth)
            assert await desk.sweep(booth.op) == forfeited
            assert await is_running(booth, key) is not forfeited
            log.cut()

    in_loop(scenario)


def test_a_crash_would_be_charged_for_what_is_stored_and_not_for_what_was_only_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async def scenario():
        async with open_test_booth(tmp_path, HANG, progress_tokens=1, progress_every_ms=0) as booth:
            noted: list[int] = []
            calls = booth.rooms.till.running
            progress = calls.progress

            def note(request_id: str, usage: Any, first_output_us: int | None) -> None:
                noted.append(usage.output_tokens)
                progress(request_id, usage, first_output_us)

            monkeypatch.setattr(calls, "progress", note)
            store = flaky_background(booth)
            store.fails = ["works", *["before"] * 10**6]
            async with running(booth, 9) as (key, log):
                for _ in range(20):
                    await asyncio.sleep(0)
                assert noted == []
                store.fails = []
                while not (await booth.rooms.background.said(booth.op, key, 8))[0]:
                    await asyncio.sleep(0)
                log.cut()
            assert all(tokens <= 6 for tokens in noted)
            assert (await booth.record()).usage.output_tokens == 6  # type: ignore[union-attr]

    in_loop(scenario)
