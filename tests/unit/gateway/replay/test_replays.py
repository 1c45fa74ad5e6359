"""A call with an idempotency key runs once, is charged once, and is answered again."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.booth import MemorySink, chat, open_test_booth
from tests.support.keyed import (
    Counted,
    Pieces,
    check_left_over,
    claims,
    error,
    in_loop,
    keyed,
)
from tokenbooth.access.orgs import service as orgs
from tokenbooth.catalog.models import service as catalog
from tokenbooth.content.replays import service as replays
from tokenbooth.control import keys
from tokenbooth.engines.scripted.values import Fault, ScriptOptions
from tokenbooth.gateway.options import ReplayOptions
from tokenbooth.gateway.replay import REPLAYED
from tokenbooth.proving.wire import EventFold

HANG = ScriptOptions(fault=Fault.HANG, fault_after_chunks=3)


@pytest.mark.parametrize("stream", [False, True])
def test_a_repeated_call_gets_the_same_answer_in_the_same_pieces_for_nothing(
    tmp_path: Path, stream: bool
):
    async def scenario():
        engine = Counted()
        async with open_test_booth(tmp_path, engines={"0": engine}) as booth:
            body = chat(stream=stream, temperature=0.5)
            first = await keyed(booth, body)
            spent_nano = await booth.spent_nano()
            booth.clock.us += 3_600_000_000
            again = await keyed(booth, body)
            assert (again.status, again.pieces) == (200, first.pieces)
            assert again.headers == first.headers | {REPLAYED: f"req_{1:032x}"}
            assert len(first.pieces) > 10 if stream else len(first.pieces) == 1
            assert (engine.runs, await booth.spent_nano()) == (1, spent_nano)
            assert spent_nano > 0
            check_left_over(booth)

    in_loop(scenario)


def test_the_replayed_stream_is_whole(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            body = chat(stream=True, stream_options={"include_usage": True})
            await keyed(booth, body)
            again = await keyed(booth, body)
            fold = EventFold()
            events = [event for piece in again.pieces for event in fold.feed(piece)]
            assert events[-1] == "[DONE]"
            record = await booth.record(1)
            assert again.events[-2]["usage"]["cost"]["amount_nano"] == record.cost_nano

    in_loop(scenario)


def test_a_call_without_the_key_leaves_nothing(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            sink = await booth.ask(chat())
            assert REPLAYED not in sink.headers
            assert claims(tmp_path) == []

    in_loop(scenario)


def test_a_replay_needs_no_money_no_model_and_no_engine(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, directory_fresh_ms=0) as booth:
            first = await keyed(booth, chat())
            await booth.store.write(lambda tx: catalog.remove_model(booth.op, tx, "demo"))
            again = await keyed(booth, chat())
            assert (again.status, again.body) == (200, first.body)
            assert (await keyed(booth, chat(), "new")).status == 404

    in_loop(scenario)


def test_while_it_runs_a_repetition_is_told_to_wait_and_then_gets_the_answer(tmp_path: Path):
    async def scenario():
        engine = Counted()
        async with open_test_booth(tmp_path, engines={"0": engine}) as booth:
            middle, go = asyncio.Event(), asyncio.Event()
            settle = booth.rooms.till.settle

            async def slow(op, ending):
                middle.set()
                await go.wait()
                return await settle(op, ending)

            booth.rooms.till.settle = slow  # type: ignore[method-assign]
            running = asyncio.create_task(keyed(booth, chat(stream=True)))
            await middle.wait()
            busy = await keyed(booth, chat(stream=True))
            assert error(busy) == (409, "idempotency_key_in_use")
            assert busy.headers["x-should-retry"] == "true"
            assert busy.headers["retry-after"] == "1"
            assert busy.document["error"]["original_request_id"] == f"req_{1:032x}"
            other = await keyed(booth, chat("something else"))
            assert error(other) == (422, "idempotency_key_reused")
            go.set()
            first = await running
            again = await keyed(booth, chat(stream=True))
            assert again.body == first.body
            assert engine.runs == 1
            check_left_over(booth)

    in_loop(scenario)


def test_another_body_is_refused_and_changes_nothing(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            first = await keyed(booth, chat())
            spent_nano = await booth.spent_nano()
            for other in (chat("hello there "), chat(stream=True), chat(max_tokens=5)):
                refused = await keyed(booth, other)
                assert error(refused) == (422, "idempotency_key_reused")
                assert "x-should-retry" not in refused.headers
            assert await booth.spent_nano() == spent_nano
            assert (await keyed(booth, chat())).body == first.body

    in_loop(scenario)


@pytest.mark.parametrize("stream", [False, True])
def test_fifty_at_once_run_once_and_are_charged_once(tmp_path: Path, stream: bool):
    async def scenario():
        engine = Counted()
        async with open_test_booth(tmp_path, engines={"0": engine}) as booth:
            body = chat(stream=stream)
            sinks = await asyncio.gather(*(keyed(booth, body) for _ in range(50)))
            statuses = [sink.status for sink in sinks]
            assert set(statuses) <= {200, 409}
            assert engine.runs == 1
            first = [s for s in sinks if s.status == 200 and REPLAYED not in s.headers]
            assert len(first) == 1
            assert all(s.body == first[0].body for s in sinks if s.status == 200)
            record = await booth.record(1)
            assert await booth.spent_nano() == record.cost_nano
            assert (await keyed(booth, body)).body == first[0].body
            assert (await booth.verified()).open_holds == 0
            check_left_over(booth)

    in_loop(scenario)


def test_fifty_keys_at_once_are_fifty_calls(tmp_path: Path):
    async def scenario():
        engine = Counted()
        async with open_test_booth(
            tmp_path, engines={"0": engine}, deployment={"concurrency_max": 64}
        ) as booth:
            sinks = await asyncio.gather(*(keyed(booth, chat(), f"k{n}") for n in range(50)))
            assert {sink.status for sink in sinks} == {200}
            assert engine.runs == 50
            check_left_over(booth)

    in_loop(scenario)


def test_the_end_of_an_answer_is_heard_only_after_it_is_stored(tmp_path: Path):
    """Else whoever asks again at once would find the call running."""

    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            seen: dict[bool, set[str]] = {False: set(), True: set()}
            sink = Pieces()

            def look(chunk: bytes) -> None:
                with closing(sqlite3.connect(tmp_path / "tokenbooth.db")) as connection:
                    ((state,),) = connection.execute("SELECT state FROM replay").fetchall()
                seen[b"[DONE]" in sink.body].add(state)

            sink.on_write = look
            await keyed(booth, chat(stream=True), sink=sink)
            assert seen == {False: {"running"}, True: {"done"}}

    in_loop(scenario)


def test_keys_belong_to_projects_and_no_tenant_meets_anothers_answer(tmp_path: Path):
    async def scenario():
        engine = Counted()
        async with open_test_booth(tmp_path, engines={"0": engine}) as booth:
            mint = keys.Mint(booth.ids, booth.noise, booth.pepper)

            def more(tx):
                org = orgs.org_by(booth.op, tx, "acme")
                orgs.create_project(booth.op, tx, org.id, "beside", booth.ids)
                sibling = keys.create_key(booth.op, tx, keys.NewKey(org="acme", name="s"), mint)
                beside = keys.NewKey(org="acme", name="b", project="beside")
                return sibling.secret, keys.create_key(booth.op, tx, beside, mint).secret

            sibling, beside = await booth.store.write(more)
            first = await keyed(booth, chat())
            same_project = await keyed(booth, chat(), secret=sibling)
            assert same_project.headers[REPLAYED] == f"req_{1:032x}"
            assert same_project.body == first.body
            other_project = await keyed(booth, chat(), secret=beside)
            assert REPLAYED not in other_project.headers
            another_body = await keyed(booth, chat("mine"), "own", secret=beside)
            assert another_body.status == 200
            assert (await keyed(booth, chat(), "own")).status == 200
            assert engine.runs == 4

    in_loop(scenario)


def test_a_key_of_the_project_that_may_not_use_the_model_gets_no_replay(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            mint = keys.Mint(booth.ids, booth.noise, booth.pepper)
            ask = keys.NewKey(org="acme", name="n", models=frozenset({"other"}))

            def more(tx):
                deployment = catalog.DeploymentAsk(engine=catalog.EngineKind.SCRIPTED)
                other = catalog.ModelAsk(name="other", deployments=(deployment,))
                catalog.add_model(booth.op, tx, other, booth.ids)
                return keys.create_key(booth.op, tx, ask, mint).secret

            narrow = await booth.store.write(more)
            await keyed(booth, chat())
            refused = await keyed(booth, chat(), secret=narrow)
            assert error(refused) == (403, "model_not_allowed")

    in_loop(scenario)


@pytest.mark.parametrize("key", ["", "a b", "a, b", "x" * 256, "ü"])
def test_an_impossible_key_is_refused_by_name(tmp_path: Path, key: str):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            refused = await keyed(booth, chat(), key)
            assert error(refused) == (400, "invalid_value")
            assert refused.document["error"]["param"] == "Idempotency-Key"
            assert claims(tmp_path) == []
            check_left_over(booth)

    in_loop(scenario)


def test_after_its_time_a_key_is_free_again(tmp_path: Path):
    async def scenario():
        engine = Counted()
        async with open_test_booth(
            tmp_path, engines={"0": engine}, replay_options=ReplayOptions(kept_s=60)
        ) as booth:
            await keyed(booth, chat())
            booth.clock.us += 59_999_999
            assert REPLAYED in (await keyed(booth, chat())).headers
            booth.clock.us += 1
            assert REPLAYED not in (await keyed(booth, chat("new"))).headers
            assert engine.runs == 2

    in_loop(scenario)


def unavailable(sink: MemorySink) -> tuple[str, str, str]:
    """The original id, outcome and reason of such a refusal, which nobody is told to retry."""
    assert error(sink) == (409, "idempotency_replay_unavailable")
    assert sink.headers["x-should-retry"] == "false"
    told = sink.document["error"]
    return told["original_request_id"], told["outcome"], told["reason"]


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_is_too_large_is_not_kept_but_its_charge_is_known(
    tmp_path: Path, stream: bool
):
    async def scenario():
        small = ReplayOptions(answer_bytes_max=200)
        async with open_test_booth(tmp_path, replay_options=small) as booth:
            first = await keyed(booth, chat(stream=stream))
            assert first.status == 200
            assert len(first.body) > 200
            spent_nano = await booth.spent_nano()
            told = unavailable(await keyed(booth, chat(stream=stream)))
            assert told == (f"req_{1:032x}", "completed", "too_large")
            assert await booth.spent_nano() == spent_nano
            check_left_over(booth)

    in_loop(scenario)


def test_without_room_for_all_answers_one_is_not_kept(tmp_path: Path):
    async def scenario():
        full = ReplayOptions(answers_bytes_max=10)
        async with open_test_booth(tmp_path, replay_options=full) as booth:
            assert (await keyed(booth, chat())).status == 200
            assert unavailable(await keyed(booth, chat()))[2] == "not_stored"
            check_left_over(booth, answers_bytes_max=10)

    in_loop(scenario)


def project_of(booth, tx):
    (project,) = orgs.projects(booth.op, tx, booth.org_id)
    return project.id


def test_a_project_that_keeps_no_answers_stores_the_outcome_alone(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:

            def stop(tx):
                replays.keep_answers(booth.op, tx, project_of(booth, tx), kept=False)

            await booth.store.write(stop)
            assert (await keyed(booth, chat())).status == 200
            assert unavailable(await keyed(booth, chat()))[1:] == ("completed", "not_kept")
            assert claims(tmp_path) == [("k", "done", "completed", "not_kept")]

    in_loop(scenario)


def test_what_is_stored_is_given_out_no_more_once_the_project_keeps_none(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            await keyed(booth, chat())

            def stop(tx):
                replays.keep_answers(booth.op, tx, project_of(booth, tx), kept=False)

            await booth.store.write(stop)
            assert unavailable(await keyed(booth, chat()))[2] == "not_kept"
            assert claims(tmp_path)[0][3] is None
            assert await booth.rooms.replays.tidy(booth.op) == 1
            assert claims(tmp_path)[0][3] == "not_kept"

    in_loop(scenario)


def test_nothing_of_an_answer_can_be_read_in_the_database(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            first = await keyed(booth, chat("the secret question"))
            text = first.document["choices"][0]["message"]["content"]
            with closing(sqlite3.connect(tmp_path / "tokenbooth.db")) as connection:
                rows = repr(connection.execute("SELECT * FROM replay").fetchall())
            assert text
            assert text not in rows
            assert "secret question" not in rows

    in_loop(scenario)


def test_an_answer_under_another_sealing_key_cannot_be_given_again(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            await keyed(booth, chat())
            booth.rooms.replays._key = b"t" * 32
            assert unavailable(await keyed(booth, chat()))[1:] == ("completed", "not_stored")

    in_loop(scenario)


def test_a_reader_that_leaves_in_a_replay_harms_nobody(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            body = chat(stream=True)
            first = await keyed(booth, body)
            sink = Pieces()
            sink.on_write = lambda _: sink.listener and sink.listener.gone()
            again = await keyed(booth, body, sink=sink)
            assert again.body == first.body
            assert (await keyed(booth, body)).body == first.body

    in_loop(scenario)
