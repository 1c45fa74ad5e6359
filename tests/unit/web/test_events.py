"""Events and the proof of the balance: the own organization's, page by page."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from tests.support.booth import PEPPER, Noise, TestBooth, chat, open_test_booth
from tests.support.ops import CountingIds
from tokenbooth.control import accounts, keys
from tokenbooth.core.caller import Scope
from tokenbooth.core.codes import Code
from tokenbooth.core.ports import CallHead
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope
from tokenbooth.gateway.reconcile import check_ledger
from tokenbooth.money.alerts import service as alerts
from tokenbooth.money.alerts.service import SpendMove
from tokenbooth.money.outbox import service as outbox
from tokenbooth.protocols.dialect import Answer
from tokenbooth.protocols.openapi import openapi_document
from tokenbooth.web import events
from tokenbooth.web.routes import KEYED_ENDPOINTS

COMPONENTS = openapi_document("1")["components"]
ENDPOINTS = {"/v1/events": events.list_events, "/v1/reconciliation": events.reconciliation}
SCHEMAS = {
    path: jsonschema_rs.Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": COMPONENTS}
    )
    for path, name in (("/v1/events", "EventPage"), ("/v1/reconciliation", "Reconciliation"))
}


@pytest.mark.parametrize("path", list(ENDPOINTS))
def test_the_endpoints_are_served_to_keys_that_may_read(path: str) -> None:
    assert (path, Scope.READ, ENDPOINTS[path]) in KEYED_ENDPOINTS


class Account:
    """Calls the endpoints as a key would that was let in."""

    def __init__(self, booth: TestBooth) -> None:
        self.booth = booth
        self.rooms: Any = SimpleNamespace(store=booth.store)

    async def answer(
        self, path: str, query: Mapping[str, str] | None = None, *, secret: str | None = None
    ) -> Answer:
        op = self.booth.new_op()
        caller = await self.booth.rooms.directory.caller(op, secret or self.booth.secret)
        head = CallHead("GET", path, {}, query or {}, {})
        return await ENDPOINTS[path](self.rooms, replace(op, caller=caller), head)

    async def get(self, path: str, query: Mapping[str, str] | None = None, **more: Any) -> Any:
        """The decoded document of a 200 that fits its schema."""
        answer = await self.answer(path, query, **more)
        assert answer.status == 200
        document = msgspec.json.decode(answer.body)
        SCHEMAS[path].validate(document)
        return document


@pytest.fixture
def play(tmp_path: Path):
    def run(scene: Callable[[Account], Awaitable[None]]) -> None:
        async def work() -> None:
            async with open_test_booth(tmp_path) as booth:
                await scene(Account(booth))

        asyncio.run(work())

    return run


def move_of(org_id: str, owner_id: str, before: int, after: int) -> SpendMove:
    return SpendMove(
        scope=LimitScope.KEY,
        owner_id=owner_id,
        window_id="",
        org_id=org_id,
        limit_nano=1000,
        before_nano=before,
        after_nano=after,
    )


async def alert(account: Account, *moves: SpendMove) -> None:
    op = account.booth.op
    for move in moves:
        account.booth.clock.us += 1
        await account.booth.store.write(
            lambda tx, move=move: outbox.put(
                op, tx, alerts.events_for(op, tx, (move,), (50, 80, 100))
            )
        )


def test_events_are_told_newest_first_with_their_body(play):
    async def scene(account: Account) -> None:
        org_id = account.booth.org_id
        assert (await account.get("/v1/events"))["data"] == []
        await alert(account, move_of(org_id, "k", 0, 500), move_of(org_id, "k", 500, 900))
        page = await account.get("/v1/events")
        assert [event["body"]["threshold_percent"] for event in page["data"]] == [80, 50]
        assert page["has_more"] is False
        event = page["data"][0]
        assert event["object"] == "event"
        assert event["topic"] == "spend_alert"
        assert event["organization_id"] == org_id
        assert event["created_at"].endswith("Z")
        assert event["body"]["limit_source"] == "key"
        assert event["body"]["spent"] == "0.000000900"

    play(scene)


def test_pages_are_bounded_and_follow_each_other(play):
    async def scene(account: Account) -> None:
        org_id = account.booth.org_id
        await alert(account, *(move_of(org_id, f"k{i}", 0, 500) for i in range(5)))
        first = await account.get("/v1/events", {"limit": "3"})
        assert (len(first["data"]), first["has_more"]) == (3, True)
        rest = await account.get("/v1/events", {"limit": "3", "after": first["next_after"]})
        assert (len(rest["data"]), rest["has_more"], rest["next_after"]) == (2, False, None)
        owners = [event["body"]["owner_id"] for event in first["data"] + rest["data"]]
        assert owners == ["k4", "k3", "k2", "k1", "k0"]

    play(scene)


def test_the_events_of_others_and_of_the_operator_are_not_told(play):
    async def scene(account: Account) -> None:
        op, booth = account.booth.op, account.booth
        await alert(account, move_of(booth.org_id, "k", 0, 500), move_of("", "x", 0, 500))

        def other(tx):

            ids = CountingIds(10_000)
            accounts.create_organization(op, tx, accounts.OrganizationAsk("rival"), ids)
            noise = Noise()
            noise.token_bytes(32)
            noise.token_bytes(32)
            mint = keys.Mint(ids, noise, PEPPER)
            return keys.create_key(op, tx, keys.NewKey(org="rival", name="k"), mint).secret

        secret = await booth.store.write(other)
        assert len((await account.get("/v1/events"))["data"]) == 1
        assert (await account.get("/v1/events", secret=secret))["data"] == []

    play(scene)


@pytest.mark.parametrize(
    ("query", "code", "param"),
    [
        ({"limit": "0"}, Code.INVALID_VALUE, "limit"),
        ({"limit": "101"}, Code.INVALID_VALUE, "limit"),
        ({"after": "a b"}, Code.INVALID_VALUE, "after"),
        ({"topic": "x"}, Code.UNKNOWN_FIELD, "topic"),
    ],
)
def test_what_cannot_be_asked_is_named(play, query, code, param):
    async def scene(account: Account) -> None:
        with pytest.raises(Problem) as refused:
            await account.answer("/v1/events", query)
        assert (refused.value.code, refused.value.param) == (code, param)

    play(scene)


def test_the_own_balance_is_proved_beside_the_one_in_use(play):
    async def scene(account: Account) -> None:
        op, booth = account.booth.op, account.booth
        before = await account.get("/v1/reconciliation")
        assert (before["checked_at"], before["sound"], before["balance"]) == (None, None, None)
        await booth.ask(chat(max_tokens=4))
        await booth.rooms.till.flushed()
        await check_ledger(op, booth.store, "main")
        found = await account.get("/v1/reconciliation")
        assert found["object"] == "reconciliation"
        assert (found["currency"], found["sound"]) == ("USD", True)
        assert found["checked_at"].endswith("Z")
        left_nano = 10**9 - await booth.spent_nano()
        assert found["balance"]["computed"]["amount_nano"] == left_nano < 10**9
        assert found["balance"]["stored"] == found["balance"]["computed"]
        assert found["balance"]["difference"]["amount_nano"] == 0

    play(scene)


def test_the_proof_takes_no_parameters(play):
    async def scene(account: Account) -> None:
        with pytest.raises(Problem) as refused:
            await account.answer("/v1/reconciliation", {"org": "other"})
        assert refused.value.code is Code.UNKNOWN_FIELD

    play(scene)
