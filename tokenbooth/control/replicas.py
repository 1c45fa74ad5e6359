"""Gateway processes and the money that they have leased, as the operator sees them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tokenbooth.access.orgs import service as orgs
from tokenbooth.control.documents import Json, iso_time
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.money.leases import service as leases
from tokenbooth.money.leases.service import LeasedShare, ReplicaLine
from tokenbooth.money.prices import service as prices
from tokenbooth.protocols.receipts import sum_json

US_PER_MS = 1000


@dataclass(frozen=True, slots=True)
class Share:
    """What a replica has leased of one organization's balance."""

    org: str
    currency: str
    granted_nano: int
    held_nano: int


@dataclass(frozen=True, slots=True)
class LeaseView:
    """A replica, how long nobody has heard of it, and its shares by organization."""

    replica: ReplicaLine
    silent_us: int
    shares: tuple[Share, ...]

    @property
    def living(self) -> bool:
        return self.silent_us < leases.SILENT_US


def lease_views(op: Op, tx: Tx) -> tuple[LeaseView, ...]:
    """Every gateway process that ever ran, by name."""
    names = {org.id: org.name for org in orgs.orgs(op, tx)}
    books = prices.books_of(op, tx)
    shares: dict[str, list[Share]] = {}
    for each in leases.shares(op, tx):
        currency = books.get(each.org_id, prices.DEFAULT).currency
        shares.setdefault(each.replica_id, []).append(_share(each, names, currency))
    silences_us = leases.silences_us(op, tx)
    return tuple(
        LeaseView(line, silences_us[line.id], tuple(shares.get(line.id, ())))
        for line in leases.replicas(op, tx)
    )


def forfeit(op: Op, tx: Tx, name: str, *, living: bool) -> tuple[Share, ...]:
    """Give the leases of a lost replica back to the customers; what each gets.

    Raises NAME_NOT_FOUND, and STATE_CONFLICT for one that lives unless ``living`` says to go on.
    """
    returned = next((view.shares for view in lease_views(op, tx) if view.replica.id == name), ())
    leases.forfeit(op, tx, name, living=living)
    return returned


def _share(each: LeasedShare, names: Mapping[str, str], currency: str) -> Share:
    return Share(names.get(each.org_id, each.org_id), currency, each.granted_nano, each.held_nano)


def sums(shares: Iterable[Share]) -> dict[str, tuple[int, int]]:
    """Granted and held money by currency."""
    granted: Counter[str] = Counter()
    held: Counter[str] = Counter()
    for share in shares:
        granted[share.currency] += share.granted_nano
        held[share.currency] += share.held_nano
    return {currency: (granted[currency], held[currency]) for currency in sorted(granted)}


def lease_view_json(view: LeaseView) -> Json:
    line = view.replica
    return {
        "object": "replica",
        "name": line.id,
        "epoch": line.epoch,
        "forfeited_epoch": line.forfeited_epoch,
        "living": view.living,
        "started_at": iso_time(line.started_us),
        "seen_at": iso_time(line.seen_us),
        "silent_ms": view.silent_us // US_PER_MS,
        "leases": shares_json(view.shares),
    }


def forfeit_json(name: str, returned: tuple[Share, ...]) -> Json:
    return {"object": "forfeit", "replica": name, "returned": shares_json(returned)}


def shares_json(shares: Iterable[Share]) -> list[Json]:
    """One row for each organization."""
    return [
        {
            "organization": share.org,
            "leased": sum_json(share.granted_nano, share.currency),
            "held": sum_json(share.held_nano, share.currency),
        }
        for share in shares
    ]
