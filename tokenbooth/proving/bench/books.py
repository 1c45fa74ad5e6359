"""What a store says of one organization, and which processes are the database."""

from collections.abc import Sequence
from dataclasses import dataclass

from tokenbooth.access.orgs import service as orgs
from tokenbooth.booth import open_booth
from tokenbooth.config import Settings
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.ledger import service as ledger
from tokenbooth.money.meter import service as meter
from tokenbooth.proving.bench import sql
from tokenbooth.proving.bench.cpu import Pids, family, postmaster_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """``spent_nano`` is what the balance was charged, ``charges_nano`` what the records of all
    ended ``calls`` add up to; ``problems`` are what the proof of the ledger found."""

    calls: int
    running: int
    spent_nano: int
    charges_nano: int
    problems: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Spent to the nano, with nothing open and nothing wrong."""
        return self.spent_nano == self.charges_nano and not self.running and not self.problems


async def read_books(settings: Settings, org: str) -> Books:
    """The books of the organization of that name."""
    async with open_booth(settings) as booth:
        return await booth.store.read(lambda tx: _books(booth.op("bench"), tx, org))


def _books(op: Op, tx: Tx, org: str) -> Books:
    org_id = orgs.org_by(op, tx, org).id
    (balance,) = ledger.limits(op, tx, ((LimitScope.BALANCE, org_id),))
    totals = [total for total in meter.totals(op, tx) if total.org_id == org_id]
    found = ledger.verify(op, tx)
    different = (f"the ledger differs by {found.difference_nano} nano",)
    return Books(
        calls=sum(total.calls - total.running for total in totals),
        running=sum(total.running for total in totals),
        spent_nano=balance.spent_nano,
        charges_nano=sum(total.cost_nano for total in totals),
        problems=(*(different if found.difference_nano else ()), *found.problems),
    )


@dataclass(frozen=True, slots=True)
class Database:
    """``pids`` are its processes, where it is PostgreSQL on this machine: ``None`` for one
    elsewhere, and for SQLite, which runs inside of the others. ``synced``: it waits for the disk.
    """

    name: str
    synced: bool
    pids: Pids | None


async def database_of(settings: Settings) -> Database:
    """What the instance keeps its books in."""
    if settings.store.is_sqlite:
        return Database("sqlite", synced=True, pids=None)
    async with open_booth(settings) as booth:
        backend_pid = await booth.store.read(sql.backend_pid)
        synced = await booth.store.read(sql.synced)
        postmaster = postmaster_of(backend_pid)
    pids = None if postmaster is None else family(postmaster)
    return Database("postgresql", synced=synced, pids=pids)


def machine_load(averages: Sequence[float]) -> str:
    """As ``uptime`` says it: of one, five and fifteen minutes."""
    return " ".join(f"{average:.2f}" for average in averages)
