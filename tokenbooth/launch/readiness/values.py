"""A readiness report: may this model go to that stage, and if not, what stands in the way."""

from dataclasses import dataclass
from enum import StrEnum

from tokenbooth.launch.gates.values import Gate, Outcome, Waiver
from tokenbooth.launch.stages.values import Stage


class Verdict(StrEnum):
    GO = "GO"
    NO_GO = "NO-GO"


class Trend(StrEnum):
    """Whether the margin of a gate grew over its last measurements."""

    CONVERGING = "converging"
    FLAT = "flat"
    DIVERGING = "diverging"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Point:
    """The margin of one measurement, in thousandths of the bound."""

    time_us: int
    margin_permille: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One gate of one edge, with what was measured before and who waived it, if anybody."""

    stage: Stage
    outcome: Outcome
    history: tuple[Point, ...]
    trend: Trend
    waiver: Waiver | None

    @property
    def gate(self) -> Gate:
        return self.outcome.gate


@dataclass(frozen=True, slots=True)
class Forecast:
    """When all gates pass: 10 %, 50 % and 90 % of the chances lie before these moments. ``None``
    as ``late_us``: more than 10 % lie beyond two years."""

    early_us: int
    likely_us: int
    late_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Who fits. Rates are in thousandths of a call a second, ``demand_milli`` that of one
    organization in its busy minutes, ``stated`` where somebody said it and nobody measured it.

    ``None`` is not known.
    """

    certified_milli: int | None
    replicas: int | None
    demand_milli: int | None
    stated: bool
    admitted: int
    population: int
    admissible: int | None
    invite: int | None
    replicas_needed: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """``forecast`` is ``None`` where ``forecast_why`` says why; ``slipped_us`` is how far the
    promised date has moved."""

    model: str
    fingerprint: str
    stage_now: Stage
    stage: Stage
    verdict: Verdict
    lines: tuple[Line, ...]
    room: Room
    predecessor: str | None
    forecast: Forecast | None
    forecast_why: str
    promised_us: int | None
    slipped_us: int
    untested: tuple[str, ...]
    policy: str
    made_us: int

    @property
    def blockers(self) -> tuple[Line, ...]:
        """What stands in the way and nobody waived, the longest way first."""
        open_lines = [e for e in self.lines if e.outcome.mark != "pass" and e.waiver is None]
        return tuple(sorted(open_lines, key=lambda e: (-e.gate.lead_days, e.gate.name)))
