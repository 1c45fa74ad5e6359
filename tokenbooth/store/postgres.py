"""PostgreSQL: asyncpg under SQLAlchemy; verbs run in greenlets beside the event loop.

The drivers are an extra of the package and are imported here only, when a store is opened.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn, TypeVar

from sqlalchemy import URL, Connection, NullPool, make_url
from sqlalchemy.exc import DBAPIError

from tokenbooth.core.codes import Code
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.store.faults import FAILURES, is_outage, sqlstate, unavailable
from tokenbooth.store.options import StoreBounds, StoreOptions

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

T = TypeVar("T")

# Between the tries of a verb that met a conflict; about 1.3 s in all.
PAUSES_S = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.2, 0.2, 0.2, 0.2, 0.2)
# serialization_failure, deadlock_detected: the transaction was rolled back and may run again
RETRIED_STATES = frozenset({"40001", "40P01"})


def _driver_url(options: StoreOptions) -> URL:
    url = make_url(options.url)
    return url.set(drivername="postgresql+asyncpg")


def _engine(options: StoreOptions, bounds: StoreBounds, *, pooled: bool) -> "AsyncEngine":
    try:
        import asyncpg as _asyncpg  # noqa: F401, PLC0415 - an optional dependency, owned by this file
        import greenlet as _greenlet  # type: ignore[import-untyped]  # noqa: F401, PLC0415
        from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415
    except ImportError as error:
        raise Problem(
            Code.LEDGER_UNAVAILABLE,
            f"PostgreSQL needs {error.name}: run pip install 'tokenbooth[postgres]'.",
        ) from error
    wait_s = bounds.wait_ms / 1000
    connect_args = {
        "timeout": wait_s,
        "command_timeout": 12 * wait_s,
        "server_settings": {
            "lock_timeout": f"{bounds.wait_ms}ms",
            "idle_in_transaction_session_timeout": f"{12 * bounds.wait_ms}ms",
            "jit": "off",
        },
    }
    if not pooled:
        return create_async_engine(
            _driver_url(options), poolclass=NullPool, connect_args={"timeout": wait_s}
        )
    return create_async_engine(
        _driver_url(options),
        pool_size=bounds.connections_max,
        max_overflow=0,
        pool_timeout=wait_s,
        connect_args=connect_args,
    )


class PostgresStore:
    """Satisfies ``core.ports.Store``.

    Writes are READ COMMITTED, with the rows locked that a verb decides on; reads see one snapshot.
    Deadlocks and serialization conflicts run the verb again, a bounded number of times; so does a
    connection lost before its COMMIT was sent. A transaction once begun runs to its end even when
    its waiter is cancelled.
    """

    def __init__(self, options: StoreOptions, bounds: StoreBounds) -> None:
        self._bounds = bounds
        self._engine = _engine(options, bounds, pooled=True)
        self._snapshots = self._engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._running: set[asyncio.Task[object]] = set()
        self._closed = False

    async def read(self, verb: Callable[[Tx], T]) -> T:
        """Run ``verb`` on a snapshot; PostgreSQL refuses it any write."""
        return await self._submit(self._snapshots, verb)

    async def write(self, verb: Callable[[Tx], T]) -> T:
        """Run ``verb``; when this returns, PostgreSQL has made its effects durable."""
        return await self._submit(self._engine, verb)

    async def close(self) -> None:
        self._closed = True
        if self._running:
            await asyncio.wait(self._running)
        await self._engine.dispose()

    async def _submit(self, engine: "AsyncEngine", verb: Callable[[Tx], T]) -> T:
        if self._closed:
            raise unavailable("the store is closed")
        if len(self._running) >= self._bounds.queue_max:
            raise unavailable("the store's queue is full")
        task = asyncio.ensure_future(self._run(engine, verb))
        self._running.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    def _done(self, task: asyncio.Task[object]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # marked as seen: the waiter may have been cancelled

    async def _run(self, engine: "AsyncEngine", verb: Callable[[Tx], T]) -> T:
        for pause_s in PAUSES_S:
            attempt = _Attempt(engine)
            try:
                return await attempt.run(verb)
            except FAILURES as error:
                if not attempt.may_repeat(error):
                    _tell(error)
            await asyncio.sleep(pause_s)
        try:
            return await _Attempt(engine).run(verb)
        except FAILURES as error:
            _tell(error)


class _Attempt:
    """One transaction, and what its failure means."""

    def __init__(self, engine: "AsyncEngine") -> None:
        self._engine = engine
        self._connected = False
        self._committing = False

    async def run(self, verb: Callable[[Tx], T]) -> T:
        async with self._engine.connect() as connection:
            self._connected = True
            transaction = await connection.begin()
            result = await connection.run_sync(verb)
            self._committing = True
            await transaction.commit()
            return result

    def may_repeat(self, error: BaseException) -> bool:
        """Only where it is certain that nothing was committed, and likely that it helps."""
        if sqlstate(error) in RETRIED_STATES:
            return True
        lost = isinstance(error, DBAPIError) and error.connection_invalidated
        return lost and self._connected and not self._committing


def _tell(error: BaseException) -> NoReturn:
    raise unavailable(repr(error)) if is_outage(error) else error


def run_once_postgres(options: StoreOptions, work: Callable[[Connection], T]) -> T:
    """Run ``work`` in one transaction of its own; not from inside an event loop."""

    async def scene() -> T:
        engine = _engine(options, StoreBounds(), pooled=False)
        try:
            async with engine.begin() as connection:
                return await connection.run_sync(work)
        finally:
            await engine.dispose()

    try:
        return asyncio.run(scene())
    except FAILURES as error:
        _tell(error)
