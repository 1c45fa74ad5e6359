"""What a socket remembers of responses that are not stored."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.booth import MemoryBody, MemorySink, TestBooth, open_test_booth
from tests.support.keyed import in_loop
from tests.unit.gateway.test_stored_responses import body_of, caller, rows
from tokenbooth.content.responses.service import Content
from tokenbooth.control import accounts
from tokenbooth.core.ports import CallHead
from tokenbooth.core.problem import Problem
from tokenbooth.engines.scripted.values import AnswerKind, Fault, ScriptOptions
from tokenbooth.gateway.lanes import Said, SocketMemory
from tokenbooth.gateway.options import ResponseOptions
from tokenbooth.gateway.prepare import prepare
from tokenbooth.gateway.serve import serve
from tokenbooth.gateway.tee import AnswerSpace
from tokenbooth.protocols.openai_responses import OPENAI_RESPONSES

ECHO = ScriptOptions(answer=AnswerKind.ECHO)


def said(name: str, size_bytes: int = 10) -> Said:
    return Said(name, None, Content(b"x" * (size_bytes - 2), b"{}"))


def memory_of(space_bytes: int = 100, bytes_max: int = 100) -> tuple[SocketMemory, AnswerSpace]:
    space = AnswerSpace(space_bytes)
    return SocketMemory(space, bytes_max), space


def test_each_stream_has_its_last_and_all_are_found():
    memory, space = memory_of()
    one, two = memory.lane("one"), memory.lane(None)
    one.ended(said("a"))
    two.ended(said("b"))
    one.ended(said("c"))
    assert [two.found(name) is not None for name in ("a", "b", "c", None)] == [0, 1, 1, 0]
    assert space.free_bytes == 80
    one.ended(None)
    assert one.found("c") is None
    memory.close()
    two.ended(said("late"))
    assert space.free_bytes == 100
    assert (two.found("b"), two.found("late")) == (None, None)


def test_what_finds_no_room_is_not_remembered_and_what_was_there_is_gone():
    memory, space = memory_of(space_bytes=50, bytes_max=40)
    lane, other = memory.lane("one"), SocketMemory(space, 40)
    lane.ended(said("small"))
    lane.ended(said("large", 41))
    assert (lane.found("small"), lane.found("large")) == (None, None)
    other.put(None, said("theirs", 30))
    lane.ended(said("more", 21))
    assert lane.found("more") is None
    other.close()
    lane.ended(said("more", 21))
    assert lane.found("more") is not None


@pytest.mark.parametrize(
    ("lane", "previous", "kept"),
    [("one", "a", False), ("one", "b", True), ("one", None, True), ("two", "a", True)],
)
def test_a_stream_that_failed_to_go_on_forgets_its_own(lane, previous, kept):
    memory, _ = memory_of()
    memory.lane("one").ended(said("a"))
    memory.lane(lane).failed(previous)
    assert (memory.found("a") is not None) is kept


@asynccontextmanager
async def booth_with_lane(
    directory: Path, script: ScriptOptions = ECHO, **more: Any
) -> AsyncIterator[tuple[TestBooth, Any]]:
    async with open_test_booth(directory, script, **more) as booth:
        memory = booth.rooms.responses.socket_memory()

        async def ask(stream: str | None = None, **fields: Any) -> dict[str, Any]:
            desk = booth.rooms.responses.beside(memory.lane(stream))
            sink = MemorySink()
            head, body = _asked(booth, fields)
            rooms = replace(booth.rooms, responses=desk)
            await serve(rooms, OPENAI_RESPONSES, booth.new_op(), head, body, sink)
            assert sink.ends == 1
            return body_of(sink) if sink.status == 200 else json.loads(sink.body)

        yield booth, ask


def _asked(booth: TestBooth, fields: dict[str, Any]) -> tuple[CallHead, MemoryBody]:
    headers = {"authorization": f"Bearer {booth.secret}"}
    raw = json.dumps({"model": "demo", "input": "hello", "stream": True, **fields}).encode()
    return CallHead("POST", "/v1/responses", headers, {}, {}), MemoryBody(raw)


def test_a_conversation_goes_on_without_a_row(tmp_path: Path):
    async def scenario():
        async with booth_with_lane(tmp_path) as (_, ask):
            previous, tokens = None, []
            for text in ("one", "two", "three"):
                made = await ask(input=text, store=False, previous_response_id=previous)
                assert made["store"] is False
                assert made["previous_response_id"] == previous
                previous = made["id"]
                tokens.append(made["usage"]["input_tokens"])
            assert tokens == sorted(set(tokens))
            assert rows(tmp_path) == 0

    in_loop(scenario)


def test_the_same_conversation_costs_the_same_remembered_and_stored(tmp_path: Path):
    async def scenario():
        async with booth_with_lane(tmp_path) as (_, ask):
            usage = []
            for store in (True, False):
                first = await ask(input="one two", store=store)
                made = await ask(input="more", store=store, previous_response_id=first["id"])
                usage.append({**made["usage"], "limits": None})
            assert usage[0] == usage[1]

    in_loop(scenario)


def test_what_is_only_remembered_is_stored_with_what_goes_on_from_it(tmp_path: Path):
    async def scenario():
        async with booth_with_lane(tmp_path) as (booth, ask):
            base = await ask(input="one")
            loose = await ask(input="two", store=False, previous_response_id=base["id"])
            made = await ask(input="three", previous_response_id=loose["id"])
            assert rows(tmp_path) == 2
            desk, who = booth.rooms.responses, await caller(booth)
            items = await desk.items(booth.op, who, made["id"])
            texts = [part["text"] for item in items for part in item["content"]]
            assert texts == ["one", "one", "two", "two", "three"]
            assert len({item["id"] for item in items}) == 5
            named = {"type": "item_reference", "id": items[2]["id"]}
            again = await ask(input=[named], previous_response_id=made["id"])
            assert again["output"][0]["content"][0]["text"] == "two"

    in_loop(scenario)


def test_an_item_that_is_only_remembered_can_be_referred_to(tmp_path: Path):
    async def scenario():
        async with booth_with_lane(tmp_path) as (_, ask):
            loose = await ask(input="two", store=False)
            named = {"type": "item_reference", "id": loose["output"][0]["id"]}
            fields = {"input": [named, {"role": "user", "content": "x"}], "store": False}
            assert (await ask(**fields, previous_response_id=loose["id"]))["status"] == "completed"

    in_loop(scenario)


def test_what_could_not_be_stored_is_remembered(tmp_path: Path):
    async def scenario():
        async with booth_with_lane(tmp_path) as (booth, ask):
            project = (await caller(booth)).project_id
            await booth.store.write(
                lambda tx: accounts.keep_answers(booth.op, tx, "acme", project, kept=False)
            )
            first = await ask(input="one")
            assert first["store"] is False
            assert (await ask(input="x", previous_response_id=first["id"]))["id"]
            assert rows(tmp_path) == 0

    in_loop(scenario)


@pytest.mark.parametrize("store", [True, False])
def test_a_failed_response_is_not_gone_on_from_here(tmp_path: Path, store: bool):
    late = ScriptOptions(fault=Fault.FAIL, fault_after_chunks=3)

    async def scenario():
        async with booth_with_lane(tmp_path, late) as (booth, ask):
            made = await ask(store=store)
            assert made["status"] == "failed"
            assert rows(tmp_path) == store
            error = (await ask(store=False, previous_response_id=made["id"]))["error"]
            assert (error["code"] == "previous_response_not_found") is not store
            assert await booth.spent_nano() == 0

    in_loop(scenario)


def test_beyond_its_bound_nothing_is_remembered(tmp_path: Path):
    options = ResponseOptions(socket_bytes_max=0)

    async def scenario():
        async with booth_with_lane(tmp_path, response_options=options) as (_, ask):
            first = await ask(store=False)
            error = (await ask(previous_response_id=first["id"]))["error"]
            assert error["code"] == "previous_response_not_found"

    in_loop(scenario)


def test_what_is_prepared_costs_nothing_and_is_gone_on_from(tmp_path: Path):
    async def scenario():
        async with booth_with_lane(tmp_path) as (booth, _):
            memory = booth.rooms.responses.socket_memory()
            desk = booth.rooms.responses.beside(memory.lane("s"))
            rooms = replace(booth.rooms, responses=desk)
            head, body = _asked(booth, {"input": "a book", "tool_choice": "auto"})
            op = booth.new_op()
            made = await prepare(rooms, OPENAI_RESPONSES, op, head, body, nullcontext())
            found = memory.found("resp_" + op.request_id.removeprefix("req_"))
            assert found is not None
            assert [item["content"][0]["text"] for item in found.items()] == ["a book"]
            response = json.loads(found.content.response)
            assert (response["output"], response["store"]) == ([], False)
            assert made.events.endswith(b"\n\n")
            assert await booth.spent_nano() == 0
            assert rows(tmp_path) == 0
            head, body = _asked(booth, {"model": "nothing"})
            with pytest.raises(Problem):
                await prepare(rooms, OPENAI_RESPONSES, op, head, body, nullcontext())

    in_loop(scenario)
