"""Holds what was charged against postings, calls and the engines' own counters."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from tokenbooth.catalog.models import service as catalog
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Store, Tx
from tokenbooth.engines.port import Engine
from tokenbooth.gateway.rooms import Rooms
from tokenbooth.money.reconcile import service as reconcile
from tokenbooth.money.reconcile.service import EVERYBODY, EngineFinding, LedgerFinding, Reading

US_PER_S = 1_000_000
# What a call of a model without any stated bound may produce.
CALL_TOKENS_MAX = 1_000_000
# In this time other processes tell the ledger of calls that have ended.
SETTLE_WAIT_S = 3.0


@dataclass(frozen=True, slots=True)
class Counted:
    """One deployment's opened engine; ``replica_id`` and ``epoch`` are whose calls run on it."""

    model: catalog.Model
    deployment: catalog.Deployment
    engine: Engine
    replica_id: str
    epoch: int


class Reconciler:
    """One look at everything; the loop that repeats it is a worker's.

    ``started_us`` is when this process, and with it every engine of its own, began to count.
    """

    def __init__(
        self, rooms: Rooms, pause: Callable[[float], Awaitable[None]], *, started_us: int
    ) -> None:
        self._rooms = rooms
        self._pause = pause
        self._started_us = started_us
        self._differences: dict[str, int] = {}
        self.ledger_difference_nano = 0
        self.finished_s = 0

    @property
    def engine_differences(self) -> Mapping[str, int]:
        """In tokens, by deployment, as they were last found."""
        return dict(self._differences)

    async def run(self, op: Op, period_us: int) -> None:
        """Prove the ledger, if nobody did within half a period, and read every engine."""
        rooms = self._rooms
        if await rooms.store.read(partial(_is_due, op, period_us // 2)):
            await rooms.till.flushed()
            finding = await check_ledger(op, rooms.store, rooms.till.replica_id, in_full=False)
            self.ledger_difference_nano = finding.difference_nano
        await self.check_engines(op)
        self.finished_s = op.now() // US_PER_S

    async def check_engines(self, op: Op) -> tuple[EngineFinding, ...]:
        """Compare every engine that is open and counts; those that tell nothing are left out."""
        rooms = self._rooms
        readings = [r for r in [await read_counters(op, c) for c in await self._counted(op)] if r]
        if not readings:
            return ()
        await rooms.till.flushed()
        await self._pause(SETTLE_WAIT_S)
        found = await _compared(op, rooms.store, readings, self._started_us)
        self._differences |= {f.deployment_id: f.difference_tokens for f in found}
        return found

    async def _counted(self, op: Op) -> list[Counted]:
        rooms = self._rooms
        models = await rooms.store.read(lambda tx: catalog.models(op, tx))
        pairs = ((m, d, rooms.engines.opened(d.id)) for m in models for d in m.deployments)
        own = (rooms.till.replica_id, rooms.till.epoch)
        return [Counted(m, d, engine, *own) for m, d, engine in pairs if engine is not None]


async def check_upstreams(
    op: Op,
    store: Store,
    make: Callable[[catalog.Deployment], Engine],
    pause: Callable[[float], Awaitable[None]],
) -> tuple[EngineFinding, ...]:
    """Compare the engines that run elsewhere, from any process: their counters are everybody's."""
    readings: list[Reading] = []
    for model in await store.read(lambda tx: catalog.models(op, tx)):
        for deployment in model.deployments:
            if deployment.engine is not catalog.EngineKind.UPSTREAM:
                continue
            engine = make(deployment)
            await engine.open()
            try:
                reading = await read_counters(op, Counted(model, deployment, engine, EVERYBODY, 0))
            finally:
                await engine.close()
            if reading is not None:
                readings.append(reading)
    if not readings:
        return ()
    await pause(SETTLE_WAIT_S)
    return await _compared(op, store, readings, 0)


async def _compared(
    op: Op, store: Store, readings: Iterable[Reading], started_us: int
) -> tuple[EngineFinding, ...]:
    found = [await check_engine(op, store, reading, started_us) for reading in readings]
    return tuple(finding for finding in found if finding is not None)


async def read_counters(op: Op, counted: Counted) -> Reading | None:
    """``None`` for an engine that tells nothing now."""
    from_us = op.now()
    told = await counted.engine.counters()
    if told is None:
        return None
    window = counted.engine.capabilities.context_tokens or counted.model.context_tokens
    return Reading(
        deployment_id=counted.deployment.id,
        model=counted.model.name,
        replica_id=EVERYBODY if told.shared else counted.replica_id,
        epoch=0 if told.shared else counted.epoch,
        generation=told.generation,
        input_tokens=told.input_tokens,
        output_tokens=told.output_tokens,
        with_cached=told.with_cached,
        rounding_tokens=told.rounding_tokens,
        call_tokens_max=window or CALL_TOKENS_MAX,
        from_us=from_us,
        until_us=op.now(),
    )


async def check_ledger(
    op: Op, store: Store, replica_id: str, *, in_full: bool = True
) -> LedgerFinding:
    """Rebuild everything on a snapshot, and keep what was found; if not ``in_full``, without the
    costs that the last sound look has computed."""
    finding = await store.read(partial(_examine, op, in_full))
    await store.write(lambda tx: reconcile.keep_ledger(op, tx, finding, replica_id))
    if not finding.sound:
        op.log.fault(
            "ledger_not_sound",
            difference_nano=finding.difference_nano,
            problems=len(finding.verification.problems),
        )
    return finding


async def check_engine(
    op: Op, store: Store, reading: Reading, started_us: int
) -> EngineFinding | None:
    """Compare with the last reading, and keep both; ``None`` for a first one."""
    finding = await store.write(
        lambda tx: reconcile.check_engine(op, tx, reading, started_us=started_us)
    )
    if finding is not None and not finding.sound:
        op.log.fault(
            "engine_counts_differ",
            deployment_id=finding.deployment_id,
            input_difference=finding.input_difference,
            output_difference=finding.output_difference,
        )
    return finding


def _examine(op: Op, in_full: bool, tx: Tx) -> LedgerFinding:
    return reconcile.examine(op, tx, only_new_costs=not in_full)


def _is_due(op: Op, period_us: int, tx: Tx) -> bool:
    return reconcile.is_due(op, tx, period_us)
