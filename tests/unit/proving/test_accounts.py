import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import pytest

from tests.support.wire_server import body_answer, wire_server
from tokenbooth.proving import accounts
from tokenbooth.proving.client import Address
from tokenbooth.proving.observations import RecordSeen
from tokenbooth.proving.wire import BrokenWire

T = TypeVar("T")

ROW: Mapping[str, Any] = {
    "id": "req_1",
    "status": "completed",
    "model": "m",
    "end_customer": "call-000001",
    "key_id": "key_1",
    "cost": {"amount_nano": 12},
    "held": {"amount_nano": 99},
    "usage": {
        "prompt_tokens": 10,
        "completion_tokens": 4,
        "prompt_tokens_details": {"cached_tokens": 3},
    },
    "ended_at": "2026-01-31T08:00:00.000250Z",
}


def page(rows: list[Mapping[str, Any]], after: str | None) -> dict[str, Any]:
    return {"object": "list", "data": rows, "next_after": after}


def served(pages: Mapping[str, Any], work: Callable[[Address], Awaitable[T]]) -> T:
    """Serve a document for each path; remember nothing."""

    async def play(asked: bytes, writer: asyncio.StreamWriter) -> None:
        assert b"authorization: Bearer secret" in asked
        path = asked.split(b" ")[1].decode()
        found = pages.get(path)
        status = 404 if found is None else 200
        writer.write(body_answer(json.dumps(found).encode(), status))

    async def scene() -> T:
        async with wire_server(play) as address:
            return await work(address)

    return asyncio.run(scene())


def records(pages: Mapping[str, Any]) -> tuple[RecordSeen, ...]:
    return served(pages, lambda address: accounts.records(address, "secret"))


def test_a_record_is_read_whole() -> None:
    assert accounts.record_of(ROW) == RecordSeen(
        id="req_1",
        status="completed",
        model="m",
        end_customer="call-000001",
        key_id="key_1",
        cost_nano=12,
        held_nano=99,
        input_tokens=10,
        cached_tokens=3,
        output_tokens=4,
        ended_us=1_769_846_400_000_250,
    )


def test_a_record_that_is_not_known_is_none() -> None:
    found = served(
        {"/v1/requests/req_1": ROW},
        lambda address: accounts.record_or_none(address, "secret", "req_1"),
    )
    assert found == accounts.record_of(ROW)
    assert served({}, lambda address: accounts.record_or_none(address, "secret", "x")) is None


def test_a_running_record_has_no_tokens_and_an_untold_cache_is_empty() -> None:
    running = accounts.record_of({**ROW, "usage": None, "ended_at": None})
    assert running.ended_us is None
    assert (running.input_tokens, running.output_tokens, running.cached_tokens) == (None, None, 0)
    untold = accounts.record_of({**ROW, "usage": {"prompt_tokens": 1, "completion_tokens": 2}})
    assert untold.cached_tokens == 0


def test_every_page_is_read_in_order() -> None:
    rows = [{**ROW, "id": f"req_{n}"} for n in range(5)]
    found = records(
        {
            "/v1/requests?limit=100": page(rows[:2], "req_1"),
            "/v1/requests?limit=100&after=req_1": page(rows[2:4], "req_3"),
            "/v1/requests?limit=100&after=req_3": page(rows[4:], None),
        }
    )
    assert [record.id for record in found] == ["req_0", "req_1", "req_2", "req_3", "req_4"]


def test_no_calls_are_no_records() -> None:
    assert records({"/v1/requests?limit=100": page([], None)}) == ()


def test_pages_that_never_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "PAGES_MAX", 3)
    circle = page([ROW], "x")
    with pytest.raises(BrokenWire, match="no end"):
        records({"/v1/requests?limit=100": circle, "/v1/requests?limit=100&after=x": circle})


def test_a_refusal_is_told_with_its_path() -> None:
    with pytest.raises(BrokenWire, match=r"/v1/requests.*404"):
        records({})


def test_the_balance_is_what_is_left_and_not_held() -> None:
    def row(scope: str, limit: int | None) -> dict[str, Any]:
        return {
            "scope": scope,
            "owner_id": scope,
            "limit": None if limit is None else {"amount_nano": limit},
            "spent": {"amount_nano": 30},
            "held": {"amount_nano": 5},
        }

    document = {"limits": [row("balance", 100), row("key", None)]}
    left = served(
        {"/v1/balance": document}, lambda address: accounts.balance_nano(address, "secret")
    )
    assert left == 65


@pytest.mark.parametrize(("status", "found"), [(401, 0), (200, 1)])
def test_a_key_that_is_refused_has_no_levels(status: int, found: int) -> None:
    limit = {"scope": "key", "owner_id": "k", "limit": None}
    amounts = {"spent": {"amount_nano": 1}, "held": {"amount_nano": 2}}
    body = json.dumps({"limits": [limit | amounts]}).encode()

    async def play(_asked: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(body_answer(body, status))

    async def scene() -> int:
        async with wire_server(play) as address:
            return len(await accounts.levels_if_valid(address, "secret"))

    assert asyncio.run(scene()) == found


def test_an_account_that_cannot_be_read_is_no_revoked_key() -> None:
    with pytest.raises(BrokenWire, match="404"):
        served({}, lambda address: accounts.levels_if_valid(address, "secret"))
