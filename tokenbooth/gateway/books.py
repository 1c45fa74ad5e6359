"""What a till asks of the ledger: to book a round, which recalls there are, and what is left."""

from functools import partial
from typing import Protocol

from tokenbooth.core.caller import Caller
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Store, Tx
from tokenbooth.core.receipt import LimitState
from tokenbooth.money.leases import service as leases
from tokenbooth.money.leases.service import RoundAsk, RoundDone
from tokenbooth.money.ledger import service as ledger


class Books(Protocol):
    """The ledger as one gateway process sees it.

    Each raises Problem LEDGER_UNAVAILABLE where the database cannot be asked.
    """

    async def book(self, op: Op, ask: RoundAsk) -> RoundDone:
        """Book the round once. Raises REPLICA_FENCED, and whatever the database refuses it for."""

    async def recalled(self, op: Op, replica_id: str) -> dict[str, int]:
        """Recalls that the replica has not answered, by limit id."""

    async def limits(self, op: Op, caller: Caller) -> tuple[LimitState, ...]:
        """Every level of the caller as the ledger has it now."""


class StoreBooks:
    """Satisfies ``Books`` by transactions of this very process."""

    def __init__(self, store: Store, alert_percents: tuple[int, ...]) -> None:
        self._store = store
        self._percents = alert_percents

    async def book(self, op: Op, ask: RoundAsk) -> RoundDone:
        return await self._store.write(partial(_book, op, ask, self._percents))

    async def recalled(self, op: Op, replica_id: str) -> dict[str, int]:
        return await self._store.read(partial(_recalled, op, replica_id))

    async def limits(self, op: Op, caller: Caller) -> tuple[LimitState, ...]:
        return await self._store.read(lambda tx: ledger.limits(op, tx, ledger.chain_of(caller)))


def _book(op: Op, ask: RoundAsk, alert_percents: tuple[int, ...], tx: Tx) -> RoundDone:
    return leases.book(op, tx, ask, alert_percents)


def _recalled(op: Op, replica_id: str, tx: Tx) -> dict[str, int]:
    return leases.recalled(op, tx, replica_id)
