"""The money of a replica, opened after what its last run left is booked."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

from tokenbooth.booth import Booth
from tokenbooth.control.instance import InstancePaths
from tokenbooth.control.serving import serving_lock
from tokenbooth.core.problem import Problem
from tokenbooth.gateway.books import Books, StoreBooks
from tokenbooth.gateway.recovery import recovered
from tokenbooth.gateway.till import Till
from tokenbooth.money.journal.service import JournalDriver, open_directory

OpenTill = Callable[[Booth, Books], AbstractAsyncContextManager[Till]]


@asynccontextmanager
async def open_till(booth: Booth, books: Books) -> AsyncIterator[Till]:
    """The money of this replica, after what its last run left is booked."""
    settings, replica = booth.settings, booth.settings.gateway.replica
    paths = InstancePaths(settings.data_dir)
    disk, journal_id = open_directory(paths.journal(replica), booth.randomness)
    try:
        pool, journal = await recovered(
            booth.store, booth.op("replica"), disk, journal_id, replica, settings.till
        )
    except BaseException:
        disk.release()
        raise
    till = Till(books, pool, JournalDriver(journal), booth.clock, settings.till)
    till.start(lambda: booth.op("till"))
    try:
        yield till
    finally:
        await till.close()


async def adopt_left(booth: Booth, workers: int) -> None:
    """Book what workers of this replica left behind that serve no more: those over that number."""
    paths, replica = InstancePaths(booth.settings.data_dir), booth.settings.gateway.replica
    for name in sorted(path.name for path in paths.replicas.glob(f"{replica}-w*")):
        number = name.removeprefix(f"{replica}-w")
        if not number.isdigit() or int(number) <= workers:
            continue
        as_it = replace(booth, settings=booth.settings.listening(None, None, name))
        try:
            with serving_lock(booth.settings.data_dir, name):
                async with open_till(as_it, books_of(booth)):
                    """Opening it books everything, closing it gives its leases back."""
        except Problem as problem:
            booth.log.fault("replica_not_adopted", problem, replica_id=name)


def books_of(booth: Booth) -> StoreBooks:
    """The ledger, told by this very process."""
    return StoreBooks(booth.store, booth.settings.till.alert_percents)
