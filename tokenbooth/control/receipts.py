"""Receipts as callers and operators get them: one call, the public keys, what waits."""

from tokenbooth.control.documents import Json, iso_time
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Store, Tx
from tokenbooth.core.problem import Problem
from tokenbooth.money.receipts import service as receipts
from tokenbooth.money.receipts.service import KeyLine, Signer

ALGORITHM = "ed25519"


async def receipt(store: Store, op: Op, signer: Signer, org_id: str, request_id: str) -> Json:
    """The signed receipt of a call of this organization; signed now if nobody did yet.

    Raises RECORD_NOT_FOUND, for another tenant's call as for none; RECEIPT_NOT_READY while it runs.
    """
    if not request_id.isprintable():
        raise Problem(Code.RECORD_NOT_FOUND, "An id has no control characters.")
    found = await store.read(lambda tx: receipts.receipt(op, tx, org_id, request_id))
    if found is None:
        found = await store.write(lambda tx: _signed(op, tx, signer, org_id, request_id))
    return found


def _signed(op: Op, tx: Tx, signer: Signer, org_id: str, request_id: str) -> Json:
    receipts.sign_these(op, tx, signer, (request_id,))
    found = receipts.receipt(op, tx, org_id, request_id)
    assert found is not None, "it was signed a moment ago"
    return found


async def sign_waiting(store: Store, op: Op, signer: Signer) -> int:
    """Sign every settled call that waits, batch by batch, so that others can write in between."""
    if not await store.read(lambda tx: receipts.waiting(op, tx)):
        return 0
    signed, more = 0, True
    while more:
        count, more = await store.write(lambda tx: receipts.sign_due(op, tx, signer))
        signed += count
    return signed


def public_keys(op: Op, tx: Tx, own: Signer) -> tuple[KeyLine, ...]:
    """Every public key that ever signed, oldest first, and last this instance's own."""
    known = receipts.keys(op, tx)
    if any(line.id == own.key.key_id for line in known):
        return known
    return (*known, KeyLine(own.key.key_id, own.key.public, None))


def keys_json(lines: tuple[KeyLine, ...], own: Signer) -> Json:
    """``current`` is the key that this instance signs with now."""
    return {
        "object": "list",
        "data": [
            {
                "object": "receipt_key",
                "id": line.id,
                "algorithm": ALGORITHM,
                "public_key": line.public.hex(),
                "first_used_at": iso_time(line.created_us),
                "current": line.id == own.key.key_id,
            }
            for line in lines
        ],
    }
