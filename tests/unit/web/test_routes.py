"""The table of routes: who may call what, and the documents that describe it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import msgspec
import pytest

from tests.support.booth import chat
from tests.support.ops import make_op
from tests.support.settled import SEED
from tests.unit.web.conftest import Account
from tokenbooth.core.caller import Scope
from tokenbooth.core.codes import Code
from tokenbooth.core.ports import CallHead
from tokenbooth.core.problem import Problem
from tokenbooth.engines.port import Health
from tokenbooth.money.receipts.service import Signer
from tokenbooth.web.responses import response_routes
from tokenbooth.web.routes import WebRooms, account_routes

Play = Callable[..., None]


class BrokenStore:
    async def read(self, verb: Any) -> Any:
        raise Problem(Code.LEDGER_UNAVAILABLE, "The database cannot be reached.")

    async def write(self, verb: Any) -> Any:
        raise AssertionError("the account API never writes")


class NoEngines:
    def opened(self, deployment_id: str) -> None:
        return None

    async def health(self) -> dict[str, Health]:
        return {}


class NoMetrics:
    def render(self) -> bytes:
        return b"# nothing\n"


class Booking:
    away = False


def rooms(*, loopback_only: bool = True) -> WebRooms:
    return WebRooms(
        store=BrokenStore(),
        engines=NoEngines(),
        metrics=NoMetrics(),
        settlements=Booking(),
        metrics_loopback_only=loopback_only,
        signer=Signer(SEED),
        sealing_key=b"s" * 32,
    )


FOR_ANYBODY = {"/v1/receipts/keys"}


def test_every_tenant_route_asks_for_a_scope_and_nothing_else_does() -> None:
    for route in account_routes(rooms()):
        assert route.method == "GET" or route.pattern == "/v1/files/{file_id}"
        of_a_tenant = route.pattern.startswith("/v1/") and route.pattern not in FOR_ANYBODY
        assert (route.scope is not None) is of_a_tenant
        if route.scope is not None:
            for_calls = route.pattern.startswith(("/v1/models", "/v1/files"))
            assert route.scope is (Scope.INFERENCE if for_calls else Scope.READ)


@pytest.mark.parametrize("loopback_only", [True, False])
def test_only_the_metrics_can_be_bound_to_this_machine(loopback_only: bool) -> None:
    bound = {
        r.pattern for r in account_routes(rooms(loopback_only=loopback_only)) if r.loopback_only
    }
    assert bound == ({"/metrics"} if loopback_only else set())


def test_the_openapi_document_and_the_table_agree(play: Play) -> None:
    async def scene(account: Account) -> None:
        document = await account.get("/openapi.json")
        described = {path for path, methods in document["paths"].items() if "get" in methods}
        stored = response_routes(cast("Any", None))
        routes = [*account.routes.values(), *stored]
        assert described == {r.pattern for r in routes if r.method == "GET"}
        deleted = {path for path, verbs in document["paths"].items() if "delete" in verbs}
        assert deleted == {r.pattern for r in routes if r.method == "DELETE"}
        assert document["openapi"].startswith("3.1")

    play(scene)


def test_the_process_lives_even_without_a_store() -> None:
    async def work() -> None:
        routes = {r.pattern: r for r in account_routes(rooms())}
        op, head = make_op(), CallHead("GET", "/", {}, {}, {})
        assert (await routes["/healthz"].answer(op, head)).status == 200
        down = await routes["/readyz"].answer(op, head)
        assert down.status == 503
        assert msgspec.json.decode(down.body)["store"] is False
        assert (await routes["/metrics"].answer(op, head)).body == b"# nothing\n"

    asyncio.run(work())


def test_a_store_that_takes_no_settlements_is_not_ready(play: Play) -> None:
    async def scene(account: Account) -> None:
        await account.booth.ask(chat())
        booking = Booking()
        account.routes = {
            route.pattern: route
            for route in account_routes(replace(account.rooms, settlements=booking))
        }
        assert (await account.get("/readyz"))["store"] is True
        booking.away = True
        down = await account.answer("/readyz")
        assert (down.status, msgspec.json.decode(down.body)["store"]) == (503, False)

    play(scene)


def test_ready_follows_the_engines(play: Play) -> None:
    async def scene(account: Account) -> None:
        before = await account.answer("/readyz")
        assert before.status == 503
        await account.booth.ask(chat())
        after = await account.get("/readyz")
        assert after == {"status": "ready", "store": True, "models": {"offered": 1, "ready": 1}}

    play(scene)


def test_metrics_are_the_text_format(play: Play) -> None:
    async def scene(account: Account) -> None:
        await account.booth.ask(chat())
        answer = await account.answer("/metrics")
        assert dict(answer.headers)["content-type"].startswith("text/plain; version=0.0.4")
        assert b'tokenbooth_calls_total{model="demo"' in answer.body

    play(scene)


@pytest.mark.parametrize("pattern", ["/healthz", "/readyz", "/metrics", "/openapi.json"])
def test_open_routes_refuse_unknown_parameters_too(play: Play, pattern: str) -> None:
    async def scene(account: Account) -> None:
        with pytest.raises(Problem) as caught:
            await account.answer(pattern, {"verbose": "1"})
        assert caught.value.code is Code.UNKNOWN_FIELD

    play(scene)
