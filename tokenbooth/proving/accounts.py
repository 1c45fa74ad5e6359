"""Reads an organization's account over the API, as its owner would."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tokenbooth.proving.client import Address, Ask, WholeAnswer, bearer, call
from tokenbooth.proving.observations import LevelSeen, RecordSeen
from tokenbooth.proving.wire import BrokenWire

BALANCE = "/v1/balance"
PAGE_ROWS = 100
PAGES_MAX = 100_000


async def levels(address: Address, secret: str) -> tuple[LevelSeen, ...]:
    """``GET /v1/balance``: the limits that bind this key. Raises BrokenWire."""
    document = await _get(address, BALANCE, secret)
    return tuple(map(level_of, document["limits"]))


async def levels_if_valid(address: Address, secret: str) -> tuple[LevelSeen, ...]:
    """The same, and nothing for a key that was revoked."""
    answer = await call(address, Ask("GET", BALANCE, bearer(secret)))
    if answer.status == 401:
        return ()
    return tuple(map(level_of, _document(BALANCE, answer)["limits"]))


async def balance_nano(address: Address, secret: str) -> int:
    """What is left and not held."""
    (balance,) = (level for level in await levels(address, secret) if level.scope == "balance")
    return (balance.limit_nano or 0) - balance.spent_nano - balance.held_nano


async def record_or_none(address: Address, secret: str, request_id: str) -> RecordSeen | None:
    """``GET /v1/requests/{id}``; ``None`` while nothing is known of it."""
    path = f"/v1/requests/{request_id}"
    answer = await call(address, Ask("GET", path, bearer(secret)))
    return None if answer.status == 404 else record_of(_document(path, answer))


async def records(address: Address, secret: str) -> tuple[RecordSeen, ...]:
    """Every page of ``GET /v1/requests``, newest first."""
    found: list[RecordSeen] = []
    after = ""
    for _ in range(PAGES_MAX):
        page = await _get(address, f"/v1/requests?limit={PAGE_ROWS}{after}", secret)
        found += map(record_of, page["data"])
        if page["next_after"] is None:
            return tuple(found)
        after = f"&after={page['next_after']}"
    raise BrokenWire("the pages of /v1/requests have no end")


def level_of(row: Mapping[str, Any]) -> LevelSeen:
    """Read one entry of ``limits``."""
    limit = row["limit"]
    return LevelSeen(
        scope=row["scope"],
        owner_id=row["owner_id"],
        limit_nano=None if limit is None else limit["amount_nano"],
        spent_nano=row["spent"]["amount_nano"],
        held_nano=row["held"]["amount_nano"],
    )


def record_of(row: Mapping[str, Any]) -> RecordSeen:
    """Read one call record."""
    usage = row["usage"] or {}
    cached = usage.get("prompt_tokens_details", {}).get("cached_tokens", 0)
    return RecordSeen(
        id=row["id"],
        status=row["status"],
        model=row["model"],
        end_customer=row["end_customer"],
        key_id=row["key_id"],
        cost_nano=row["cost"]["amount_nano"],
        held_nano=row["held"]["amount_nano"],
        input_tokens=usage.get("prompt_tokens"),
        cached_tokens=cached,
        output_tokens=usage.get("completion_tokens"),
        ended_us=time_us(row["ended_at"]),
    )


def time_us(text: str | None) -> int | None:
    """Microseconds of Unix time of an ISO 8601 text."""
    if text is None:
        return None
    return (datetime.fromisoformat(text) - datetime.fromtimestamp(0, UTC)) // timedelta(
        microseconds=1
    )


async def _get(address: Address, path: str, secret: str) -> Mapping[str, Any]:
    return _document(path, await call(address, Ask("GET", path, bearer(secret))))


def _document(path: str, answer: WholeAnswer) -> Mapping[str, Any]:
    if answer.status != 200:
        raise BrokenWire(f"GET {path} answered {answer.status}: {answer.body[:200]!r}")
    return answer.document()
