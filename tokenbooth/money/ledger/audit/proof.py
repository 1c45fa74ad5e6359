"""The ledger proved against itself: nothing here trusts a stored sum."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tokenbooth.core.money import format_nano
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.ledger.audit import sql
from tokenbooth.money.ledger.sql import open_calls
from tokenbooth.money.ledger.values import AccountKind, TxnKind, Verification
from tokenbooth.money.prices import service as prices

FINDINGS_MAX = 50

Level = tuple[LimitScope, str]


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


@dataclass(slots=True)
class _Sums:
    """What each level should show, added up from calls and postings."""

    limit: Counter[Level] = field(default_factory=Counter)
    spent: Counter[Level] = field(default_factory=Counter)
    held: Counter[Level] = field(default_factory=Counter)

    def levels(self) -> Iterator[Level]:
        return iter({**self.limit, **self.spent, **self.held})


def verify(op: Op, tx: Tx) -> Verification:
    """Recompute every balance, every limit and every cost from postings and calls.

    Run it on a snapshot (``store.read``). Tampering with a row shows as a difference, or as a
    problem where no amount differs.
    """
    findings = _Findings()
    for name, sum_nano, lines in sql.unbalanced(tx):
        findings.compare(f"postings of {name}", sum_nano, 0)
        if lines < 2:
            findings.say(f"postings of {name}: {lines} lines instead of 2 or more")
    sums = _Sums()
    _add_postings(tx, sums, findings)
    _add_calls(tx, sums)
    _compare_limits(tx, sums, findings)
    _compare_charges(tx, findings)
    _compare_costs(op, tx, findings)
    return Verification(
        accounts=sql.accounts(tx),
        difference_nano=findings.difference_nano,
        open_holds=open_calls(tx),
        problems=findings.problems(),
    )


def _add_postings(tx: Tx, sums: _Sums, findings: _Findings) -> None:
    """Prepaid postings make the balance; the other side of each kind must mirror them."""
    mirror: Counter[tuple[str, AccountKind]] = Counter()
    other = {TxnKind.CREDIT: AccountKind.CLEARING, TxnKind.CHARGE: AccountKind.REVENUE}
    for kind, account, org_id, sum_nano in sql.posting_sums(tx):
        level = (LimitScope.BALANCE, org_id)
        mirror[org_id, other[kind]] += sum_nano
        if account is not AccountKind.PREPAID:
            continue
        if kind is TxnKind.CREDIT:
            sums.limit[level] += sum_nano
        else:
            sums.spent[level] -= sum_nano
    for (org_id, account), sum_nano in mirror.items():
        findings.compare(f"prepaid against {account.value} of {org_id}", sum_nano, 0)


def _add_calls(tx: Tx, sums: _Sums) -> None:
    """The balance's spending comes from postings, that of the other levels from calls."""
    for row in sql.call_sums(tx):
        for scope, owner_id in (
            (LimitScope.ORGANIZATION, row.org_id),
            (LimitScope.PROJECT, row.project_id),
            (LimitScope.KEY, row.key_id),
        ):
            sums.spent[scope, owner_id] += row.cost_nano
            sums.held[scope, owner_id] += row.held_nano
        sums.held[LimitScope.BALANCE, row.org_id] += row.held_nano


def _compare_limits(tx: Tx, sums: _Sums, findings: _Findings) -> None:
    seen: set[Level] = set()
    for state in sql.all_limits(tx):
        level = (state.scope, state.owner_id)
        seen.add(level)
        name = f"{state.scope.value} {state.owner_id}"
        findings.compare(f"{name} spent", state.spent_nano, sums.spent[level])
        findings.compare(f"{name} held", state.held_nano, sums.held[level])
        if state.scope is LimitScope.BALANCE:
            findings.compare(f"{name} credited", state.limit_nano or 0, sums.limit[level])
        if state.remaining_nano is not None and state.remaining_nano < 0:
            findings.compare(f"{name} remaining", state.remaining_nano, 0)
    for level in sums.levels():
        if level not in seen:
            name = f"{level[0].value} {level[1]}"
            findings.compare(f"{name} spent, without a limit row", 0, sums.spent[level])
            findings.compare(f"{name} held, without a limit row", 0, sums.held[level])
            findings.compare(f"{name} credited, without a limit row", 0, sums.limit[level])


def _compare_charges(tx: Tx, findings: _Findings) -> None:
    """Each charged call has one charge of the same amount, and each charge has its call."""
    for request_id, cost_nano, posted_nano in sql.charge_mismatches(tx):
        findings.compare(f"postings of call {request_id}", posted_nano, cost_nano)


def _compare_costs(op: Op, tx: Tx, findings: _Findings) -> None:
    """Each charge is recomputed from its usage and its price version."""
    known: dict[tuple[str, ...], prices.Price | None] = {}
    for call in sql.resolved_calls(tx):
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
