"""Two tenants and their idempotency claims over one database, in a few words."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy import text

from tests.support.ops import CountingIds, ManualClock, SilentLog
from tokenbooth.access.orgs import service as orgs
from tokenbooth.content.replays import service as replays
from tokenbooth.content.replays.service import Claim, ClaimAsk, Over
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.store.open import open_store
from tokenbooth.store.options import StoreOptions

T = TypeVar("T")

KEEP_US = 24 * 3600 * 1_000_000


class ClaimDesk:
    """``ours`` and ``theirs`` are projects of two organizations. Every verb is a transaction."""

    def __init__(self, options: StoreOptions) -> None:
        self.clock = ManualClock()
        self.op = Op("req_test", self.clock.now_us, SilentLog(), actor="tester")
        self._runner = asyncio.Runner()
        self._store = self._runner.run(self._open(options))
        ids = CountingIds()
        self.owners: dict[str, str] = {}
        for name in ("acme", "other"):
            org = self.write(lambda op, tx, n=name: orgs.create_org(op, tx, n, ids))
            (project,) = self.read(lambda op, tx, o=org: orgs.projects(op, tx, o.id))
            self.owners[project.id] = org.id
        self.ours, self.theirs = self.owners

    async def _open(self, options: StoreOptions) -> Any:
        return open_store(options)

    def close(self) -> None:
        self._runner.run(self._store.close())
        self._runner.close()

    def write(self, verb: Callable[..., T]) -> T:
        return self._runner.run(self._store.write(lambda tx: verb(self.op, tx)))

    def read(self, verb: Callable[..., T]) -> T:
        return self._runner.run(self._store.read(lambda tx: verb(self.op, tx)))

    def write_together(self, verbs: Sequence[Callable[[Op, Tx], T]]) -> list[T | BaseException]:
        """All at once, each in a transaction of its own."""

        async def all_of_them() -> list[T | BaseException]:
            tasks = (self._store.write(lambda tx, v=verb: v(self.op, tx)) for verb in verbs)
            return await asyncio.gather(*tasks, return_exceptions=True)

        return self._runner.run(all_of_them())

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        return self.read(lambda op, tx: [tuple(row) for row in tx.execute(text(statement))])

    def ask(self, request_id: str = "req_1", **fields: Any) -> ClaimAsk:
        """A call of ``ours`` with the key ``k`` and some body, unless told otherwise."""
        project_id = fields.get("project_id", self.ours)
        plain = ClaimAsk(
            org_id=self.owners[project_id],
            project_id=project_id,
            key="k",
            body_sha256=b"b" * 32,
            request_id=request_id,
            replica_id="rep_a",
            epoch=1,
            keep_us=KEEP_US,
        )
        return replace(plain, **fields)

    def claim(self, request_id: str = "req_1", **fields: Any) -> Claim | None:
        ask = self.ask(request_id, **fields)
        return self.write(lambda op, tx: replays.claim(op, tx, ask))

    def release(self, request_id: str = "req_1", **fields: Any) -> None:
        ask = self.ask(request_id, **fields)
        self.write(lambda op, tx: replays.release(op, tx, ask))

    def finish(self, request_id: str = "req_1", over: Over | None = None, **fields: Any) -> None:
        """Completed with the sealed answer ``b"sealed"``, unless told otherwise."""
        ask = self.ask(request_id, **fields)
        ended = over or Over("completed", whole=True, sealed=b"sealed")
        self.write(lambda op, tx: replays.finish(op, tx, ask, ended))

    def keep(self, *, kept: bool, project_id: str | None = None) -> None:
        owner = project_id or self.ours
        self.write(lambda op, tx: replays.keep_answers(op, tx, owner, kept=kept))


@contextmanager
def opened_desk(options: StoreOptions) -> Iterator[ClaimDesk]:
    desk = ClaimDesk(options)
    try:
        yield desk
    finally:
        desk.close()
