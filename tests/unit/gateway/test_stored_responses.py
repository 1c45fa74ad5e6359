"""What becomes of responses that are to be stored: written before they are heard, or said not to
be."""

import json
import sqlite3
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.booth import MemoryBody, MemorySink, TestBooth, open_test_booth
from tests.support.keyed import Counted, Flaky, in_loop
from tests.support.responses import checked_body, events
from tokenbooth.control import accounts, keys
from tokenbooth.core.caller import Caller
from tokenbooth.core.ports import CallHead
from tokenbooth.core.problem import Problem
from tokenbooth.engines.scripted.values import AnswerKind, Fault, ScriptOptions
from tokenbooth.gateway import responses as gateway_responses
from tokenbooth.gateway.options import ResponseOptions
from tokenbooth.gateway.quote import quote
from tokenbooth.gateway.replay import REPLAYED
from tokenbooth.gateway.responses import REFERENCES_MAX
from tokenbooth.gateway.serve import serve
from tokenbooth.protocols.openai_responses import OPENAI_RESPONSES
from tokenbooth.protocols.openai_responses.memory import final_of

ECHO = ScriptOptions(answer=AnswerKind.ECHO)


async def ask(
    booth: TestBooth, sink: MemorySink | None = None, *, key: str | None = None, **fields: Any
) -> MemorySink:
    sink = sink or MemorySink()
    headers = {"authorization": f"Bearer {booth.secret}"}
    if key is not None:
        headers["idempotency-key"] = key
    head = CallHead("POST", "/v1/responses", headers, {}, {})
    body = MemoryBody(json.dumps({"model": "demo", "input": "hello", **fields}).encode())
    await serve(booth.rooms, OPENAI_RESPONSES, booth.new_op(), head, body, sink)
    assert sink.ends == 1
    return sink


def body_of(sink: MemorySink) -> dict[str, Any]:
    found = final_of(sink.body)
    assert found is not None
    checked_body(found)
    return found


async def caller(booth: TestBooth) -> Caller:
    return await booth.rooms.directory.caller(booth.op, booth.secret)


async def read(booth: TestBooth, response_id: str) -> dict[str, Any]:
    found = await booth.rooms.responses.response(booth.op, await caller(booth), response_id)
    made: dict[str, Any] = json.loads(found.response)
    return made


async def is_stored(booth: TestBooth, response_id: str) -> bool:
    try:
        return (await read(booth, response_id))["id"] == response_id
    except Problem:
        return False


def rows(directory: Path) -> int:
    with closing(sqlite3.connect(directory / "tokenbooth.db")) as connection:
        count: int = connection.execute("SELECT count(*) FROM stored_response").fetchone()[0]
        return count


class Watching(MemorySink):
    """Counts what is stored at the moment in which the last words are heard."""

    directory: Path
    seen: int | None = None

    def write(self, chunk: bytes) -> None:
        super().write(chunk)
        self.seen = rows(self.directory)


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_is_stored_before_its_last_words_are_heard(tmp_path: Path, stream: bool):
    async def scenario():
        async with open_test_booth(tmp_path, ECHO) as booth:
            sink = Watching()
            sink.directory = tmp_path
            made = body_of(await ask(booth, sink, stream=stream))
            assert sink.seen == 1
            assert made["store"] is True
            assert await read(booth, made["id"]) == made
            again = await ask(booth, previous_response_id=made["id"], input="more")
            assert body_of(again)["previous_response_id"] == made["id"]

    in_loop(scenario)


@pytest.mark.parametrize("way", ["before", "after", "hangs"])
@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_stored_goes_out_all_the_same_and_says_so(
    tmp_path: Path, way: str, stream: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(gateway_responses, "STORE_WAIT_MAX_S", 0.2)

    async def scenario():
        async with open_test_booth(tmp_path, ECHO) as booth:
            desk: Any = booth.rooms.responses
            desk._store = store = Flaky(desk._store)
            store.fails = [way]
            sink = await ask(booth, stream=stream)
            made = body_of(sink)
            assert made["store"] is False
            assert made["status"] == "completed"
            if stream:
                assert events(sink.body)[0]["response"]["store"] is True
            assert booth.op.log.faults[0][0] == "response_not_stored"  # type: ignore[attr-defined]
            assert await booth.spent_nano() == (await booth.record()).cost_nano > 0

    in_loop(scenario)


def test_what_is_too_large_is_not_stored_and_says_so(tmp_path: Path):
    options = ResponseOptions(response_bytes_max=4000)

    async def scenario():
        async with open_test_booth(tmp_path, ECHO, response_options=options) as booth:
            small, large = [body_of(await ask(booth, input="x" * n)) for n in (9, 2000)]
            assert (small["store"], large["store"]) == (True, False)
            assert await is_stored(booth, small["id"])
            assert rows(tmp_path) == 1

    in_loop(scenario)


def test_a_project_that_keeps_no_answers_is_told_that_none_is_stored(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, ECHO) as booth:
            project = (await caller(booth)).project_id
            await booth.store.write(
                lambda tx: accounts.keep_answers(booth.op, tx, "acme", project, kept=False)
            )
            assert body_of(await ask(booth))["store"] is False
            assert rows(tmp_path) == 0

    in_loop(scenario)


def test_what_is_not_to_be_stored_touches_no_table(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, ECHO) as booth:
            desk: Any = booth.rooms.responses
            desk._store = None
            assert body_of(await ask(booth, store=False))["store"] is False

    in_loop(scenario)


@pytest.mark.parametrize(("stream", "stored"), [(False, 0), (True, 1)])
def test_a_failure_is_stored_only_where_it_was_a_response(tmp_path: Path, stream, stored):
    late = ScriptOptions(fault=Fault.FAIL, fault_after_chunks=3)

    async def scenario():
        async with open_test_booth(tmp_path, late) as booth:
            sink = await ask(booth, stream=stream)
            assert rows(tmp_path) == stored
            if stream:
                found = await read(booth, body_of(sink)["id"])
                assert (found["status"], found["error"]["code"]) == ("failed", "server_error")

    in_loop(scenario)


def test_who_hangs_up_leaves_nothing_behind(tmp_path: Path):
    async def scenario():
        hanging = ScriptOptions(fault=Fault.HANG, fault_after_chunks=3)
        async with open_test_booth(tmp_path, hanging) as booth:
            sink = MemorySink()
            sink.on_write = lambda _: sink.listener.gone()
            await ask(booth, sink, stream=True)
            assert rows(tmp_path) == 0
            assert (await booth.verified()).open_holds == 0

    in_loop(scenario)


def test_an_answer_that_is_given_again_is_stored_once(tmp_path: Path):
    async def scenario():
        engine = Counted()
        async with open_test_booth(tmp_path, engines={"0": engine}) as booth:
            first = await ask(booth, key="k", stream=True)
            again = await ask(booth, key="k", stream=True)
            assert again.headers[REPLAYED] == f"req_{1:032x}"
            assert again.body == first.body
            assert (engine.runs, rows(tmp_path)) == (1, 1)

    in_loop(scenario)


def test_another_project_of_the_same_organization_sees_nothing(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, ECHO) as booth:
            made = body_of(await ask(booth))

            def second(tx: Any) -> Any:
                accounts.create_project(
                    booth.op, tx, "acme", "second", cap_nano=None, ids=booth.ids
                )
                mint = keys.Mint(booth.ids, booth.noise, booth.pepper)
                new = keys.NewKey(org="acme", name="other", project="second")
                return keys.create_key(booth.op, tx, new, mint)

            other = replace(booth, secret=(await booth.store.write(second)).secret)
            refused = await ask(other, previous_response_id=made["id"])
            assert refused.status == 404
            assert refused.document["error"]["code"] == "previous_response_not_found"
            assert not await is_stored(other, made["id"])

    in_loop(scenario)


def test_a_quote_counts_the_conversation(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, ECHO) as booth:
            made = body_of(await ask(booth, input="word " * 100))
            found = await quoted(booth, previous_response_id=made["id"], input="hi")
            again = body_of(await ask(booth, previous_response_id=made["id"], input="hi"))
            assert found.input_tokens == again["usage"]["input_tokens"] > 200

    in_loop(scenario)


async def quoted(booth: TestBooth, **fields: Any) -> Any:
    head = CallHead("POST", "/v1/quote", {"authorization": f"Bearer {booth.secret}"}, {}, {})
    body = MemoryBody(json.dumps({"model": "demo", **fields}).encode())
    return await quote(booth.rooms, OPENAI_RESPONSES, booth.new_op(), head, body, nullcontext())


def test_too_many_references_are_refused(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, ECHO) as booth:
            named = [{"type": "item_reference", "id": "msg_1"}] * (REFERENCES_MAX + 1)
            refused = await ask(booth, input=named)
            assert refused.document["error"]["param"] == "input"
            assert refused.status == 400

    in_loop(scenario)


def test_an_item_of_a_conversation_may_be_named_once_more(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, ECHO) as booth:
            made = body_of(await ask(booth, input="first"))
            named = {"type": "item_reference", "id": made["output"][0]["id"]}
            later = body_of(await ask(booth, input=[named], previous_response_id=made["id"]))
            listed = await booth.rooms.responses.items(booth.op, await caller(booth), later["id"])
            assert [item["content"][0]["text"] for item in listed] == ["first"] * 3

    in_loop(scenario)


def test_what_was_sealed_under_another_key_is_not_there(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, ECHO) as booth:
            made = body_of(await ask(booth))
            desk: Any = booth.rooms.responses
            desk._key = b"x" * 32
            assert not await is_stored(booth, made["id"])

    in_loop(scenario)


def test_the_items_are_asked_of_a_database_that_is_there(tmp_path: Path):
    """Only what is deleted shortens the list, and never a fault."""

    async def scenario():
        async with open_test_booth(tmp_path, ECHO) as booth:
            first = body_of(await ask(booth, input="one"))
            last = body_of(await ask(booth, input="two", previous_response_id=first["id"]))
            desk, who = booth.rooms.responses, await caller(booth)
            assert len(await desk.items(booth.op, who, last["id"])) == 3
            await desk.drop(booth.op, who, first["id"])
            assert len(await desk.items(booth.op, who, last["id"])) == 1

    in_loop(scenario)


def test_what_has_expired_is_swept(tmp_path: Path):
    async def scenario():
        async with open_test_booth(
            tmp_path, ECHO, response_options=ResponseOptions(kept_s=60)
        ) as booth:
            made = body_of(await ask(booth))
            assert await booth.rooms.responses.tidy(booth.op) == 0
            booth.clock.us += 60_000_000
            assert not await is_stored(booth, made["id"])
            assert await booth.rooms.responses.tidy(booth.op) == 1
            assert rows(tmp_path) == 0

    in_loop(scenario)
