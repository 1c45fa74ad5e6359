"""What an earlier run of this replica left behind: booked first, then its leases are given back.

Nothing is served before that. A journal whose calls are not all booked keeps its leases frozen.
"""

from functools import partial

from tokenbooth.core.op import Op
from tokenbooth.core.ports import Store, Tx
from tokenbooth.gateway.options import TillOptions
from tokenbooth.money.journal.service import Disk, Journal, JournalStart, settled_calls
from tokenbooth.money.leases import service as leases
from tokenbooth.money.leases.service import Pool, PoolOptions, RoundAsk


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
    rounds = 0
    for at in range(0, len(left), options.round_calls_max):
        rounds += 1
        ask = RoundAsk(
            replica_id=replica_id,
            epoch=epoch,
            number=rounds,
            settled=left[at : at + options.round_calls_max],
        )
        await store.write(partial(_book, op, ask, options.alert_percents))
    returned_nano = await store.write(lambda tx: leases.close(op, tx, replica_id))
    journal.forget(tuple(call.facts.request_id for call in left))
    if left or returned_nano:
        op.log.event(
            "replica_recovered", replica_id=replica_id, calls=len(left), returned_nano=returned_nano
        )
    bounds = PoolOptions(
        block_nano_max=options.block_nano_max,
        idle_us=options.idle_ms * 1000,
        round_calls_max=options.round_calls_max,
    )
    return Pool(replica_id, epoch, bounds, rounds=rounds), journal


def _book(op: Op, ask: RoundAsk, alert_percents: tuple[int, ...], tx: Tx) -> None:
    leases.book(op, tx, ask, alert_percents)
