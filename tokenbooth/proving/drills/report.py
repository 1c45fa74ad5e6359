"""The result of a drill, for people and for machines."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tokenbooth.proving.drills.laws import Seen, Violation, duplicates, overshoot_nano

NO_STATUS = "none"
VIOLATIONS_SHOWN = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillFrame:
    """What a report says beside the evidence."""

    drill: str
    seed: int
    store: str
    replicas: int
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillReport:
    """``figures`` are JSON-ready; amounts in them are nano-USD."""

    frame: DrillFrame
    figures: Mapping[str, object]
    violations: tuple[Violation, ...]

    @property
    def passed(self) -> bool:
        """Whether no check was violated."""
        return not self.violations

    def document(self) -> dict[str, object]:
        """JSON-ready."""
        return {
            "object": "drill",
            "drill": self.frame.drill,
            "passed": self.passed,
            "seed": self.frame.seed,
            "store": self.frame.store,
            "replicas": self.frame.replicas,
            **self.figures,
            "duration_ms": self.frame.duration_ms,
            "violations": [
                {"check": each.check, "text": each.text}
                for each in self.violations[:VIOLATIONS_SHOWN]
            ],
            "violations_total": len(self.violations),
        }


def book_figures(seen: Seen) -> dict[str, object]:
    """What every drill counts and adds up."""
    billed_nano = sum(account.billed_nano for account in seen.accounts)
    left_nano = sum(account.spent_nano for account in seen.accounts)
    return {
        "calls": len(seen.calls),
        "statuses": counts(str(call.status or NO_STATUS) for call in seen.calls),
        "errors": counts(call.error_code for call in seen.calls if call.error_code),
        "records": len(seen.records),
        "outcomes": counts(record.status for record in seen.records),
        "duplicate": duplicates(seen),
        "spent_nano": billed_nano,
        "ledger_nano": left_nano,
        "difference_nano": billed_nano - left_nano,
        "ledger_difference_nano": seen.ledger.difference_nano,
        "open_holds": seen.ledger.open_holds,
        "overshoot_nano": overshoot_nano(seen),
    }


def counts(names: Iterable[str]) -> dict[str, int]:
    """How often each name came, sorted."""
    return dict(sorted(Counter(names).items()))
