"""The ledger proved against itself: nothing here trusts a stored sum."""

from collections import Counter
from dataclasses import dataclass, field

from tokenbooth.core.money import format_nano
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.ledger.audit import sql
from tokenbooth.money.ledger.values import AccountKind, TxnKind, Verification
from tokenbooth.money.prices import service as prices
from tokenbooth.money.windows import Period, limit_id

FINDINGS_MAX = 50

BALANCES = f"{LimitScope.BALANCE.value}:"
CREDITED, SPENT, LEASED, HELD = "credited", "spent", "leased", "held"


@dataclass(slots=True)
class _Findings:
    """Counts every difference and keeps the first texts."""

    difference_nano: int = 0
    count: int = 0
    texts: list[str] = field(default_factory=list)

    def compare(self, what: str, stored_nano: int, computed_nano: int) -> None:
        if stored_nano != computed_nano:
            self.difference_nano += abs(stored_nano - computed_nano)
            self.say(f"{what}: {format_nano(stored_nano)}, expected {format_nano(computed_nano)}")

    def say(self, text: str) -> None:
        self.count += 1
        if self.count <= FINDINGS_MAX:
            self.texts.append(text)

    def problems(self) -> tuple[str, ...]:
        more = self.count - len(self.texts)
        return (*self.texts, *([f"and {more} more"] if more else []))


Sums = dict[str, Counter[str]]
"""What each limit should show, by id, under the names above: added up from calls, leases and
postings."""


def verify(op: Op, tx: Tx, *, costs_from_us: int = 0) -> Verification:
    """Recompute every balance, every limit and every cost from postings and calls.

    Run it on a snapshot (``store.read``). Tampering with a row shows as a difference, or as a
    problem where no amount differs. Everything is added up in any case; with ``costs_from_us`` only
    the costs of calls since then are computed anew, which is the slow part.
    """
    findings = _Findings()
    for name, sum_nano, lines in sql.unbalanced(tx):
        findings.compare(f"postings of {name}", sum_nano, 0)
        if lines < 2:
            findings.say(f"postings of {name}: {lines} lines instead of 2 or more")
    sums: Sums = {name: Counter() for name in (CREDITED, SPENT, LEASED, HELD)}
    _add_postings(tx, sums, findings)
    _add_calls(tx, sums)
    _add_leases(tx, sums)
    _compare_limits(tx, sums, findings)
    _compare_charges(tx, findings)
    _compare_costs(op, tx, findings, costs_from_us)
    return Verification(
        accounts=sql.accounts(tx),
        difference_nano=findings.difference_nano,
        open_holds=sql.open_calls(tx),
        problems=findings.problems(),
    )


def _add_postings(tx: Tx, sums: Sums, findings: _Findings) -> None:
    """Prepaid postings make the balance; the other side of each kind must mirror them."""
    mirror: Counter[tuple[str, AccountKind]] = Counter()
    other = {TxnKind.CREDIT: AccountKind.CLEARING, TxnKind.CHARGE: AccountKind.REVENUE}
    for kind, account, org_id, sum_nano in sql.posting_sums(tx):
        level = limit_id(LimitScope.BALANCE, org_id)
        mirror[org_id, other[kind]] += sum_nano
        if account is not AccountKind.PREPAID:
            continue
        if kind is TxnKind.CREDIT:
            sums[CREDITED][level] += sum_nano
        else:
            sums[SPENT][level] -= sum_nano
    for (org_id, account), sum_nano in mirror.items():
        findings.compare(f"prepaid against {account.value} of {org_id}", sum_nano, 0)


def _add_calls(tx: Tx, sums: Sums) -> None:
    """The balance's spending comes from postings, that of the other levels from calls."""
    for row in sql.call_sums(tx):
        for name in row.chain.split():
            if not name.startswith(BALANCES):
                sums[SPENT][name] += int(row.cost_nano)


def _add_leases(tx: Tx, sums: Sums) -> None:
    for row in sql.lease_sums(tx):
        sums[LEASED][row.limit_id] += int(row.granted_nano)
        sums[HELD][row.limit_id] += int(row.held_nano)


def _compare_limits(tx: Tx, sums: Sums, findings: _Findings) -> None:
    seen: set[str] = set()
    for row in sql.all_limits(tx):
        seen.add(row.id)
        for what, stored_nano in (
            (SPENT, row.spent_nano),
            (LEASED, row.leased_nano),
            (HELD, row.held_nano),
        ):
            findings.compare(f"{row.id} {what}", stored_nano, sums[what][row.id])
        if row.id.startswith(BALANCES):
            findings.compare(f"{row.id} {CREDITED}", row.limit_nano, sums[CREDITED][row.id])
        counts = bool(row.window_id) or row.period == Period.NONE.value
        if row.limit_nano is not None and counts:
            over_nano = row.spent_nano + row.leased_nano - row.limit_nano
            findings.compare(f"{row.id} above its limit", max(0, over_nano), 0)
    for what, counter in sums.items():
        for name in counter.keys() - seen:
            findings.compare(f"{name} {what}, without a limit row", 0, counter[name])


def _compare_charges(tx: Tx, findings: _Findings) -> None:
    """Each charge is the sum of its calls, and each charged call has its charge."""
    for name, cost_nano, posted_nano in sql.charge_mismatches(tx):
        findings.compare(f"postings of charge {name}", posted_nano, cost_nano)


def _compare_costs(op: Op, tx: Tx, findings: _Findings, from_us: int) -> None:
    """Each charge is recomputed from its usage and its price version."""
    known: dict[tuple[str, ...], prices.Price | None] = {}
    for call in sql.resolved_calls(tx, from_us):
        terms = (call.price_version, call.model, call.tier, call.data_terms)
        if terms not in known:
            known[terms] = _price(op, tx, call, findings)
        price = known[terms]
        expected_nano = 0
        if price is not None and call.posted:
            expected_nano = min(prices.cost_nano(price, call.usage), call.held_nano)
        findings.compare(f"cost of call {call.request_id}", call.cost_nano, expected_nano)


def _price(op: Op, tx: Tx, call: sql.ResolvedCall, findings: _Findings) -> prices.Price | None:
    try:
        version = prices.version(op, tx, call.price_version, call.model)
        return prices.price_in(version, call.tier, call.data_terms)
    except Problem:
        findings.say(f"price version {call.price_version} of {call.model} is gone or cut")
        return None
