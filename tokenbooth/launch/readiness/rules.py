"""How gates become a verdict, and certified capacity becomes a number of organizations."""

from collections.abc import Mapping, Sequence

from tokenbooth.launch.evidence.values import Piece
from tokenbooth.launch.gates.rules import read
from tokenbooth.launch.gates.values import Case, Gate, Mark, Outcome, Sense, Waiver
from tokenbooth.launch.readiness.values import Line, Point, Room, Trend, Verdict
from tokenbooth.launch.stages.values import Stage
from tokenbooth.signing.attestation import Refusal, Wanted, check

FILL_PERMILLE = 700
HISTORY_MAX = 60
TREND_POINTS_MIN = 3
TREND_PERMILLE = 10
DEMAND_SAMPLES_MIN = 100
DEMAND_ORGS_MIN = 3
_VOID = frozenset(Refusal) - {Refusal.EXPIRED, Refusal.WRONG_SUBJECT}


def verdict_of(outcomes: Sequence[tuple[Outcome, Waiver | None]]) -> Verdict:
    """GO where each gate passes or is waived, and where there is a gate at all or none is asked."""
    open_ones = [o for o, waiver in outcomes if o.mark is not Mark.PASS and waiver is None]
    return Verdict.NO_GO if open_ones else Verdict.GO


def line_of(
    stage: Stage, outcome: Outcome, points: Sequence[Point], waivers: Sequence[Waiver]
) -> Line:
    """A waiver counts only where the gate does not pass; the newest one is shown."""
    fitting = [w for w in waivers if (w.stage, w.gate) == (stage, outcome.gate.name)]
    waived = fitting[-1] if fitting and outcome.mark is not Mark.PASS else None
    shown = tuple(points[-HISTORY_MAX:])
    return Line(stage=stage, outcome=outcome, history=shown, trend=trend_of(shown), waiver=waived)


def history_of(gate: Gate, pieces: Sequence[Piece], case: Case) -> tuple[Point, ...]:
    """The margins that were ever measured for this model, of all its builds, oldest first.

    Where there are numbers to come nearer to, a yes or no beside them is no margin.
    """
    numbers = tuple(need for need in gate.needs if need.sense is not Sense.IS)
    model = {"model": case.subject["model"]}
    wanted = Wanted(gate.kind, case.keys, case.now_us, model)
    found = []
    for piece in pieces:
        if piece.kind != gate.kind or piece.revoked_us is not None:
            continue
        if _VOID.isdisjoint(check(piece.attestation, wanted)):
            body = piece.attestation.finding.body
            margins = [
                read(need, gate.kind, body, case).margin_permille for need in numbers or gate.needs
            ]
            found.append(Point(piece.issued_us, min(margins)))
    return tuple(sorted(found, key=lambda point: point.time_us))


def trend_of(points: Sequence[Point]) -> Trend:
    """Over the last measurements: the mean of the newer half against that of the older one."""
    if len(points) < TREND_POINTS_MIN:
        return Trend.UNKNOWN
    margins = [point.margin_permille for point in points[-8:]]
    half = len(margins) // 2
    change = sum(margins[-half:]) // half - sum(margins[:half]) // half
    if abs(change) < TREND_PERMILLE:
        return Trend.FLAT
    return Trend.CONVERGING if change > 0 else Trend.DIVERGING


def demand_milli(minutes: Mapping[str, Sequence[int]]) -> int | None:
    """The busy demand of one organization, in thousandths of a call a second: the 95th of a hundred
    of its minutes with calls, whoever it is. ``None`` where too little was seen to tell."""
    counts = sorted(count for each in minutes.values() for count in each)
    if len(minutes) < DEMAND_ORGS_MIN or len(counts) < DEMAND_SAMPLES_MIN:
        return None
    busy = counts[-(-len(counts) * 95 // 100) - 1]
    return max(1, -(-busy * 1000 // 60))


def room_of(
    *,
    certified: tuple[int, int] | None,
    demand: tuple[int, bool] | None,
    admitted: int,
    population: int,
) -> Room:
    """``certified`` is a rate in thousandths of a call a second and the replicas that it was
    measured on, ``demand`` that of one organization and whether it was only stated.

    Admitted organizations may take 70 % of what is certified.
    """
    admissible = needed = None
    if demand is not None and certified is not None:
        admissible = certified[0] * FILL_PERMILLE // 1000 // demand[0]
        per_replica = certified[0] * FILL_PERMILLE // max(1, certified[1])
        needed = -(-population * demand[0] * 1000 // max(1, per_replica))
    return Room(
        certified_milli=None if certified is None else certified[0],
        replicas=None if certified is None else certified[1],
        demand_milli=None if demand is None else demand[0],
        stated=demand is not None and demand[1],
        admitted=admitted,
        population=population,
        admissible=admissible,
        invite=None if admissible is None else max(0, admissible - admitted),
        replicas_needed=needed,
    )
