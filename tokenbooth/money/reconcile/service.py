"""Verbs of the reconciler."""

from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.money.ledger import service as ledger
from tokenbooth.money.outbox import service as outbox
from tokenbooth.money.outbox.service import OPERATOR, Topic, event_of
from tokenbooth.money.reconcile import sql
from tokenbooth.money.reconcile.rules import (
    OVERRUN_TOKENS,
    beginning,
    compare,
    engine_result,
    follows,
    is_fresh,
    ledger_result,
    span_of,
)
from tokenbooth.money.reconcile.values import (
    EVERYBODY,
    BalanceCheck,
    EngineFinding,
    LedgerFinding,
    Reading,
    Result,
    Subject,
)

__all__ = [
    "EVERYBODY",
    "BalanceCheck",
    "EngineFinding",
    "LedgerFinding",
    "Reading",
    "Result",
    "Subject",
    "balance",
    "check_engine",
    "examine",
    "is_due",
    "keep_ledger",
    "latest",
]

KEPT_US = 400 * 86_400 * 1_000_000


def examine(op: Op, tx: Tx, *, only_new_costs: bool = False) -> LedgerFinding:
    """Rebuild every balance, limit and cost from postings and calls; run it on a snapshot.

    ``only_new_costs`` computes the costs of those calls alone that the last sound look cannot have
    seen; sums are rebuilt from all of them.
    """
    from_us = op.now()
    sound_us = sql.last_sound_us(tx) if only_new_costs else None
    costs_from_us = 0 if sound_us is None else max(0, sound_us - 2 * sql.RUN_US_MAX)
    verification = ledger.verify(op, tx, costs_from_us=costs_from_us)
    until_us = op.now()
    found = sql.balances(tx, until_us)
    return LedgerFinding(
        verification=verification, balances=found, from_us=from_us, until_us=until_us
    )


def keep_ledger(op: Op, tx: Tx, finding: LedgerFinding, replica_id: str) -> Result:
    """Keep what was found; an event for the operator where it is not sound."""
    sql.put_balances(tx, finding.balances)
    sql.forget(tx, finding.until_us - KEPT_US)
    result = ledger_result(finding, replica_id)
    _keep(op, tx, result)
    return result


def check_engine(op: Op, tx: Tx, reading: Reading, *, started_us: int) -> EngineFinding | None:
    """Compare an engine's counters with the calls since its last reading, and keep both.

    ``None`` for a first reading, or one after a restart of the engine: the next is compared with
    it. An engine of this process alone began at zero when the process did, at ``started_us``.
    """
    before = sql.reading(tx, reading)
    own = reading.replica_id != EVERYBODY
    if own and (before is None or before.epoch != reading.epoch):
        before = beginning(reading, started_us)
    if before is not None and not is_fresh(before, reading):
        return None
    sql.put_reading(tx, reading)
    if before is None or not follows(before, reading):
        return None
    found = sql.charged(tx, reading, span_of(before, reading), OVERRUN_TOKENS)
    finding = compare(before, reading, found)
    _keep(op, tx, engine_result(finding))
    return finding


def _keep(op: Op, tx: Tx, result: Result) -> None:
    sql.add_result(tx, result)
    if result.sound:
        return
    body = {
        "result_id": result.id,
        "subject": result.subject.value,
        "deployment_id": result.deployment_id or None,
        "replica": result.replica_id or None,
        "difference": result.difference,
    }
    event = event_of(Topic.RECONCILIATION_FAILED, result.id, OPERATOR, body, op.now())
    outbox.put(op, tx, (event,))


def is_due(op: Op, tx: Tx, period_us: int) -> bool:
    """Whether nobody proved the ledger within the last period."""
    last_us = sql.last_ledger_us(tx)
    return last_us is None or op.now() - last_us >= period_us


def latest(op: Op, tx: Tx) -> tuple[Result, ...]:
    """The newest result of the ledger and of each engine."""
    return sql.latest(tx)


def balance(op: Op, tx: Tx, org_id: str) -> BalanceCheck | None:
    """The newest look at one organization's balance; ``None`` when there was none yet."""
    return sql.balance(tx, org_id)
