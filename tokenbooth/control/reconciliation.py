"""What the reconciler found, as callers and operators see it."""

import json

from tokenbooth.control.documents import Json, iso_time
from tokenbooth.core.caller import Caller
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.money.prices import service as prices
from tokenbooth.money.reconcile import service as reconcile
from tokenbooth.money.reconcile.service import Result
from tokenbooth.protocols.receipts import amount_json


def own_balance(op: Op, tx: Tx, caller: Caller) -> Json:
    """The caller's own balance as it was last added up, and as it was stored at that moment."""
    found = reconcile.balance(op, tx, caller.org_id)
    return {
        "object": "reconciliation",
        "currency": prices.book_of(op, tx, caller.org_id).currency,
        "checked_at": None if found is None else iso_time(found.checked_us),
        "sound": None if found is None else found.difference_nano == 0,
        "balance": None
        if found is None
        else {
            "computed": amount_json(found.computed_nano),
            "stored": amount_json(found.stored_nano),
            "difference": amount_json(found.difference_nano),
        },
    }


def latest(op: Op, tx: Tx) -> tuple[Result, ...]:
    """The newest result of the ledger and of each engine."""
    return reconcile.latest(op, tx)


def results_json(results: tuple[Result, ...]) -> Json:
    return {
        "object": "reconciliation_results",
        "sound": all(result.sound for result in results),
        "data": [result_json(result) for result in results],
    }


def result_json(result: Result) -> Json:
    """``difference`` is in nano-units for the ledger, in tokens for an engine."""
    return {
        "object": "reconciliation_result",
        "id": result.id,
        "subject": result.subject.value,
        "deployment_id": result.deployment_id or None,
        "replica": result.replica_id or None,
        "sound": result.sound,
        "difference": result.difference,
        "from": iso_time(result.from_us),
        "until": iso_time(result.until_us),
        "body": json.loads(result.body),
    }
