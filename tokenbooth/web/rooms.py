"""What the account API reads from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tokenbooth.admission.queue.service import Gate
from tokenbooth.core.caller import Caller
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Store
from tokenbooth.engines.port import Engine, Health
from tokenbooth.gateway.prefixes import PrefixBook
from tokenbooth.money.receipts.service import Signer


class Engines(Protocol):
    """The engines of this replica, by deployment id; asking opens none."""

    def opened(self, deployment_id: str) -> Engine | None: ...

    async def health(self) -> Mapping[str, Health]: ...


class Rendered(Protocol):
    """Metrics that can be written out."""

    def render(self) -> bytes: ...


class Settlements(Protocol):
    """Whether endings are booked."""

    @property
    def away(self) -> bool: ...


class Others(Protocol):
    """The processes that answer calls beside this one."""

    @property
    def joined(self) -> int:
        """How many of them are there."""

    async def texts(self) -> Sequence[bytes]:
        """The metrics of each."""

    async def flushed(self) -> None:
        """Wait, for a while, until the ledger knows what they have charged."""


REPORTS_QUEUE_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRooms:
    """``signer`` makes receipts, ``sealing_key`` opens stored files. ``reports``: what reads many
    rows is read one at a time, so that the store's other readers stay free for calls. ``prefixes``
    knows what caches did for the latest calls. ``others`` serve with it."""

    store: Store
    engines: Engines
    metrics: Rendered
    settlements: Settlements
    metrics_loopback_only: bool
    signer: Signer
    sealing_key: bytes = field(repr=False)
    others: Others | None = None
    prefixes: PrefixBook = field(default_factory=PrefixBook)
    reports: Gate = field(default_factory=lambda: Gate(1, REPORTS_QUEUE_MAX))


def caller_of(op: Op) -> Caller:
    """The tenant of a route that carries a scope: the edge admits nobody else to it."""
    assert op.caller is not None, "a route with a scope is answered for a caller only"
    return op.caller
