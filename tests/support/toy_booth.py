"""A booth of a hundred lines, honest unless told otherwise, for drills without any process.

It speaks what drills ask for: chat calls with a script in the prompt, whole or streamed, balances,
and single records. One cap for each key and one balance for all of them.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from tests.support.wire_server import (
    LAST_CHUNK,
    body_answer,
    event_chunk,
    wire_server,
)
from tokenbooth.proving.accounts import level_of, record_of
from tokenbooth.proving.client import Address
from tokenbooth.proving.drills.laws import cost_nano
from tokenbooth.proving.drills.play import DrillOptions, Scene
from tokenbooth.proving.drills.script import TURN_TOKENS, script_tokens
from tokenbooth.proving.instance import PrivateInstance
from tokenbooth.proving.observations import AccountSeen, Evidence, LedgerSeen, PriceSeen, Saw
from tokenbooth.proving.stage import Stage, StageKey, StageModel, StagePlan

S = TypeVar("S", bound=Saw)

BALANCE_NANO = 10**12


def toy_stage(plan: StagePlan) -> Stage:
    """The stage of a plan, as if it had been made: secrets and ids are the names."""
    return Stage(
        orgs={org.name: org.name for org in plan.orgs},
        models={model.name: StageModel(model.name, model.price) for model in plan.models},
        keys={key.name: StageKey(key.name, key.name, key.org) for key in plan.keys},
        readers={org.name: f"reader-{org.name}" for org in plan.orgs},
    )


@dataclass
class ToyLevel:
    cap_nano: int
    spent_nano: int = 0
    held_nano: int = 0
    kept_nano: int = 0

    def row(self, owner: str) -> dict[str, Any]:
        amounts = {"limit": self.cap_nano, "spent": self.spent_nano, "held": self.held_nano}
        shown = {name: {"amount_nano": nano} for name, nano in amounts.items()}
        return {"scope": "key", "owner_id": owner, **shown}

    @property
    def room_nano(self) -> int:
        return self.cap_nano - self.spent_nano - self.held_nano - self.kept_nano


@dataclass
class ToyBooth:
    """``caps_nano`` by key; others are rich. ``refuse`` gives the answer to a call of a key, or
    ``None`` to serve it."""

    prices: dict[str, PriceSeen]
    caps_nano: dict[str, int] = field(default_factory=dict)
    refuse: Callable[[str], bytes | None] = lambda _key: None
    levels: dict[str, ToyLevel] = field(default_factory=dict)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    answer_tokens: int = 64
    running_max: int = 0
    running: int = 0

    def level(self, key: str) -> ToyLevel:
        return self.levels.setdefault(key, ToyLevel(self.caps_nano.get(key, BALANCE_NANO)))

    async def play(self, asked: bytes, writer: asyncio.StreamWriter) -> None:
        head, _, body = asked.partition(b"\r\n\r\n")
        verb, path, *_ = head.decode().split(" ")
        secret = re.search(r"Bearer (\S+)", head.decode())
        key = secret[1] if secret else ""
        if verb == "POST":
            self.running += 1
            self.running_max = max(self.running, self.running_max)
            try:
                strict = "x-tokenbooth-strict: 1" in head.decode()
                await self._chat(key, json.loads(body) | {"strict": strict}, writer)
            finally:
                self.running -= 1
        elif path == "/v1/balance":
            rows = [self.level(key).row(key), self._balance()]
            writer.write(body_answer(json.dumps({"limits": rows}).encode()))
        elif path.startswith("/v1/requests?"):
            page = {"data": list(self.records.values()), "next_after": None}
            writer.write(body_answer(json.dumps(page).encode()))
        else:
            found = self.records.get(path.rpartition("/")[2])
            writer.write(body_answer(json.dumps(found).encode(), 404 if found is None else 200))

    def _balance(self) -> dict[str, Any]:
        """One for all keys, and rich."""
        spent_nano = sum(level.spent_nano for level in self.levels.values())
        held_nano = sum(level.held_nano for level in self.levels.values())
        row = ToyLevel(BALANCE_NANO, spent_nano, held_nano).row("main")
        return {**row, "scope": "balance"}

    async def _chat(self, key: str, fields: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0)
        refusal = self.refuse(key)
        if refusal is not None:
            writer.write(refusal)
            return
        price, level = self.prices[fields["model"]], self.level(key)
        text = fields["messages"][-1]["content"]
        script = dict(re.findall(r"(\w+)=(\w+)", text))
        input_tokens = script_tokens(len(script)) if script else TURN_TOKENS + 1
        limit = fields.get("max_completion_tokens", self.answer_tokens)
        while cost_nano(price, input_tokens, limit) > level.room_nano and limit:
            limit -= 1
        lowered = limit < fields.get("max_completion_tokens", 1)
        if not limit or (fields["strict"] and lowered):
            writer.write(refused(level, cost_nano(price, input_tokens, 1)))
            return
        held_nano = cost_nano(price, input_tokens, limit)
        level.held_nano += held_nano
        for _ in range(3):
            await asyncio.sleep(0)
        each = 1 if "chunks" in script else self.answer_tokens
        said = int(script.get("chunks", 1)) * int(script.get("tokens_per_chunk", each))
        tokens = min(limit, said)
        paid_nano = cost_nano(price, input_tokens, tokens)
        level.held_nano = max(0, level.held_nano - held_nano)
        level.spent_nano += paid_nano
        usage = {"cost": {"amount_nano": paid_nano}, "limits": [level.row(key)]}
        request_id = self._record(fields, key, paid_nano, (input_tokens, tokens))
        _answer(writer, request_id, fields, tokens, usage)

    def _record(
        self, fields: dict[str, Any], key: str, paid_nano: int, tokens: tuple[int, int]
    ) -> str:
        request_id = f"req_{fields['user']}"
        self.records[request_id] = {
            "id": request_id,
            "status": "completed",
            "model": fields["model"],
            "end_customer": fields["user"],
            "key_id": key,
            "cost": {"amount_nano": paid_nano},
            "held": {"amount_nano": paid_nano},
            "usage": {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]},
            "ended_at": "2026-01-31T08:00:00.000250Z",
        }
        return request_id


def toy_evidence(booth: ToyBooth, saw: S) -> Evidence[S]:
    """What the toy's own books say after an attack."""
    records = tuple(map(record_of, booth.records.values()))
    spent_nano = sum(level.spent_nano for level in booth.levels.values())
    keys = {record.key_id for record in records}
    return Evidence(
        saw=saw,
        accounts=(AccountSeen("main", BALANCE_NANO, BALANCE_NANO - spent_nano, records),),
        levels=tuple(level_of(booth.level(key).row(key)) for key in sorted(keys)),
        ledger=LedgerSeen(0, 0, ()),
        prices=booth.prices,
        quiet=True,
        exit_statuses=(0,),
    )


def refused(level: ToyLevel, needed_nano: int) -> bytes:
    """A 429 with the numbers of the level, which says to wait where only holds are in the way."""
    waits = needed_nano <= level.cap_nano - level.spent_nano
    error = {
        "type": "insufficient_quota",
        "code": "spend_limit_reached",
        "limit_source": "key",
        "limit_nano": level.cap_nano,
        "spent_nano": level.spent_nano,
        "held_nano": level.held_nano,
        "needed_nano": needed_nano,
    }
    headers = ("retry-after: 0",) if waits else ()
    return body_answer(json.dumps({"error": error}).encode(), 429, headers)


def unavailable() -> bytes:
    """A 503 that says to come back."""
    error = json.dumps({"error": {"code": "billing_unavailable", "type": "server_error"}})
    return body_answer(error.encode(), 503, ("retry-after: 0",))


def _answer(
    writer: asyncio.StreamWriter, request_id: str, fields: dict[str, Any], tokens: int, usage: Any
) -> None:
    if not fields.get("stream"):
        body = json.dumps({"choices": [], "usage": usage}).encode()
        writer.write(body_answer(body, 200, (f"x-request-id: {request_id}",)))
        return
    head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
    writer.write(f"{head}x-request-id: {request_id}\r\n\r\n".encode())
    for delta in (*[{"content": "hi"}] * tokens, {}):
        writer.write(event_chunk(json.dumps({"choices": [{"index": 0, "delta": delta}]})))
    writer.write(event_chunk(json.dumps({"choices": [], "usage": usage})))
    writer.write(event_chunk("[DONE]") + LAST_CHUNK)


class ToyReplica:
    """A server process that is none: killing it only counts."""

    def __init__(self, address: Address, name: str = "main") -> None:
        self.address = address
        self.name = name
        self.done: list[str] = []

    def kill(self) -> None:
        self.done.append("kill")

    def start(self) -> None:
        self.done.append("start")


class ToyInstance:
    def __init__(self, address: Address, replicas: int, data_dir: Any = None) -> None:
        names = ["main", *(f"r{n}" for n in range(2, replicas + 1))]
        self.replicas = tuple(ToyReplica(address, name) for name in names)
        self.data_dir = data_dir


@asynccontextmanager
async def toy_scene(
    booth: ToyBooth, plan: StagePlan, *, seed: int = 1, replicas: int = 1, data_dir: Any = None
) -> AsyncIterator[Scene]:
    """A scene on a toy, whose replicas all answer at the same place."""
    async with wire_server(booth.play) as address:
        instance = ToyInstance(address, replicas, data_dir)
        yield Scene(
            options=DrillOptions(seed=seed, replicas=replicas),
            stage=toy_stage(plan),
            instance=cast("PrivateInstance", instance),
            progress=lambda _stage, _done, _total: None,
        )
