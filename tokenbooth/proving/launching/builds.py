"""Seeded builds of models, ready ones and ones with planted faults: is each told apart, and is what
is named first what takes longest?"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tokenbooth.control.launch_report import ReadinessAsk
from tokenbooth.core.days import US_PER_DAY
from tokenbooth.launch.evidence import service as evidence
from tokenbooth.launch.gates.service import Gate, Sense
from tokenbooth.launch.readiness.service import Verdict
from tokenbooth.launch.stages.service import Stage, gated_edges
from tokenbooth.proving.launching.lab import Lab, open_lab, resigned
from tokenbooth.signing.attestation import Attestation
from tokenbooth.signing.keys import SigningKey
from tokenbooth.signing.merkle import sha256

START_US = 20_600 * US_PER_DAY
HOUR_US = 3_600_000_000
DEMAND_PER_MINUTE = 30
POPULATION = 20
GATED = (Stage.PRIVATE_PREVIEW, Stage.PUBLIC_PREVIEW, Stage.GA)


class Fault(StrEnum):
    """What a planted fault does to the evidence of a gate."""

    MISSING = "missing"
    SHORT = "short"
    OLD = "old"
    EXPIRED = "expired"
    OTHER_BUILD = "other_build"
    STRANGER = "stranger"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Build:
    """``planted`` are faults by gate; ``first`` is the gate that takes longest among them."""

    seed: int
    stage: Stage
    planted: Mapping[str, Fault]
    first: str | None
    verdict: Verdict
    named: str | None

    @property
    def right(self) -> bool:
        if not self.planted:
            return self.verdict is Verdict.GO
        return self.verdict is Verdict.NO_GO and self.named == self.first


def play_builds(seeds: Sequence[int], *, ready: bool) -> tuple[Build, ...]:
    """One build for each seed, each with evidence of its own, in one booth."""
    with open_lab(0, START_US) as lab:
        return tuple(_played(lab, seed, ready=ready) for seed in seeds)


def _played(lab: Lab, seed: int, *, ready: bool) -> Build:
    dice = random.Random(f"build {seed} {ready}")  # noqa: S311 - a simulation
    stage = dice.choice(GATED)
    gates = {
        gate.name: gate
        for edge in gated_edges(Stage.CLOSED, stage)
        for gate in lab.desk.policy.edges[edge]
    }
    chosen = [] if ready else dice.sample(sorted(gates), dice.randint(1, 3))
    planted = {name: dice.choice(tuple(Fault)) for name in chosen}
    model = f"build-{seed}-{ready}".lower()
    lab.offer(model, {"seed": str(seed)})
    for gate in gates.values():
        _measure(lab, model, gate, planted.get(gate.name), dice)
    lab.clock.us += HOUR_US
    found = lab.report(
        ReadinessAsk(
            model=model, stage=stage, population=POPULATION, demand_per_minute=DEMAND_PER_MINUTE
        )
    )
    slowest = sorted(planted, key=lambda name: (-gates[name].lead_days, name))
    named = found.blockers[0].gate.name if found.blockers else None
    return Build(seed, stage, planted, slowest[0] if slowest else None, found.verdict, named)


def _measure(lab: Lab, model: str, gate: Gate, fault: Fault | None, dice: random.Random) -> None:
    if fault is Fault.MISSING:
        return
    made = lab.signed(model, gate.kind, body_for(gate, dice, short=fault is Fault.SHORT), days=60)
    piece = lab.keep(_spoiled(lab, made, gate, fault))
    if fault is Fault.REVOKED:
        with lab.tx() as tx:
            evidence.revoke(lab.op(), tx, piece.digest, "measured again, and it was not so")


def _spoiled(lab: Lab, made: Attestation, gate: Gate, fault: Fault | None) -> Attestation:
    now_us, key = made.finding.issued_at_us, lab.desk.key
    match fault:
        case Fault.OLD:
            issued_us = now_us - gate.fresh_us - HOUR_US
            return resigned(made, key, issued_at_us=issued_us)
        case Fault.EXPIRED:
            return resigned(made, key, issued_at_us=now_us - HOUR_US, expires_at_us=now_us)
        case Fault.OTHER_BUILD:
            return resigned(made, key, subject={**made.finding.subject, "fingerprint": "fp_0"})
        case Fault.STRANGER:
            return resigned(made, SigningKey(sha256(b"a stranger")))
        case _:
            return made


def body_for(gate: Gate, dice: random.Random, *, short: bool) -> dict[str, object]:
    """Figures that meet each need with some room, or miss one of them."""
    body: dict[str, object] = {}
    missed = dice.choice(gate.needs).figure if short else None
    demand_milli = POPULATION * -(-DEMAND_PER_MINUTE * 1000 // 60)
    for need in gate.needs:
        bound = need.bound
        if need.of_forecast is not None:
            bound = -(-demand_milli * need.of_forecast // 1000)
        if need.of_predecessor is not None:
            bound = 900
        if need.sense is Sense.IS or not isinstance(bound, int):
            body[need.figure] = bound if need.figure != missed else _other(bound)
        else:
            room = 1 + int(bound * dice.uniform(0.01, 0.5))
            up = (need.sense is Sense.AT_LEAST) != (need.figure == missed)
            body[need.figure] = bound + room if up else max(bound - room, -1)
        if need.of_predecessor is not None and need.figure == missed:
            del body[need.figure]
    return body


def _other(bound: object) -> object:
    if isinstance(bound, bool):
        return not bound
    return bound + 1 if isinstance(bound, int) else "other"
