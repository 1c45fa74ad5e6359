"""Idempotency keys over plain HTTP: bytes, crowds, refusals, crashes."""

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

from tests.outside.idempotency.conftest import Pair, ask_with, keyed
from tests.support.attack import (
    account,
    assert_sound,
    body,
    connect,
    ended_record,
    get,
    records,
    spent_nano,
    spoken,
    until,
)
from tests.support.instances import Script, add_scripts, in_booth
from tokenbooth.gateway.replay import REPLAYED
from tokenbooth.proving.client import Address, call
from tokenbooth.proving.instance import PrivateInstance

OWN_HEADERS = {"x-request-id", "request-id", REPLAYED, "date"}
FRAMING = {"content-length", "transfer-encoding"}


def headers_of(answer: Any, *, left_out: set[str]) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in left_out}


@pytest.mark.parametrize("stream", [False, True])
def test_a_replay_is_the_same_answer_to_the_byte(pair: Pair, stream: bool):
    async def scenario():
        fields = body("demo", stream=stream)
        key = f"raw-{stream}"
        first = await keyed(pair.first, pair.secret, key, fields)
        before = spent
        for address in (pair.first, pair.second, pair.first):
            again = await keyed(address, pair.secret, key, fields)
            assert (again.status, again.body) == (200, first.body)
            left_out = OWN_HEADERS | (FRAMING if stream else set())
            assert headers_of(again, left_out=left_out) == headers_of(first, left_out=left_out)
            assert again.headers[REPLAYED] == first.headers["x-request-id"]
        return before, first

    spent = spent_nano(pair.first, pair.secret)
    before, first = asyncio.run(scenario())
    record = ended_record(pair.first, pair.secret, first.headers["x-request-id"])
    assert spent_nano(pair.second, pair.secret) - before == record["cost"]["amount_nano"] > 0


@pytest.mark.parametrize("stream", [False, True])
def test_fifty_at_once_at_two_replicas_are_one_call(pair: Pair, stream: bool):
    before, calls = spent_nano(pair.first, pair.secret), len(records(pair.first, pair.secret))
    fields, key = body("two-seconds", stream=stream, max_tokens=20), f"crowd-{stream}"

    async def crowd() -> list[Any]:
        places = (pair.first if n % 2 else pair.second for n in range(50))
        return await asyncio.gather(*(keyed(at, pair.secret, key, fields) for at in places))

    answers = asyncio.run(crowd())
    counted = Counter(answer.status for answer in answers)
    assert set(counted) <= {200, 409}
    ran = [a for a in answers if a.status == 200 and REPLAYED not in a.headers]
    assert len(ran) == 1
    for answer in answers:
        if answer.status == 409:
            assert json.loads(answer.body)["error"]["code"] == "idempotency_key_in_use"
            assert (answer.headers["x-should-retry"], answer.headers["retry-after"]) == (
                "true",
                "1",
            )
        else:
            assert answer.body == ran[0].body
    request_id = ran[0].headers["x-request-id"]
    until(lambda: get(pair.first, f"/v1/requests/{request_id}", pair.secret).status == 200)
    cost = ended_record(pair.first, pair.secret, request_id)["cost"]
    assert spent_nano(pair.first, pair.secret) - before == cost["amount_nano"] > 0
    assert len(records(pair.first, pair.secret)) == calls + 1
    late = asyncio.run(keyed(pair.second, pair.secret, key, fields))
    assert (late.status, late.body) == (200, ran[0].body)


def test_a_key_says_nothing_about_another_tenant(pair: Pair):
    async def scenario():
        mine = await keyed(pair.first, pair.secret, "shared", body("demo"))
        theirs = await keyed(pair.first, pair.foreign, "shared", body("demo", max_tokens=3))
        assert (mine.status, theirs.status) == (200, 200)
        assert REPLAYED not in theirs.headers
        again = await keyed(pair.second, pair.foreign, "shared", body("demo", max_tokens=3))
        assert again.body == theirs.body

    asyncio.run(scenario())


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256])
def test_an_impossible_key_is_refused_by_name(pair: Pair, key: str):
    answer = asyncio.run(keyed(pair.first, pair.secret, key, body("demo")))
    error = json.loads(answer.body)["error"]
    assert (answer.status, error["code"], error["param"]) == (
        400,
        "invalid_value",
        "Idempotency-Key",
    )


def test_two_keys_in_one_call_are_refused(pair: Pair):
    ask = ask_with(pair.secret, "one", body("demo"))
    doubled = ask.encoded(pair.first).replace(
        b"idempotency-key: one", b"idempotency-key: one\r\nidempotency-key: two"
    )
    said = spoken(pair.first, doubled)
    assert said.startswith(b"HTTP/1.1 400")
    assert b"Idempotency-Key" in said


def test_a_reader_that_leaves_pays_once_whatever_it_tries(pair: Pair):
    before = spent_nano(pair.first, pair.secret)
    fields = body("slow", stream=True)
    with connect(pair.first) as link:
        link.sendall(ask_with(pair.secret, "left", fields).encoded(pair.first))
        heard = b""
        while heard.count(b'"content"') < 5:
            heard += link.recv(65536)
    request_id = heard.split(b"x-request-id: ")[1].split(b"\r\n")[0].decode()
    record = ended_record(pair.first, pair.secret, request_id)
    assert record["status"] == "client_gone"
    for address in (pair.first, pair.second):

        def refused(at=address) -> dict[str, Any]:
            answer = asyncio.run(keyed(at, pair.secret, "left", fields))
            assert answer.status == 409
            return json.loads(answer.body)["error"]

        until(lambda ask=refused: ask()["code"] == "idempotency_replay_unavailable")
        error = refused()
        assert (error["original_request_id"], error["outcome"]) == (request_id, "client_gone")
    assert spent_nano(pair.first, pair.secret) - before == record["cost"]["amount_nano"] > 0


def sealed_answers(instance: PrivateInstance, project: str) -> int:
    """How many stored answers the project has, read with the database's own tools."""
    from sqlalchemy import text

    count = text("SELECT count(*) FROM replay WHERE project_id = :project AND sealed IS NOT NULL")
    return in_booth(
        instance, lambda booth, op, tx: int(tx.execute(count, {"project": project}).scalar_one())
    )


def test_an_operator_can_stop_the_keeping_of_answers(pair: Pair):
    made = pair.instance.command("project", "create", "acme", "law")
    assert made["answers_kept"] is True
    secret = account(pair.instance, "acme", project="law")
    first = asyncio.run(keyed(pair.first, secret, "kept", body("demo")))
    assert first.status == 200
    assert sealed_answers(pair.instance, str(made["id"])) == 1
    changed = pair.instance.command("project", "set", "acme", "law", "--no-answers-kept")
    assert changed["answers_kept"] is False
    for key in ("kept", "never-kept"):
        asyncio.run(keyed(pair.second, secret, key, body("demo")))
        again = asyncio.run(keyed(pair.first, secret, key, body("demo")))
        error = json.loads(again.body)["error"]
        assert (again.status, error["reason"], error["outcome"]) == (409, "not_kept", "completed")
    until(lambda: sealed_answers(pair.instance, str(made["id"])) == 0)


def running(address: Address, secret: str) -> int:
    return sum(record["status"] == "running" for record in records(address, secret))


@pytest.fixture
def store_url(request: pytest.FixtureRequest) -> str | None:
    if request.param == "sqlite":
        return None
    running = request.getfixturevalue("running_postgres")
    return str(running.url(running.new_database()))


@pytest.mark.parametrize("store_url", ["sqlite", "postgresql"], indirect=True)
def test_a_killed_server_never_charges_twice_and_never_forgets_an_answer(tmp_path, store_url):
    with PrivateInstance(tmp_path / "home", store_url=store_url) as instance:
        slow = Script("slow", {"chunks": "2000", "chunk_delay_ms": "20"})
        add_scripts(instance, slow, Script("demo"))
        secret = account(instance, "acme")
        address = instance.start()
        whole = asyncio.run(keyed(address, secret, "whole", body("demo")))
        stream = body("slow", stream=True)
        with connect(address) as link:
            link.sendall(ask_with(secret, "cut", stream).encoded(address))
            heard = b""
            while heard.count(b'"content"') < 50:
                heard += link.recv(65536)
            silent = connect(address)
            silent.sendall(ask_with(secret, "silent", body("slow")).encoded(address))
            until(lambda: running(address, secret) == 2)
            instance.kill()
        silent.close()
        address = instance.start()
        again = asyncio.run(keyed(address, secret, "whole", body("demo")))
        assert (again.status, again.body) == (200, whole.body)
        spent = spent_nano(address, secret)
        cut = asyncio.run(keyed(address, secret, "cut", stream))
        error = json.loads(cut.body)["error"]
        assert (cut.status, error["code"]) == (409, "idempotency_replay_unavailable")
        record = ended_record(address, secret, error["original_request_id"])
        assert (record["status"], error["outcome"]) == ("interrupted", "interrupted")
        assert record["cost"]["amount_nano"] > 0
        assert spent_nano(address, secret) == spent
        with connect(address) as link:
            link.sendall(ask_with(secret, "silent", body("slow", stream=False)).encoded(address))
            until(lambda: running(address, secret) == 1)
        until(lambda: running(address, secret) == 0)
        statuses = Counter(r["status"] for r in records(address, secret))
        assert statuses == {"completed": 1, "interrupted": 2, "client_gone": 1}
        assert instance.stop() == 0
        assert_sound(instance)


def test_a_call_without_a_key_is_a_call_of_its_own(pair: Pair):
    async def twice() -> list[Any]:
        ask = ask_with(pair.secret, None, body("demo"))
        return [await call(pair.first, ask) for _ in range(2)]

    first, second = asyncio.run(twice())
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert REPLAYED not in second.headers
