"""Settles each hold exactly once, through database outages."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Store, Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Receipt
from tokenbooth.money.ledger import service as ledger

T = TypeVar("T")

LATE_MAX = 10_000
FIRST_PAUSE_S = 0.05
PAUSE_MAX_S = 2.0


class Settler:
    """What cannot be settled in time is kept here and settled by a worker loop later.

    Bounded by the holds that the balances allowed; a crash meanwhile leaves them to the sweeper.
    """

    def __init__(
        self, store: Store, *, wait_max_s: int, pause: Callable[[float], Awaitable[None]]
    ) -> None:
        """``wait_max_s`` bounds the pauses between the tries of one settlement."""
        self._store = store
        self._wait_max_s = wait_max_s
        self._pause = pause
        self._late: dict[str, tuple[Op, ledger.Ending]] = {}
        self._away = False

    @property
    def away(self) -> bool:
        """Whether the database did not take the newest try; the loop goes on trying."""
        return self._away

    @property
    def late(self) -> int:
        """Endings that still wait for the database."""
        return len(self._late)

    async def settle(
        self, op: Op, ending: ledger.Ending, *, withheld: ledger.Ending | None = None
    ) -> Receipt:
        """Raises LEDGER_UNAVAILABLE after the last try; the ending is then kept for later.

        ``withheld`` is kept in its place where the caller gets nothing without a settlement.
        """
        receipt: Receipt | None = None
        try:
            receipt = await self._tried(op, ending)
        finally:
            if receipt is None:  # whatever went wrong, the hold stands until its end is booked
                self._late[op.request_id] = (op, withheld or ending)
        if receipt is not None:
            return receipt
        if withheld is not None:
            public = (
                "The price of the answer could not be booked: it is withheld and costs nothing."
            )
        else:
            public = (
                "The answer is complete, but its price could not be booked yet; see GET "
                f"/v1/requests/{op.request_id} for it."
            )
        raise Problem(Code.LEDGER_UNAVAILABLE, public, retry_after_s=5)

    async def _tried(self, op: Op, ending: ledger.Ending) -> Receipt | None:
        """``None`` when the database was away for all of the time."""
        pause_s, waited_s = FIRST_PAUSE_S, 0.0
        while waited_s < self._wait_max_s:
            try:
                return await self._booked(partial(_settle, op, ending))
            except Problem as problem:
                if problem.code is not Code.LEDGER_UNAVAILABLE:
                    raise
                op.log.fault("settle_waits", problem, request_id=op.request_id)
            await self._pause(pause_s)
            waited_s += pause_s
            pause_s = min(2 * pause_s, PAUSE_MAX_S)
        return None

    def later(self, op: Op, ending: ledger.Ending) -> None:
        """Settle a hold of which nobody knows whether it was taken; dropped when too many wait."""
        if len(self._late) < LATE_MAX:
            self._late[op.request_id] = (op, ending)

    async def settle_late(self) -> int:
        """One more try for each kept ending; returns how many are resolved.

        One that fails goes behind the others, so that it can never keep them waiting for ever.
        """
        waiting = tuple(self._late.items())
        for request_id, (op, ending) in waiting:
            self._late[request_id] = self._late.pop(request_id)
            try:
                await self._booked(partial(_settle_late, op, ending))
            except Problem as problem:
                if problem.code is not Code.RECORD_NOT_FOUND:
                    raise
            del self._late[request_id]
        return len(waiting)

    async def _booked(self, verb: Callable[[Tx], T]) -> T:
        try:
            booked = await self._store.write(verb)
        except Problem as problem:
            self._away = problem.code is Code.LEDGER_UNAVAILABLE
            raise
        self._away = False
        return booked


def _settle(op: Op, ending: ledger.Ending, tx: Tx) -> Receipt:
    return ledger.settle(op, tx, ending)


def _settle_late(op: Op, ending: ledger.Ending, tx: Tx) -> None:
    """A commit whose answer was lost may have charged what was then withheld: it is paid back."""
    receipt = ledger.settle(op, tx, ending)
    if not ending.charge and receipt.cost_nano and op.caller is not None:
        ref = f"withheld:{ending.request_id}"
        ledger.credit(op, tx, op.caller.org_id, receipt.cost_nano, ref)
        op.log.fault("charge_of_withheld_answer_returned", request_id=ending.request_id)
