"""The result of a drill, for people and for machines."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tokenbooth.proving.checks import Violation, overshoot_nano, violations
from tokenbooth.proving.observations import Evidence
from tokenbooth.proving.schedule import CLIENT_FAULTS

NO_STATUS = "none"
VIOLATIONS_SHOWN = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillReport:
    """``passed`` is whether no check was violated. Amounts are nano-USD."""

    seed: int
    store: str
    parallel: int
    calls: int
    kinds: dict[str, int]
    statuses: dict[str, int]
    outcomes: dict[str, int]
    errors: dict[str, int]
    records: int
    spent_nano: int
    ledger_nano: int
    open_holds: int
    ledger_difference_nano: int
    overshoot_nano: int
    engine_kills: int
    server_5xx_on_client_fault: int
    duration_ms: int
    violations: tuple[Violation, ...]

    @property
    def passed(self) -> bool:
        return not self.violations

    @property
    def difference_nano(self) -> int:
        """What the records say was spent, less what left the balances."""
        return self.spent_nano - self.ledger_nano

    def document(self) -> dict[str, object]:
        """JSON-ready."""
        return {
            "object": "drill",
            "drill": "mixed",
            "passed": self.passed,
            "seed": self.seed,
            "store": self.store,
            "parallel": self.parallel,
            "calls": self.calls,
            "calls_by_kind": self.kinds,
            "statuses": self.statuses,
            "errors": self.errors,
            "records": self.records,
            "outcomes": self.outcomes,
            "spent_nano": self.spent_nano,
            "ledger_nano": self.ledger_nano,
            "difference_nano": self.difference_nano,
            "ledger_difference_nano": self.ledger_difference_nano,
            "open_holds": self.open_holds,
            "overshoot_nano": self.overshoot_nano,
            "engine_kills": self.engine_kills,
            "server_5xx_on_client_fault": self.server_5xx_on_client_fault,
            "duration_ms": self.duration_ms,
            "violations": [
                {"check": each.check, "text": each.text}
                for each in self.violations[:VIOLATIONS_SHOWN]
            ],
            "violations_total": len(self.violations),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillFrame:
    """What a report says beside the evidence."""

    seed: int
    store: str
    parallel: int
    duration_ms: int


def report_of(seen: Evidence, frame: DrillFrame) -> DrillReport:
    """Run every check and add everything up."""
    return DrillReport(
        seed=frame.seed,
        store=frame.store,
        parallel=frame.parallel,
        duration_ms=frame.duration_ms,
        calls=len(seen.calls),
        kinds=_counts(call.plan.kind.value for call in seen.calls),
        statuses=_counts(str(call.status or NO_STATUS) for call in seen.calls),
        errors=_counts(call.error_code for call in seen.calls if call.error_code),
        outcomes=_counts(record.status for record in seen.records),
        records=len(seen.records),
        spent_nano=sum(account.billed_nano for account in seen.accounts),
        ledger_nano=sum(account.spent_nano for account in seen.accounts),
        open_holds=seen.ledger.open_holds,
        ledger_difference_nano=seen.ledger.difference_nano,
        overshoot_nano=overshoot_nano(seen),
        engine_kills=len(seen.outages),
        server_5xx_on_client_fault=sum(
            call.plan.kind in CLIENT_FAULTS and (call.status or 0) >= 500 for call in seen.calls
        ),
        violations=violations(seen),
    )


def _counts(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))
