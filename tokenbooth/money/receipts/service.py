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
    leaf_of,
    receipt_json,
    signed_batch,
)
from tokenbooth.money.receipts.signer import Signer
from tokenbooth.money.receipts.statements import StatementCheck, Tally, statement_json
from tokenbooth.money.receipts.values import BookedCall, Json, KeyLine, Page, Place, Span, Step

__all__ = [
    "BATCH_CALLS_MAX",
    "PAGE_CALLS_MAX",
    "BookedCall",
    "Json",
    "KeyLine",
    "Page",
    "Place",
    "Proofs",
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
PAGE_CALLS_MAX = 128


def waiting(op: Op, tx: Tx) -> bool:
    """Whether any settled call waits for its receipt."""
    return sql.waiting(tx)


def sign_due(op: Op, tx: Tx, signer: Signer) -> int:
    """Sign one batch of calls that were settled; how many came off the list, 0 when none wait."""
    calls = sql.due(tx, BATCH_CALLS_MAX)
    if not calls:
        return 0
    _sign(op, tx, signer, calls)
    sql.drop_due(tx, calls[-1].request_id)
    return len(calls)


def sign_these(op: Op, tx: Tx, signer: Signer, request_ids: Collection[str]) -> None:
    """Sign these calls now, as far as they are settled and nobody signed them yet."""
    calls = sql.locked(tx, request_ids)
    _sign(op, tx, signer, calls)
    sql.drop_these(tx, request_ids)


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


def _sign(op: Op, tx: Tx, signer: Signer, calls: Sequence[BookedCall]) -> None:
    fresh = [call for call in calls if call.batch_id is None]
    if not fresh:
        return
    leaves = [leaf_of(receipt_json(call, signer.shelf.price_of(op, tx, call))) for call in fresh]
    note_key(op, tx, signer)
    batch = signed_batch(leaves, signer.key, op.now())
    sql.add_batch(tx, batch, [call.request_id for call in fresh])
