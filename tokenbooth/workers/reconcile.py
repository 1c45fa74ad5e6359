"""Repeats the look at everything that was charged."""

from collections.abc import Callable

from tokenbooth.core.op import Op
from tokenbooth.gateway.reconcile import Reconciler
from tokenbooth.workers.loop import Loop

MS_PER_S = 1_000
US_PER_S = 1_000_000


def reconcile_loop(reconciler: Reconciler, new_op: Callable[[], Op], every_s: int) -> Loop:
    """One round proves the ledger and compares every engine of this process."""

    async def round_of_all() -> None:
        await reconciler.run(new_op(), every_s * US_PER_S)

    return Loop("reconcile", every_s * MS_PER_S, round_of_all)
