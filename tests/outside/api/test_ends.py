"""Every way in which a call ends, seen from the wire and then in its record."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.outside.api.conftest import Running
from tests.support.instances import Script, add_scripts, in_booth, new_account
from tokenbooth.control import keys as key_verbs
from tokenbooth.money.ledger import service as ledger
from tokenbooth.proving.client import Ask, Exchange, bearer, call, json_ask

CHAT = "/v1/chat/completions"


def body(model: str, **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "hello"}], **fields}


def in_loop(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await scenario()

    asyncio.run(bounded())


async def settled_record(running: Running, request_id: str, secret: str) -> dict[str, Any]:
    """The record, once it is there and no longer running: a call shows once it ended or ran 1 s."""
    ask = Ask("GET", f"/v1/requests/{request_id}", bearer(secret))
    while True:
        answer = await call(running.address, ask)
        assert answer.status in (200, 404)
        if answer.status == 200 and (record := answer.document())["status"] != "running":
            return record
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("abrupt", [False, True])
@pytest.mark.parametrize("events", [1, 2, 5])
def test_a_reader_that_hangs_up_pays_for_what_it_got(running, events, abrupt):
    async def scenario():
        ask = json_ask(CHAT, running.secret, body("slow", stream=True))
        async with Exchange(running.address, ask) as exchange:
            head = await exchange.head()
            seen = 0
            async for _ in exchange.events():
                seen += 1
                if seen == events:
                    break
            exchange.cut(abrupt=abrupt)
        record = await settled_record(running, head.headers["x-request-id"], running.secret)
        assert record["status"] == "client_gone"
        assert record["usage"]["completion_tokens"] >= events
        assert record["usage"]["completion_tokens"] < 2000
        expected = (
            record["usage"]["prompt_tokens"] * 1000 + record["usage"]["completion_tokens"] * 4000
        )
        assert record["cost"]["amount_nano"] == expected

    in_loop(scenario)


def test_a_whole_answer_that_nobody_waits_for_costs_nothing(running):
    async def scenario():
        secret = await asyncio.to_thread(new_account, running.instance, "impatient")
        async with Exchange(running.address, json_ask(CHAT, secret, body("slow"))) as exchange:
            while not (running_calls := await _calls(running, secret)):
                await asyncio.sleep(0.02)
            exchange.cut(abrupt=True)
        record = await settled_record(running, running_calls[0]["id"], secret)
        assert (record["status"], record["cost"]["amount_nano"]) == ("client_gone", 0)

    in_loop(scenario)


async def _calls(running: Running, secret: str) -> list[dict[str, Any]]:
    answer = await call(running.address, Ask("GET", "/v1/requests", bearer(secret)))
    return answer.document()["data"]


def test_revoking_a_key_from_the_command_line_ends_its_stream(running):
    async def scenario():
        secret = await asyncio.to_thread(new_account, running.instance, "revoked")
        ask = json_ask(CHAT, secret, body("slow", stream=True))
        async with Exchange(running.address, ask) as exchange:
            head = await exchange.head()
            events: list[str] = []
            async for event in exchange.events():
                events.append(event)
                if len(events) == 2:
                    await asyncio.to_thread(_revoke, running, "revoked")
        assert json.loads(events[-1])["error"]["code"] == "revoked_api_key"
        assert "[DONE]" not in events
        while (
            again := await call(running.address, json_ask(CHAT, secret, body("demo")))
        ).status == 200:
            await asyncio.sleep(0.02)  # who calls is kept for a moment
        assert again.document()["error"]["code"] == "revoked_api_key"
        assert head.headers["x-request-id"].startswith("req_")

    in_loop(scenario)


def _revoke(running: Running, org: str) -> None:
    def revoke(booth, op, tx):
        (line,) = key_verbs.keys(op, tx, org)
        key_verbs.revoke_key(op, tx, line.key.id)

    in_booth(running.instance, revoke)


def test_a_long_wait_is_filled_with_comments(running):
    """The instance beats each second; the engine here says nothing for longer than that."""
    add_scripts(running.instance, Script("ponderer", {"first_delay_ms": "2500", "chunks": "2"}))

    async def scenario():
        ask = json_ask(CHAT, running.secret, body("ponderer", stream=True))
        async with Exchange(running.address, ask) as exchange:
            await exchange.head()
            raw = await exchange.body()
        assert raw.count(b": keep-alive") >= 1
        assert raw.index(b": keep-alive") < raw.index(b"data:")
        assert raw.rstrip().endswith(b"data: [DONE]")

    in_loop(scenario)


def test_a_full_engine_refuses_with_retry_advice(running):
    async def scenario():
        ask = json_ask(CHAT, running.secret, body("one-seat", stream=True))
        async with Exchange(running.address, ask) as exchange:
            await exchange.head()
            busy = await call(running.address, json_ask(CHAT, running.secret, body("one-seat")))
            assert busy.status == 503
            assert int(busy.headers["retry-after"]) >= 1
            exchange.cut(abrupt=True)

    in_loop(scenario)


def test_another_tenants_call_does_not_exist(running):
    async def scenario():
        mine = await call(running.address, json_ask(CHAT, running.secret, body("demo")))
        request_id = mine.headers["x-request-id"]
        path = f"/v1/requests/{request_id}"
        foreign = await call(running.address, Ask("GET", path, bearer(running.foreign)))
        unknown = await call(running.address, Ask("GET", path[:-1] + "0", bearer(running.foreign)))
        assert foreign.status == unknown.status == 404
        assert foreign.document()["error"]["code"] == unknown.document()["error"]["code"]
        listed = await _calls(running, running.foreign)
        assert request_id not in [record["id"] for record in listed]

    in_loop(scenario)


def test_both_credential_headers_must_agree(running):
    async def scenario():
        ask = body("demo")
        both = (("authorization", f"Bearer {running.secret}"), ("x-api-key", running.secret))
        differ = (("authorization", f"Bearer {running.secret}"), ("x-api-key", running.foreign))
        alone = (("x-api-key", running.secret),)
        raw = json.dumps(ask).encode()
        statuses = [
            (await call(running.address, Ask("POST", CHAT, headers, raw))).status
            for headers in (both, differ, alone, ())
        ]
        assert statuses == [200, 400, 200, 401]

    in_loop(scenario)


def test_the_ledger_still_proves_itself_after_all_this(running):
    found = in_booth(running.instance, lambda booth, op, tx: ledger.verify(op, tx))
    assert (found.difference_nano, found.problems) == (0, ())
