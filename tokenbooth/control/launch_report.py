"""Makes a readiness report: evidence, stages, promises, demand and certified capacity together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tokenbooth.catalog.models import service as catalog
from tokenbooth.catalog.models.service import Model
from tokenbooth.core.codes import Code
from tokenbooth.core.features import Feature
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.launch.cohorts import service as cohorts
from tokenbooth.launch.evidence import service as evidence
from tokenbooth.launch.evidence.service import Piece
from tokenbooth.launch.gates import service as gates
from tokenbooth.launch.gates.service import Case, Gate, Mark, Outcome, Policy, Sense
from tokenbooth.launch.readiness import service as readiness
from tokenbooth.launch.readiness.service import Forecast, Line, Report, Room, Way
from tokenbooth.launch.slips import service as slips
from tokenbooth.launch.stages import service as stages
from tokenbooth.launch.stages.service import Stage
from tokenbooth.money.meter import service as meter
from tokenbooth.signing.attestation import Refusal, Wanted, check
from tokenbooth.signing.canonical import canonical
from tokenbooth.signing.keys import SigningKey
from tokenbooth.signing.merkle import sha256

CAPACITY_KIND = "capacity/1"
RATE_FIGURE, REPLICAS_FIGURE = "calls_per_ks", "replicas"
CAPABILITY = "capability"
DEMAND_SPAN_US = 7 * 86_400_000_000


@dataclass(frozen=True, slots=True)
class Desk:
    """What every judgement here needs: the operator's gates, and the booth's own key."""

    policy: Policy
    key: SigningKey

    @property
    def keys(self) -> frozenset[bytes]:
        return self.policy.trusted | {self.key.public}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadinessAsk:
    """``population`` of ``None`` is the policy's; ``demand_per_minute`` is what an organization is
    said to call in its busy minutes, and counts only where nothing was measured; ``predecessor``
    of ``None`` is the model that names this one as its successor."""

    model: str
    stage: Stage
    capability: str = stages.WHOLE_MODEL
    population: int | None = None
    demand_per_minute: int | None = None
    predecessor: str | None = None


def serving_fingerprint(model: Model) -> str:
    """What is offered under a name now: another engine, weights or options give another one."""
    form = {
        "context_tokens": model.context_tokens,
        "output_tokens_max": model.output_tokens_max,
        "deployments": [
            {
                "engine": each.engine.value,
                "weights": each.gguf_path,
                "upstream": each.upstream_url,
                "upstream_model": each.upstream_model,
                "concurrency_max": each.concurrency_max,
                "options": dict(each.options),
            }
            for each in model.deployments
        ],
    }
    return f"fp_{sha256(canonical(form)).hex()[:32]}"


def subject_of(model: Model, capability: str = stages.WHOLE_MODEL) -> dict[str, str]:
    """Whom evidence must be about to count for this model, or for one thing that it can do."""
    subject = {"model": model.name, "fingerprint": serving_fingerprint(model)}
    return subject if capability == stages.WHOLE_MODEL else {**subject, CAPABILITY: capability}


def check_capability(capability: str) -> None:
    """Raises INVALID_VALUE for what is neither the whole model nor a thing that one can do."""
    if capability != stages.WHOLE_MODEL and capability not in set(Feature):
        known = ", ".join(Feature)
        raise Problem(
            Code.INVALID_VALUE, f"capability must be one of: {known}.", param="capability"
        )


@dataclass(frozen=True, slots=True)
class File:
    """All that a judgement reads: the case, its evidence, and what it is about."""

    ask: ReadinessAsk
    case: Case
    pieces: tuple[Piece, ...]
    population: int
    demand: tuple[int, bool] | None
    predecessor: str | None


def file_of(op: Op, tx: Tx, ask: ReadinessAsk, desk: Desk) -> File:
    """What is known now. Raises MODEL_NOT_FOUND, or INVALID_VALUE for a capability that is none."""
    check_capability(ask.capability)
    model = catalog.model_by(op, tx, ask.model)
    population = ask.population
    if population is None:
        population = desk.policy.populations.get(ask.stage, 0)
    demand = _demand(op, tx, ask)
    before = ask.predecessor or _predecessor(op, tx, model.name)
    case = Case(
        subject=subject_of(model, ask.capability),
        keys=desk.keys,
        now_us=op.now(),
        forecast_milli=None if demand is None else population * demand[0],
        predecessor=None if before is None else _bodies(op, tx, before, desk.keys),
    )
    pieces = _about(evidence.pieces(op, tx, model.name), ask.capability)
    return File(ask, case, pieces, population, demand, before)


def report(op: Op, tx: Tx, ask: ReadinessAsk, desk: Desk) -> Report:
    """Judge every gate up to that stage. Raises MODEL_NOT_FOUND."""
    file = file_of(op, tx, ask, desk)
    case, model = file.case, file.case.subject["model"]
    standing = stages.standing(op, tx, model, ask.capability)
    lines = judged(op, tx, file, desk.policy)
    verdict = readiness.verdict_of([(line.outcome, line.waiver) for line in lines])
    forecast, why = _forecast(op, tx, lines, case.now_us)
    promises = [
        each for each in slips.promises(op, tx) if (each.model, each.stage) == (model, ask.stage)
    ]
    room = readiness.room_of(
        certified=_certified(lines, file.pieces),
        demand=file.demand,
        admitted=len(cohorts.invited_orgs(op, tx, model)),
        population=file.population,
    )
    return Report(
        model=model,
        fingerprint=case.subject["fingerprint"],
        stage_now=Stage.GA if standing is None else standing.stage,
        stage=ask.stage,
        verdict=verdict,
        lines=lines,
        room=room,
        predecessor=file.predecessor,
        forecast=forecast,
        forecast_why=why,
        promised_us=promises[-1].promised_us if promises else None,
        slipped_us=slips.slipped_us(promises),
        untested=(*desk.policy.untested, *_untested(lines, room, file.predecessor)),
        policy=desk.policy.digest,
        made_us=case.now_us,
    )


def judged(op: Op, tx: Tx, file: File, policy: Policy) -> tuple[Line, ...]:
    """Every gate of every edge from closed to that stage; where edges share the name of a gate, the
    later edge asks for more, and its gate stands for both."""
    edges = stages.gated_edges(Stage.CLOSED, file.ask.stage)
    asked: dict[str, tuple[Stage, Gate]] = {
        gate.name: (stage, _of_model(gate, file.ask.model))
        for stage in edges
        for gate in policy.edges.get(stage, ())
    }
    waivers = gates.waivers(op, tx, file.ask.model, edges)
    return tuple(
        readiness.line_of(
            stage,
            gates.judge(gate, file.pieces, file.case),
            readiness.history_of(gate, file.pieces, file.case),
            waivers,
        )
        for stage, gate in asked.values()
    )


def _of_model(gate: Gate, model: str) -> Gate:
    """With the command as it is typed for this model."""
    return replace(gate, reproduce=gate.reproduce.replace("{model}", model))


def _about(pieces: Iterable[Piece], capability: str) -> tuple[Piece, ...]:
    """What was measured of one capability says nothing of the whole model."""
    if capability != stages.WHOLE_MODEL:
        return tuple(pieces)
    return tuple(p for p in pieces if CAPABILITY not in p.attestation.finding.subject)


def _demand(op: Op, tx: Tx, ask: ReadinessAsk) -> tuple[int, bool] | None:
    """Of one organization in thousandths of a call a second, and whether it was only stated."""
    now_us = op.now()
    minutes = meter.busy_minutes(op, tx, ask.model, now_us - DEMAND_SPAN_US, now_us)
    measured = readiness.demand_milli(minutes)
    if measured is not None:
        return measured, False
    if ask.demand_per_minute is None:
        return None
    return max(1, -(-ask.demand_per_minute * 1000 // 60)), True


def _predecessor(op: Op, tx: Tx, model: str) -> str | None:
    """The model whose end names this one."""
    named = [e for each in stages.standings(op, tx).values() for e in each if e.successor == model]
    return max(named, key=lambda each: each.effective_us).model if named else None


def _bodies(
    op: Op, tx: Tx, model: str, keys: frozenset[bytes]
) -> Mapping[str, Mapping[str, object]]:
    """The newest sound evidence of each kind; of a model that goes, it may have expired."""
    found: dict[str, Mapping[str, object]] = {}
    for piece in evidence.pieces(op, tx, model):
        wanted = Wanted(piece.kind, keys, op.now(), {"model": model})
        against = set(check(piece.attestation, wanted)) - {Refusal.EXPIRED}
        if not against and piece.revoked_us is None:
            found.setdefault(piece.kind, piece.attestation.finding.body)
    return found


def _certified(lines: Sequence[Line], pieces: Sequence[Piece]) -> tuple[int, int] | None:
    """Rate and replicas of the certificate that counts now, whether or not it is enough."""
    counting = {e.outcome.evidence for e in lines if e.outcome.mark in (Mark.PASS, Mark.FAIL)}
    for piece in pieces:
        if piece.kind == CAPACITY_KIND and piece.digest in counting:
            body = piece.attestation.finding.body
            rate = gates.figure_at(body, RATE_FIGURE)
            replicas = gates.figure_at(body, REPLICAS_FIGURE)
            if type(rate) is int:
                return rate, replicas if type(replicas) is int and replicas > 0 else 1
    return None


def _forecast(op: Op, tx: Tx, lines: Sequence[Line], now_us: int) -> tuple[Forecast | None, str]:
    ways = [
        Way(
            line.gate.name,
            line.history if _walks(line.outcome) else (),
            line.gate.lead_days,
        )
        for line in lines
        if _blocks(line.outcome) and line.waiver is None
    ]
    found = readiness.forecast(ways, _ratios(op, tx), now_us)
    return (None, found) if isinstance(found, str) else (found, "")


def _blocks(outcome: Outcome) -> bool:
    return outcome.mark is not Mark.PASS


def _walks(outcome: Outcome) -> bool:
    """Whether it fails by numbers alone, which come nearer to their bounds or do not."""
    unmet = [each for each in outcome.readings if not each.met]
    return outcome.mark is Mark.FAIL and all(each.sense is not Sense.IS for each in unmet)


def _ratios(op: Op, tx: Tx) -> list[int]:
    """How promises of this booth stretched, whatever the model."""
    promises = slips.promises(op, tx)
    found: list[int] = []
    for model in sorted({each.model for each in promises}):
        history = [e for e in stages.history(op, tx, model) if e.capability == stages.WHOLE_MODEL]
        found += slips.ratios_permille([e for e in promises if e.model == model], history)
    return found


def _untested(lines: Sequence[Line], room: Room, before: str | None) -> tuple[str, ...]:
    """What this report could not look at, in words."""
    found = [
        f"{line.gate.name}: waived by {line.waiver.owner}"
        for line in lines
        if line.waiver is not None
    ]
    if before is None:
        found.append("Whether it is better than a model before: none is named.")
    if room.demand_milli is None:
        found.append("What an organization asks for: too few calls, and nothing stated.")
    elif room.stated:
        found.append("What an organization asks for: it was stated, not measured.")
    if not lines:
        found.append("Anything: the policy has no gates up to this stage.")
    return tuple(found)
