"""Verbs of operators on launches: stages through their gates, cohorts, promises, demotion."""

from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from tokenbooth.access.orgs import service as orgs
from tokenbooth.catalog.models import service as catalog
from tokenbooth.control.instance import InstancePaths
from tokenbooth.control.launch_documents import report_json
from tokenbooth.control.launch_report import (
    CAPABILITY,
    Desk,
    ReadinessAsk,
    check_capability,
    file_of,
    judged,
    report,
    subject_of,
)
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope
from tokenbooth.launch.cohorts import service as cohorts
from tokenbooth.launch.cohorts.service import Cohort, CohortAsk, Member, MemberState
from tokenbooth.launch.evidence import service as evidence
from tokenbooth.launch.gates import service as gates
from tokenbooth.launch.gates.service import Policy, Waiver
from tokenbooth.launch.readiness.service import Report, Verdict
from tokenbooth.launch.slips import service as slips
from tokenbooth.launch.slips.service import Promise
from tokenbooth.launch.stages import service as stages
from tokenbooth.launch.stages.service import Stage, StageAsk, Standing
from tokenbooth.money.ledger import service as ledger
from tokenbooth.signing.attestation import Attestation, Finding, attest
from tokenbooth.signing.canonical import NotCanonical

REPORT_KIND = "readiness-report/1"
REPORT_COUNTS_US = 86_400_000_000
POLICY_BYTES_MAX = 1_000_000
SHIPPED = "default_policy.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A wish to let a gate be: until when, by whom, and why."""

    gate: str
    owner: str
    reason: str
    expires_us: int


def policy_of(data_dir: Path) -> Policy:
    """The operator's own gates where there are any, else those of the product.

    Raises INVALID_VALUE for a file that cannot be read or is wrong.
    """
    path = InstancePaths(data_dir).launch_policy
    if not path.exists():
        return gates.read_policy(shipped_policy())
    try:
        with path.open("rb") as stream:
            raw = stream.read(POLICY_BYTES_MAX + 1)
    except OSError as error:
        raise Problem(
            Code.INVALID_VALUE, f"{path} cannot be read: {error.strerror}.", param="policy"
        ) from error
    if len(raw) > POLICY_BYTES_MAX:
        raise Problem(Code.INVALID_VALUE, f"{path} is over a million bytes.", param="policy")
    return gates.read_policy(raw)


def shipped_policy() -> bytes:
    """The gates that count where the operator has none of his own."""
    return resources.files("tokenbooth.launch.gates").joinpath(SHIPPED).read_bytes()


def signed_report(found: Report, desk: Desk) -> Attestation:
    """The report as evidence, for one day."""
    finding = Finding(
        kind=REPORT_KIND,
        subject={"model": found.model, "fingerprint": found.fingerprint},
        issued_at_us=found.made_us,
        expires_at_us=found.made_us + REPORT_COUNTS_US,
        body=report_json(found),
    )
    return attest(finding, desk.key)


def set_stage(
    op: Op, tx: Tx, ask: StageAsk, how: ReadinessAsk, desk: Desk
) -> tuple[Standing, Report | None]:
    """Move a model, or one thing that it can do; what opens it further must be a GO.

    The report that allowed the move is kept as evidence. Raises MODEL_NOT_FOUND, INVALID_VALUE,
    and STATE_CONFLICT for a NO-GO, which names what stands in the way.
    """
    model = catalog.model_by(op, tx, ask.model)
    check_capability(ask.capability)
    standing = stages.standing(op, tx, model.name, ask.capability)
    now = Stage.GA if standing is None else standing.stage
    if not stages.gated_edges(now, ask.stage):
        return stages.move(op, tx, ask), None
    found = report(op, tx, how, desk)
    if found.verdict is not Verdict.GO:
        raise no_go(found)
    kept = evidence.add(op, tx, signed_report(found, desk).to_json())
    return stages.move(op, tx, replace(ask, report=kept.digest)), found


def no_go(found: Report) -> Problem:
    """Why the stage stays, and what to do first."""
    first = found.blockers[0]
    why = "; ".join(first.outcome.why)
    return Problem(
        Code.STATE_CONFLICT,
        f"NO-GO: {len(found.blockers)} of {len(found.lines)} gates do not pass. First"
        f" {first.gate.name} ({first.outcome.mark.value}): {why}. Run: {first.gate.reproduce}",
        param="stage",
        facts={"blockers": len(found.blockers), "first": first.gate.name},
    )


def waive(op: Op, tx: Tx, how: ReadinessAsk, grant: Grant, policy: Policy) -> Waiver:
    """Let one gate on the way to a stage be. Raises NAME_NOT_FOUND for a gate that is not there,
    and what granting raises."""
    edges = stages.gated_edges(Stage.CLOSED, how.stage)
    edge = next(
        (e for e in reversed(edges) for gate in policy.edges[e] if gate.name == grant.gate), None
    )
    if edge is None:
        raise Problem(
            Code.NAME_NOT_FOUND,
            f"No gate up to {how.stage.value} has the name {grant.gate!r}.",
            param="waive",
        )
    waiver = Waiver(
        model=catalog.model_by(op, tx, how.model).name,
        stage=edge,
        gate=grant.gate,
        owner=grant.owner,
        reason=grant.reason,
        expires_us=grant.expires_us,
        granted_us=op.now(),
        granted_by=op.actor,
    )
    return gates.waive(op, tx, waiver)


def sign_evidence(op: Op, tx: Tx, model: str, finding: Finding, desk: Desk) -> Attestation:
    """A measurement of what is offered under that name now, signed by the booth's own key; of the
    finding's subject what says more than model and fingerprint is kept.

    Raises MODEL_NOT_FOUND, or INVALID_VALUE for a capability that is none and for a body that has
    no canonical form.
    """
    check_capability(finding.subject.get(CAPABILITY, stages.WHOLE_MODEL))
    subject = {**finding.subject, **subject_of(catalog.model_by(op, tx, model))}
    try:
        return attest(replace(finding, subject=subject), desk.key)
    except (NotCanonical, ValueError) as error:
        raise Problem(Code.INVALID_VALUE, f"It cannot be signed: {error}.", param="file") from error


def demotions_due(op: Op, tx: Tx, since_us: int = 0) -> tuple[str, ...]:
    """The models of which evidence was revoked since then, and after their stage was decided."""
    found = []
    for model in evidence.revoked_models(op, tx, since_us):
        standing = stages.standing(op, tx, model)
        if standing is not None and _is_due(op, tx, standing):
            found.append(model)
    return tuple(found)


def _is_due(op: Op, tx: Tx, standing: Standing) -> bool:
    return standing.model in evidence.revoked_models(op, tx, standing.effective_us)


def demote(op: Op, tx: Tx, name: str, desk: Desk) -> Standing | None:
    """One stage back for a model that stands where revoked evidence carried it; ``None`` if it may
    stay, is not offered any more, or was moved meanwhile, as by another replica.

    Only what was taken back counts here: what merely grew old stops the next step, not this one.
    """
    model = next((each for each in catalog.models(op, tx) if each.name == name), None)
    standing = stages.standing(op, tx, name)
    if model is None or standing is None or not _is_due(op, tx, standing):
        return None
    file = file_of(op, tx, ReadinessAsk(model=model.name, stage=standing.stage), desk)
    lines = judged(op, tx, file, desk.policy)
    fallen = [line.gate.name for line in lines if line.outcome.revoked and line.waiver is None]
    if not fallen:
        return None
    return stages.move(
        op,
        tx,
        StageAsk(
            model=name,
            stage=stages.stage_below(standing.stage),
            reason=f"Evidence was revoked: {', '.join(fallen)}"[:500],
        ),
    )


def promise(
    op: Op, tx: Tx, how: ReadinessAsk, promised_us: int, reason: str, desk: Desk
) -> Promise:
    """Write down a promised date beside the forecast of this moment. Raises MODEL_NOT_FOUND,
    INVALID_VALUE."""
    found = report(op, tx, how, desk)
    said = Promise(
        model=found.model,
        stage=how.stage,
        promised_us=promised_us,
        early_us=None if found.forecast is None else found.forecast.early_us,
        late_us=None if found.forecast is None else found.forecast.late_us,
        reason=reason,
        said_us=op.now(),
        author=op.actor,
    )
    return slips.promise(op, tx, said)


def create_cohort(op: Op, tx: Tx, ask: CohortAsk) -> Cohort:
    """Raises MODEL_NOT_FOUND, and what creating raises."""
    return cohorts.create(op, tx, replace(ask, model=catalog.model_by(op, tx, ask.model).name))


def decide_member(op: Op, tx: Tx, cohort: str, org: str, state: MemberState) -> Member:
    """``org`` is a name or an id. Who is invited gets the cohort's hard cap, unless its own is
    lower; run it as every verb that sets a cap. Raises NAME_NOT_FOUND, STATE_CONFLICT."""
    found, owner = cohorts.cohort_by(op, tx, cohort), orgs.org_by(op, tx, org)
    if state is MemberState.INVITED and found.cap_nano is not None:
        chain = ((LimitScope.ORGANIZATION, owner.id),)
        (limit,) = ledger.limits(op, tx, chain)
        if limit.limit_nano is None or limit.limit_nano > found.cap_nano:
            ledger.set_limit(op, tx, LimitScope.ORGANIZATION, owner.id, found.cap_nano, None)
    return cohorts.decide(op, tx, found, owner.id, state)
