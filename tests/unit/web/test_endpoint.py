"""An account route behind authentication: who may read, and what the headers tell."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from tests.support.booth import MemoryBody, MemorySink
from tests.unit.web.conftest import Account
from tokenbooth.core.caller import Scope
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import CallHead
from tokenbooth.core.problem import Problem
from tokenbooth.protocols.dialect import Answer
from tokenbooth.web.answers import json_answer
from tokenbooth.web.endpoint import account_endpoint

Play = Callable[..., None]
Ask = Callable[[Op, CallHead], Awaitable[Answer]]


async def tell_caller(op: Op, head: CallHead) -> Answer:
    return json_answer({"key": op.caller.key_id if op.caller else None})


async def refuse(op: Op, head: CallHead) -> Answer:
    raise Problem(Code.BALANCE_EXHAUSTED, "Empty.")


async def read(
    account: Account, ask: Ask, scope: Scope | None, headers: Mapping[str, str]
) -> MemorySink:
    endpoint = account_endpoint(account.booth.rooms, scope, ask)
    sink = MemorySink()
    head = CallHead("GET", "/v1/x", headers, {}, {})
    await endpoint(account.booth.new_op(), head, MemoryBody(b""), sink)
    assert sink.ends == 1
    return sink


def with_key(account: Account) -> dict[str, str]:
    return {"authorization": f"Bearer {account.booth.secret}"}


def test_the_caller_is_the_keys_own_and_sees_its_limits(play: Play) -> None:
    async def scene(account: Account) -> None:
        sink = await read(account, tell_caller, Scope.READ, with_key(account))
        assert sink.status == 200
        assert sink.document == {"key": account.booth.key_id}
        assert "x-ratelimit-limit-requests" in sink.headers

    play(scene)


def test_an_open_route_needs_no_key_and_knows_no_caller(play: Play) -> None:
    async def scene(account: Account) -> None:
        sink = await read(account, tell_caller, None, {})
        assert (sink.status, sink.document) == (200, {"key": None})
        assert not [name for name in sink.headers if name.startswith("x-ratelimit")]

    play(scene)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "missing_api_key"),
        ({"authorization": "Bearer nonsense"}, 401, "invalid_api_key"),
        ({"x-api-key": "a", "authorization": "Bearer b"}, 400, "ambiguous_credentials"),
    ],
)
def test_without_a_good_key_nothing_is_told(
    play: Play, headers: dict[str, str], status: int, code: str
) -> None:
    async def scene(account: Account) -> None:
        sink = await read(account, tell_caller, Scope.READ, headers)
        assert sink.status == status
        assert sink.document["error"]["code"] == code
        assert sink.document["error"]["request_id"].startswith("req_")

    play(scene)


def test_a_key_without_the_scope_is_forbidden(play: Play) -> None:
    async def scene(account: Account) -> None:
        sink = await read(account, tell_caller, Scope.READ, with_key(account))
        assert sink.status == 403
        assert sink.document["error"]["code"] == "insufficient_scope"

    play(scene, key={"scopes": frozenset({Scope.INFERENCE})})


def test_a_refusal_speaks_the_accounts_own_status(play: Play) -> None:
    async def scene(account: Account) -> None:
        sink = await read(account, refuse, Scope.READ, with_key(account))
        assert sink.status == 402
        assert "x-ratelimit-limit-requests" in sink.headers
        found: Any = sink.document["error"]
        assert found["type"] == "payment_required_error"

    play(scene)
