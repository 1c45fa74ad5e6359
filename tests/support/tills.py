"""Tills as gateway processes have them, several over one database, without a server around them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.ops import SilentLog
from tokenbooth.booth import SystemClock, SystemRandomness
from tokenbooth.core.op import Op
from tokenbooth.gateway.books import StoreBooks
from tokenbooth.gateway.options import TillOptions
from tokenbooth.gateway.recovery import recovered
from tokenbooth.gateway.till import Till
from tokenbooth.money.journal.service import JournalDriver, open_directory
from tokenbooth.store.open import AsyncStore, open_store
from tokenbooth.store.options import StoreOptions

OPTIONS = TillOptions(money_wait_max_s=30)


@dataclass(frozen=True)
class OpenTill:
    """A till, the store that it tells, and the context of its calls."""

    till: Till
    store: AsyncStore
    op: Op


@asynccontextmanager
async def open_till(
    options: StoreOptions, directory: Path, name: str, till_options: TillOptions = OPTIONS
) -> AsyncIterator[OpenTill]:
    """The process of that name, with its journal under ``directory``; it books what it left."""
    clock = SystemClock()
    op = Op("req_test", clock.now_us, SilentLog(), actor=name)
    store = open_store(options)
    disk, journal_id = open_directory(directory / name, SystemRandomness())
    pool, journal = await recovered(store, op, disk, journal_id, name, till_options)
    books = StoreBooks(store, till_options.alert_percents)
    till = Till(books, pool, JournalDriver(journal), clock, till_options)
    till.start(lambda: op)
    try:
        yield OpenTill(till, store, op)
    finally:
        await till.close()
        await store.close()


@asynccontextmanager
async def open_tills(
    options: StoreOptions, directory: Path, count: int
) -> AsyncIterator[tuple[OpenTill, ...]]:
    """Processes that share one database."""
    async with AsyncExitStack() as stack:
        yield tuple(
            [
                await stack.enter_async_context(open_till(options, directory, f"replica-{number}"))
                for number in range(count)
            ]
        )
