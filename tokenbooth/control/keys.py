"""API keys together with their hard caps."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tokenbooth.access.keys import service as access_keys
from tokenbooth.access.keys.service import ALL_SCOPES, ApiKey, KeyAsk, MintedKey
from tokenbooth.access.orgs import service as orgs
from tokenbooth.catalog.models import service as catalog
from tokenbooth.core.caller import CallLimits, Scope
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Ids, Randomness, Tx
from tokenbooth.core.receipt import LimitScope, LimitState, Period
from tokenbooth.money.ledger import service as ledger
from tokenbooth.money.prices import service as prices
from tokenbooth.money.prices.service import Book

UNLIMITED = CallLimits()


@dataclass(frozen=True, slots=True)
class Mint:
    """What making a secret needs from outside."""

    ids: Ids
    randomness: Randomness
    pepper: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """``org`` and ``project`` are names or ids; ``models`` of ``None`` allows every model."""

    org: str
    project: str = "default"
    name: str
    scopes: frozenset[Scope] = ALL_SCOPES
    models: frozenset[str] | None = None
    expires_us: int | None = None
    limits: CallLimits = UNLIMITED
    cap_nano: int | None = None
    cap_period: Period = Period.NONE


@dataclass(frozen=True, slots=True)
class KeyLine:
    """A key with its own limit."""

    key: ApiKey
    limits: tuple[LimitState, ...]
    currency: str


def create_key(op: Op, tx: Tx, ask: NewKey, mint: Mint) -> MintedKey:
    """Mint a key and open its limit in one transaction.

    Raises NAME_NOT_FOUND for the organization or project, MODEL_NOT_FOUND for an allow-list entry
    that is not on offer.
    """
    project = orgs.project_by(op, tx, orgs.org_by(op, tx, ask.org).id, ask.project)
    for name in sorted(ask.models or ()):
        catalog.model_by(op, tx, name)
    minted = access_keys.mint(
        op,
        tx,
        KeyAsk(
            project_id=project.id,
            name=ask.name,
            scopes=ask.scopes,
            models=ask.models,
            expires_us=ask.expires_us,
            limits=ask.limits,
        ),
        mint.ids,
        mint.randomness,
        mint.pepper,
    )
    ledger.open_limit(op, tx, LimitScope.KEY, minted.key.id, ask.cap_nano, ask.cap_period)
    return minted


def keys(op: Op, tx: Tx, org: str | None) -> tuple[KeyLine, ...]:
    owner_id = None if org is None else orgs.org_by(op, tx, org).id
    books = prices.books_of(op, tx)
    return tuple(_line(op, tx, key, books) for key in access_keys.keys(op, tx, owner_id))


def cap_key(
    op: Op, tx: Tx, key_id: str, cap_nano: int | None, period: Period | None = None
) -> KeyLine:
    """Set or lift the hard cap; without ``period`` it renews as before.

    Refused below what is already spent and leased: see ``caps.set_cap``.
    """
    key = access_keys.key_by(op, tx, key_id)
    ledger.set_limit(op, tx, LimitScope.KEY, key.id, cap_nano, period)
    return _line(op, tx, key, prices.books_of(op, tx))


def rotate_key(op: Op, tx: Tx, key_id: str, overlap_s: int, mint: Mint) -> MintedKey:
    """Give the key a new secret; the old one works for ``overlap_s`` more seconds.

    The key keeps its id, so its cap, its rate limits and its spent money go on unbroken.
    """
    return access_keys.rotate(op, tx, key_id, mint.randomness, mint.pepper, overlap_s)


def revoke_key(op: Op, tx: Tx, key_id: str) -> ApiKey:
    """Running streams of the key end within a second; a second time changes nothing."""
    return access_keys.revoke(op, tx, key_id)


def _line(op: Op, tx: Tx, key: ApiKey, books: Mapping[str, Book]) -> KeyLine:
    limits = ledger.limits(op, tx, ((LimitScope.KEY, key.id),))
    return KeyLine(key, limits, books.get(key.org_id, prices.DEFAULT).currency)
