"""Statements of receipts: what waits, what is signed, and charges in the order of their booking."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Text,
    bindparam,
    delete,
    select,
    tuple_,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import insert

from tokenbooth.core.ports import Tx
from tokenbooth.money.receipts.values import Batch, BookedCall, Due, KeyLine, Place, Span
from tokenbooth.signing.merkle import HASH_BYTES
from tokenbooth.store.listing import listed, listing
from tokenbooth.store.tables.metadata import Flag, WholeNumber
from tokenbooth.store.tables.money import CALL_RECORD, LEDGER_TXN
from tokenbooth.store.tables.receipts import (
    RECEIPT_BATCH,
    RECEIPT_DUE,
    RECEIPT_KEY,
    RECEIPT_LEAF,
)

_C = CALL_RECORD.c
_PLACES = {
    "state": _C.state,
    "txn_id": _C.txn_id,
    "booked_us": LEDGER_TXN.c.created_us,
    "batch_id": RECEIPT_LEAF.c.batch_id,
    "leaf_index": RECEIPT_LEAF.c.leaf_index,
}


def _plain(name: str) -> Any:
    """The column as the driver gives it: a decorated one costs a call for each value."""
    column = _PLACES[name] if name in _PLACES else _C[name]
    whole = isinstance(column.type, WholeNumber | Flag)
    return type_coerce(column, BigInteger() if whole else Text()).label(name)


_CALLS = select(*map(_plain, BookedCall._fields))
_CALL_AND_LEAF = (
    CALL_RECORD.outerjoin(LEDGER_TXN, LEDGER_TXN.c.id == _C.txn_id)
    .outerjoin(RECEIPT_LEAF, RECEIPT_LEAF.c.request_id == _C.request_id)
)  # fmt: skip
_WAITING = select(RECEIPT_DUE.c.id).limit(1)
_DUE = (
    select(RECEIPT_DUE.c.id, RECEIPT_DUE.c.kind)
    .order_by(RECEIPT_DUE.c.id)
    .limit(bindparam("count"))
    .with_for_update(skip_locked=True)
)
_LISTED_IDS = select(listing("ids").c.value)
# Named one by one, so that no planner thinks of reading the whole index instead.
_TXNS: BindParameter[Sequence[str]] = bindparam("txns", expanding=True)
_UNSIGNED = RECEIPT_LEAF.c.request_id.is_(None)
_IN_CHARGES = (
    _CALLS.select_from(_CALL_AND_LEAF)
    .where(_C.txn_id.in_(_TXNS), _UNSIGNED)
    .order_by(_C.txn_id)
    .limit(bindparam("count"))
)
_ADD_DUE = insert(RECEIPT_DUE).on_conflict_do_nothing()
_LOCK_DUE = (
    select(RECEIPT_DUE.c.id)
    .where(RECEIPT_DUE.c.id.in_(_LISTED_IDS))
    .order_by(RECEIPT_DUE.c.id)
    .with_for_update()
)
_DROP_DUE = delete(RECEIPT_DUE).where(RECEIPT_DUE.c.id.in_(_LISTED_IDS))
_BY_IDS = (
    _CALLS.select_from(_CALL_AND_LEAF)
    .where(_C.request_id.in_(_LISTED_IDS), _C.state != "open")
    .order_by(_C.request_id)
)
_ONE = _CALLS.select_from(_CALL_AND_LEAF).where(
    _C.org_id == bindparam("org"), _C.request_id == bindparam("request")
)
_ADD_KEY = insert(RECEIPT_KEY).on_conflict_do_nothing()
_ADD_BATCH = insert(RECEIPT_BATCH)
_LISTED = listing("ids")
_ADD_LEAVES = insert(RECEIPT_LEAF).from_select(
    ["request_id", "batch_id", "leaf_index"],
    select(_LISTED.c.value, bindparam("batch", type_=Text()), _LISTED.c.key),
)
_KEYS = select(RECEIPT_KEY).order_by(RECEIPT_KEY.c.created_us, RECEIPT_KEY.c.id)
_BATCH = (
    select(RECEIPT_BATCH, RECEIPT_KEY.c.public)
    .join_from(RECEIPT_BATCH, RECEIPT_KEY)
    .where(RECEIPT_BATCH.c.id == bindparam("batch"))
)
_PLACE = (LEDGER_TXN.c.created_us, LEDGER_TXN.c.id, _C.request_id)
_CHARGES = (
    _CALLS.select_from(
        LEDGER_TXN.join(CALL_RECORD, LEDGER_TXN.c.id == _C.txn_id).outerjoin(
            RECEIPT_LEAF, RECEIPT_LEAF.c.request_id == _C.request_id
        )
    )
    .where(
        LEDGER_TXN.c.org_id == bindparam("org"),
        LEDGER_TXN.c.created_us >= bindparam("from_us"),
        LEDGER_TXN.c.created_us < bindparam("until_us"),
        tuple_(*_PLACE) > tuple_(bindparam("from_us"), bindparam("txn"), bindparam("request")),
    )
    .order_by(*_PLACE)
    .limit(bindparam("count"))
)


def waiting(tx: Tx) -> bool:
    return tx.execute(_WAITING).first() is not None


def due(tx: Tx, count: int) -> list[Due]:
    """Charges and calls that wait, each locked for this transaction; those that another one works
    on are left out."""
    return [Due(row.id, row.kind == "charge") for row in tx.execute(_DUE, {"count": count})]


def in_charges(tx: Tx, txn_ids: Collection[str], count: int) -> list[BookedCall]:
    """Calls of these charges that nobody signed yet, charge by charge."""
    values = {"txns": list(txn_ids), "count": count}
    return [BookedCall._make(row) for row in tx.execute(_IN_CHARGES, values)]


def by_ids(tx: Tx, request_ids: Collection[str]) -> list[BookedCall]:
    """These calls, as far as they are settled, in the order of their ids."""
    return [BookedCall._make(row) for row in tx.execute(_BY_IDS, {"ids": listed(request_ids)})]


def lock_due(tx: Tx, request_ids: Collection[str], txn_ids: Collection[str]) -> None:
    """Put the calls onto the list and lock them there, and their charges as far as these wait:
    whoever signs one of them now is waited for."""
    tx.execute(_ADD_DUE, [{"id": each, "kind": "call"} for each in sorted(request_ids)])
    tx.execute(_LOCK_DUE, {"ids": listed((*request_ids, *txn_ids))}).all()


def drop_due(tx: Tx, ids: Collection[str]) -> None:
    """Take them off the list."""
    tx.execute(_DROP_DUE, {"ids": listed(ids)})


def call(tx: Tx, org_id: str, request_id: str) -> BookedCall | None:
    """One call of this organization, a running one too."""
    row = tx.execute(_ONE, {"org": org_id, "request": request_id}).one_or_none()
    return None if row is None else BookedCall._make(row)


def charges(tx: Tx, span: Span, after: Place, count: int) -> list[BookedCall]:
    """Charged calls behind that place, in the order of a statement."""
    values = {
        "org": span.org_id,
        "from_us": after.booked_us,
        "until_us": span.until_us,
        "txn": after.txn_id,
        "request": after.request_id,
        "count": count,
    }
    return [BookedCall._make(row) for row in tx.execute(_CHARGES, values)]


def add_key(tx: Tx, key: KeyLine) -> None:
    """Note a public key; a known one stays as it is."""
    tx.execute(_ADD_KEY, {"id": key.id, "public": key.public, "created_us": key.created_us})


def add_batch(tx: Tx, batch: Batch, request_ids: Sequence[str]) -> None:
    """The batch with a leaf for each call, in order."""
    tx.execute(
        _ADD_BATCH,
        {
            "id": batch.id,
            "format": batch.format,
            "size": batch.size,
            "root": batch.root,
            "leaves": b"".join(batch.leaves),
            "key_id": batch.key_id,
            "signature": batch.signature,
            "signed_us": batch.signed_us,
        },
    )
    tx.execute(_ADD_LEAVES, {"ids": listed(request_ids), "batch": batch.id})


def keys(tx: Tx) -> tuple[KeyLine, ...]:
    """Every public key that ever signed a batch, oldest first."""
    return tuple(KeyLine(row.id, row.public, row.created_us) for row in tx.execute(_KEYS))


def batch(tx: Tx, batch_id: str) -> Batch:
    row = tx.execute(_BATCH, {"batch": batch_id}).one()
    starts = range(0, len(row.leaves), HASH_BYTES)
    return Batch(
        id=row.id,
        format=row.format,
        size=row.size,
        root=row.root,
        leaves=tuple(row.leaves[start : start + HASH_BYTES] for start in starts),
        key_id=row.key_id,
        public=row.public,
        signature=row.signature,
        signed_us=row.signed_us,
    )
