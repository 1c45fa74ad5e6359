"""What an earlier run of this replica left behind: booked first, then its leases are given back.

Nothing is served before that.
"""

from dataclasses import replace
from functools import partial

from tokenbooth.core.op import Op
from tokenbooth.core.ports import Store, Tx
from tokenbooth.core.problem import Problem
from tokenbooth.gateway.options import TillOptions
from tokenbooth.money.journal.service import Disk, Journal, JournalStart, settled_calls
from tokenbooth.money.leases import service as leases
from tokenbooth.money.leases.service import Pool, PoolOptions, RoundAsk, SettledCall


async def recovered(
    store: Store, op: Op, disk: Disk, journal_id: bytes, replica_id: str, options: TillOptions
) -> tuple[Pool, Journal]:
    """The empty pool and the journal of a new epoch, after everything older is in the ledger.

    Raises STATE_CONFLICT where the leases belong to another journal, or where the journal is
    damaged; LEDGER_UNAVAILABLE.
    """
    epoch = await store.write(lambda tx: leases.enroll(op, tx, replica_id, journal_id.hex()))
    journal = Journal(disk, JournalStart(journal_id=journal_id, replica=replica_id, epoch=epoch))
    left = settled_calls(journal.replay, op.now())
    books = _Books(
        store, op, RoundAsk(replica_id=replica_id, epoch=epoch, number=0, recovers=True), options
    )
    for at in range(0, len(left), options.round_calls_max):
        await books.take(left[at : at + options.round_calls_max])
    returned_nano = await store.write(lambda tx: leases.close(op, tx, replica_id))
    journal.forget(tuple(books.taken))
    if left or returned_nano:
        op.log.event(
            "replica_recovered", replica_id=replica_id, calls=len(left), returned_nano=returned_nano
        )
    bounds = PoolOptions(
        block_nano_max=options.block_nano_max,
        idle_us=options.idle_ms * 1000,
        round_calls_max=options.round_calls_max,
    )
    return Pool(replica_id, epoch, bounds, rounds=books.rounds), journal


class _Books:
    """Books what the journal held. A call that the ledger cannot take, as in a database that was
    restored to before its key or price, or where its limit has no room any more, keeps no other
    from its place; it stays in the journal."""

    def __init__(self, store: Store, op: Op, first: RoundAsk, options: TillOptions) -> None:
        self._store = store
        self._op = op
        self._first = first
        self._percents = options.alert_percents
        self.rounds = 0
        self.taken: list[str] = []

    async def take(self, calls: tuple[SettledCall, ...]) -> None:
        ask = replace(self._first, number=self.rounds + 1, settled=calls)
        ids = tuple(call.facts.request_id for call in calls)
        try:
            await self._store.write(partial(_book, self._op, ask, self._percents))
        except Problem:
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, the other calls have to be booked
            if len(calls) == 1:
                self._op.log.fault("call_not_bookable", error, request_id=ids[0])
                return
            half = len(calls) // 2
            await self.take(calls[:half])
            await self.take(calls[half:])
            return
        self.rounds += 1
        self.taken += ids


def _book(op: Op, ask: RoundAsk, alert_percents: tuple[int, ...], tx: Tx) -> None:
    leases.book(op, tx, ask, alert_percents)
