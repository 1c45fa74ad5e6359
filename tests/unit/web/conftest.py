"""The account API over a real embedded store and a scripted engine, without a socket."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.booth import PEPPER, TestBooth, open_test_booth
from tests.support.settled import SEED
from tokenbooth.access.keys import service as keys
from tokenbooth.core.op import Op
from tokenbooth.core.ports import CallHead
from tokenbooth.engines.scripted.values import ScriptOptions
from tokenbooth.money.receipts.service import Signer
from tokenbooth.protocols.dialect import Answer
from tokenbooth.web.routes import WebRooms, WebRoute, account_routes


class Account:
    """Calls the routes as the booth's own key would, past authentication."""

    def __init__(self, booth: TestBooth) -> None:
        self.booth = booth
        self.rooms = WebRooms(
            store=booth.store,
            engines=booth.rooms.engines,
            metrics=booth.rooms.metrics,
            settlements=booth.rooms.till,
            metrics_loopback_only=True,
            signer=Signer(SEED),
            sealing_key=b"s" * 32,
        )
        self.routes: dict[str, WebRoute] = {
            r.pattern if r.method == "GET" else f"{r.method} {r.pattern}": r
            for r in account_routes(self.rooms)
        }

    async def op(self, secret: str | None = None) -> Op:
        """An Op of the key's own caller."""
        op = self.booth.new_op()
        caller = await self.booth.store.read(
            lambda tx: keys.authenticate(op, tx, secret or self.booth.secret, PEPPER)
        )
        return replace(op, caller=caller)

    async def answer(
        self,
        pattern: str,
        query: Mapping[str, str] | None = None,
        *,
        secret: str | None = None,
        **path_values: str,
    ) -> Answer:
        route = self.routes[pattern]
        await self.booth.rooms.till.flushed()
        op = self.booth.new_op() if route.scope is None else await self.op(secret)
        head = CallHead(route.method, pattern, {}, query or {}, path_values)
        return await route.answer(op, head)

    async def get(self, pattern: str, query: Mapping[str, str] | None = None, **more: Any) -> Any:
        """The decoded document of a 200."""
        answer = await self.answer(pattern, query, **more)
        assert answer.status == 200
        assert ("content-type", "application/json") in answer.headers
        return msgspec.json.decode(answer.body)


Scene = Callable[[Account], Awaitable[None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., None]:
    """Run one scene against a fresh booth, each time in a directory of its own."""
    plays = itertools.count()

    def run(scene: Scene, *scripts: ScriptOptions, **booth_options: Any) -> None:
        directory = tmp_path / str(next(plays))
        directory.mkdir()

        async def work() -> None:
            async with open_test_booth(directory, *scripts, **booth_options) as booth:
                await scene(Account(booth))

        asyncio.run(work())

    return run
