"""What one replica does beside answering calls."""

from collections.abc import Callable

from tokenbooth.access.keys import service as keys
from tokenbooth.catalog.models import service as catalog
from tokenbooth.content.files import service as files
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.problem import Problem
from tokenbooth.gateway.rooms import Rooms
from tokenbooth.money.leases import service as leases
from tokenbooth.workers.loop import Loop
from tokenbooth.workers.options import WorkerOptions


class Upkeep:
    """The verbs of the loops; each is one short round."""

    def __init__(self, rooms: Rooms, new_op: Callable[[], Op], options: WorkerOptions) -> None:
        self._rooms = rooms
        self._new_op = new_op
        self._options = options
        self._catalog_revision: int | None = None

    def loops(self) -> tuple[Loop, ...]:
        options = self._options
        return (
            Loop("revocations", options.revocation_every_ms, self.stop_revoked),
            Loop("catalog", options.catalog_every_ms, self.follow_catalog),
            Loop("beat", options.beat_every_ms, self.beat),
            Loop("replays", options.replays_every_ms, self.tidy_replays),
            Loop("files", options.replays_every_ms, self.tidy_files),
            Loop("responses", options.replays_every_ms, self.tidy_responses),
            Loop("cancels", options.revocation_every_ms, self.stop_cancelled),
            Loop("health", options.beat_every_ms, self._rooms.engines.health),
        )

    async def stop_revoked(self) -> int:
        """End the running calls of keys that were revoked or have expired."""
        running = self._rooms.live.key_ids()
        if not running:
            return 0
        op = self._new_op()
        revoked = await self._rooms.store.read(lambda tx: keys.revoked_among(op, tx, running))
        problem = Problem(Code.REVOKED_KEY, "The key was revoked during this call.")
        return self._rooms.live.stop_keys(revoked, problem)

    async def follow_catalog(self) -> None:
        """Let go of the engines and queues of deployments that the operator removed."""
        op = self._new_op()
        revision = await self._rooms.store.read(lambda tx: catalog.revision(op, tx))
        if revision == self._catalog_revision:
            return
        models = await self._rooms.store.read(lambda tx: catalog.models(op, tx))
        offered = frozenset(d.id for m in models for d in m.deployments)
        await self._rooms.engines.keep_only(offered)
        self._rooms.gates.keep_only(offered)
        self._catalog_revision = revision

    async def tidy_replays(self) -> int:
        """Resolve claims that calls left behind, and delete stored answers whose time is over."""
        await self._rooms.replays.sweep(self._new_op())
        return await self._rooms.replays.tidy(self._new_op())

    async def tidy_files(self) -> int:
        """Delete uploaded files whose time is over."""
        op = self._new_op()
        return await self._rooms.store.write(lambda tx: files.drop_expired(op, tx))

    async def tidy_responses(self) -> int:
        """End responses that nobody runs any more, and delete those whose time is over."""
        await self._rooms.background.sweep(self._new_op())
        return await self._rooms.responses.tidy(self._new_op())

    async def stop_cancelled(self) -> int:
        """End the background calls here whose callers asked for that elsewhere."""
        return await self._rooms.background.stop_cancelled(self._new_op())

    async def beat(self) -> None:
        """Say that this replica lives, so that others wait for what it gives back."""
        op, till = self._new_op(), self._rooms.till
        await self._rooms.store.write(lambda tx: leases.beat(op, tx, till.replica_id, till.epoch))
