"""Verbs of receipts: sign what was settled, show one, list a period, list the keys.

A record that is settled never changes, so a receipt is written anew from it each time and must
come to the leaf that was signed.
"""

from collections.abc import Collection, Sequence

from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.money.receipts import sql
from tokenbooth.money.receipts.checking import Trusted, verify
from tokenbooth.money.receipts.proofs import Proofs
from tokenbooth.money.receipts.rules import (
    BATCH_CALLS_MAX,
    check_span,
    finished,
    leaf_of,
    receipt_form,
    signed_batch,
)
from tokenbooth.money.receipts.signer import Signer
from tokenbooth.money.receipts.statements import StatementCheck, Tally, statement_json
from tokenbooth.money.receipts.values import (
    BookedCall,
    Json,
    KeyLine,
    Page,
    Place,
    Signed,
    Span,
    Step,
)

__all__ = [
    "BATCH_CALLS_MAX",
    "PAGE_CALLS_MAX",
    "BookedCall",
    "Json",
    "KeyLine",
    "Page",
    "Place",
    "Proofs",
    "Signed",
    "Signer",
    "Span",
    "StatementCheck",
    "Step",
    "Tally",
    "Trusted",
    "keys",
    "note_key",
    "page",
    "receipt",
    "sign_due",
    "sign_these",
    "statement_json",
    "verify",
    "waiting",
]

NOT_READY_RETRY_S = 1
CHARGES_AT_ONCE_MAX = 64
PAGE_CALLS_MAX = 128


def waiting(op: Op, tx: Tx) -> bool:
    """Whether any settled call waits for its receipt."""
    return sql.waiting(tx)


def sign_due(op: Op, tx: Tx, signer: Signer) -> Signed:
    """Sign one batch of what waits; a charge stays on the list until all its calls are signed."""
    waits = sql.due(tx, BATCH_CALLS_MAX)
    if not waits:
        return Signed(0, more=False)
    charges = [each.id for each in waits if each.is_charge][:CHARGES_AT_ONCE_MAX]
    free = [each.id for each in waits if not each.is_charge]
    calls = sql.in_charges(tx, charges, BATCH_CALLS_MAX) if charges else []
    is_full = len(calls) == BATCH_CALLS_MAX
    done = finished(calls) if is_full else [*charges, *free]
    if free and not is_full:
        calls += sql.by_ids(tx, free)
    count = _sign(op, tx, signer, calls)
    sql.drop_due(tx, done)
    return Signed(count, more=is_full or len(waits) == BATCH_CALLS_MAX or len(done) < len(waits))


def sign_these(op: Op, tx: Tx, signer: Signer, request_ids: Collection[str]) -> None:
    """Sign these calls now, as far as they are settled and nobody signed them yet."""
    known = sql.by_ids(tx, request_ids)
    sql.lock_due(tx, request_ids, {call.txn_id for call in known if call.txn_id is not None})
    _sign(op, tx, signer, sql.by_ids(tx, request_ids))
    sql.drop_due(tx, request_ids)


def note_key(op: Op, tx: Tx, signer: Signer) -> None:
    """Keep the public half of the signer's key, for the time when its secret is gone."""
    sql.add_key(tx, KeyLine(signer.key.key_id, signer.key.public, op.now()))


def receipt(op: Op, tx: Tx, org_id: str, request_id: str) -> Json | None:
    """The receipt of a call of this organization with its proof; ``None`` until it is signed.

    Raises RECORD_NOT_FOUND, RECEIPT_NOT_READY while the call runs.
    """
    call = sql.call(tx, org_id, request_id)
    if call is None:
        raise Problem(
            Code.RECORD_NOT_FOUND, f"No call {request_id!r} belongs to this organization."
        )
    if call.state == "open":
        raise Problem(
            Code.RECEIPT_NOT_READY,
            f"The call {request_id!r} still runs; it has a receipt once it has ended.",
            retry_after_s=NOT_READY_RETRY_S,
        )
    if call.batch_id is None:
        return None
    return Proofs().line(op, tx, call).document


def page(op: Op, tx: Tx, proofs: Proofs, span: Span, after: Place | None) -> Page:
    """The next charged calls of the period behind ``after``, in the order of a statement.

    While some of them are not signed yet, only those are named. Raises INVALID_VALUE for a period
    that ends before it starts.
    """
    check_span(span.since_us, span.until_us)
    calls = sql.charges(tx, span, after or Place(span.since_us, "", ""), PAGE_CALLS_MAX)
    unsigned = tuple(call.request_id for call in calls if call.batch_id is None)
    if unsigned:
        return Page((), unsigned, after)
    lines = tuple(proofs.line(op, tx, call) for call in calls)
    return Page(lines, (), calls[-1].place if calls else None)


def keys(op: Op, tx: Tx) -> tuple[KeyLine, ...]:
    """Every public key that ever signed here, oldest first."""
    return sql.keys(tx)


def _sign(op: Op, tx: Tx, signer: Signer, calls: Sequence[BookedCall]) -> int:
    """How many of them had no receipt."""
    fresh = [call for call in calls if call.batch_id is None]
    if not fresh:
        return 0
    leaves = [leaf_of(receipt_form(call, signer.shelf.price_of(op, tx, call))) for call in fresh]
    note_key(op, tx, signer)
    batch = signed_batch(leaves, signer.key, op.now())
    sql.add_batch(tx, batch, [call.request_id for call in fresh])
    return len(fresh)
