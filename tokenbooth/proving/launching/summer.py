"""June and July of a season: partners, an attack, an invitation, the public, a bad release."""

import asyncio

from tokenbooth.control import accounts, launch_report, launching
from tokenbooth.control.launch_documents import per_second
from tokenbooth.core.money import format_nano
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope
from tokenbooth.launch.cohorts.service import CohortAsk, MemberState
from tokenbooth.launch.evidence import service as evidence
from tokenbooth.launch.stages import service as stages
from tokenbooth.launch.stages.service import Stage, StageAsk
from tokenbooth.money.ledger import service as ledger
from tokenbooth.proving.launching.crush import crush
from tokenbooth.proving.launching.front import FrontDoor, new_key, open_front
from tokenbooth.proving.launching.servers import capacity, quality
from tokenbooth.proving.launching.show import (
    ATTACK_CALLS,
    ATTACKER,
    COHORT,
    COHORT_CAP_NANO,
    MODEL,
    NEXT,
    PARTNERS,
    SEED,
    SKILL,
    TRAFFIC_MINUTES,
    WAITING_ORGS,
    Show,
)
from tokenbooth.proving.launching.tamper import go_until_tampered


def partners(show: Show) -> None:
    show.at(6, 2)
    lab = show.lab
    lab.measured(MODEL, "capacity/1", capacity(SEED + 1).body(1), days=7)
    lab.measured(MODEL, "quality/1", quality(SEED + 3, SKILL, fault_at=0).body())
    _open_accounts(show)
    show.move(Stage.PRIVATE_PREVIEW)
    before, after = asyncio.run(_first_calls(show))
    show.frame(
        "Three partners are invited",
        (
            f"Before, {PARTNERS[0]} hears: {before}. After: {after}.",
            (
                f"Each may spend {format_nano(COHORT_CAP_NANO)} USD; who is not invited hears"
                " model_not_open."
            ),
        ),
        {"before": before, "after": after, "invited": len(PARTNERS)},
        f"tokenbooth cohort invite {COHORT} {PARTNERS[0]}",
        passed=(before, after) == ("403 model_not_open", "200"),
    )


def _open_accounts(show: Show) -> None:
    lab = show.lab
    with lab.tx() as tx:
        op = lab.op()
        for name in (*PARTNERS, "outsider"):
            accounts.create_organization(op, tx, accounts.OrganizationAsk(name), lab.ids)
            accounts.add_credit(op, tx, name, 50 * 10**9, f"prepaid by {name}")
        ask = CohortAsk(name=COHORT, model=MODEL, organizations_max=3, cap_nano=COHORT_CAP_NANO)
        launching.create_cohort(op, tx, ask)
    show.secrets = {name: new_key(lab, name) for name in (*PARTNERS, "outsider")}


async def _first_calls(show: Show) -> tuple[str, str]:
    lab = show.lab
    async with open_front(lab) as front:
        first = await front.call(show.secrets[PARTNERS[0]], MODEL)
        with lab.tx() as tx:
            for name in PARTNERS:
                launching.decide_member(lab.op(), tx, COHORT, name, MemberState.INVITED)
        lab.clock.us += 60_000_000
        second = await front.call(show.secrets[PARTNERS[0]], MODEL)
        outside = await front.call(show.secrets["outsider"], MODEL)
    assert outside.code == "model_not_open", "nobody else gets in"
    return f"{first.status} {first.code}", f"{second.status}"


def attack(show: Show) -> None:
    show.at(6, 10)
    answered, refused = asyncio.run(_traffic_and_attack(show))
    lab = show.lab
    with lab.tx() as tx:
        proof = ledger.verify(lab.op(), tx)
        org = next(a for a in accounts.organizations(lab.op(), tx) if a.org.name == ATTACKER)
    cap = next(each for each in org.limits if each.scope is LimitScope.ORGANIZATION)
    overshoot_nano = max(0, cap.spent_nano - COHORT_CAP_NANO)
    sound = proof.difference_nano == 0 and not proof.problems
    show.frame(
        "One partner attacks its cap",
        (
            f"{ATTACKER} sends {ATTACK_CALLS} calls at once, worth more than it may spend.",
            (
                f"It has spent {format_nano(cap.spent_nano)} of {format_nano(COHORT_CAP_NANO)} USD:"
                f" overshoot {overshoot_nano}. The others were served: {answered}."
            ),
            f"The ledger proved against itself: difference {proof.difference_nano}.",
        ),
        {
            "overshoot_nano": overshoot_nano,
            "spent_nano": cap.spent_nano,
            "difference_nano": proof.difference_nano,
            "others_answered": answered,
        },
        "tokenbooth drill stampede",
        passed=overshoot_nano == 0 and sound and refused > 0 and cap.spent_nano > 0,
    )


async def _traffic_and_attack(show: Show) -> tuple[int, int]:
    """A busy stretch of all partners, then the attack; how many others were answered, how many of
    the attacker's calls were refused."""
    lab, answered = show.lab, 0
    async with open_front(lab) as front:
        for minute in range(TRAFFIC_MINUTES):
            lab.clock.us += 60_000_000
            for place, name in enumerate(PARTNERS):
                for _ in range(2 + (minute * (place + 3)) % 7):
                    got = await front.call(show.secrets[name], MODEL)
                    answered += got.status == 200 and name != ATTACKER
        refused = await _burst(front, show.secrets[ATTACKER])
        got = await front.call(show.secrets[PARTNERS[0]], MODEL)
        answered += got.status == 200
        await front.told()
    return answered, refused


async def _burst(front: FrontDoor, secret: str) -> int:
    """All at once, and then one by one until nothing is left to spend."""
    got = await asyncio.gather(*(front.call(secret, MODEL) for _ in range(ATTACK_CALLS)))
    refused = sum(each.status != 200 for each in got)
    while (await front.call(secret, MODEL)).status == 200:
        pass
    return refused


def invitation(show: Show) -> None:
    show.at(6, 16)
    lab = show.lab
    replicas = show.report(Stage.PUBLIC_PREVIEW).room.replicas_needed or 3
    lab.measured(MODEL, "capacity/1", capacity(SEED + 2).body(replicas), days=7)
    lab.measured(MODEL, "quality/1", quality(SEED + 4, SKILL, fault_at=0).body())
    room = show.report(Stage.PUBLIC_PREVIEW).room
    seen = crush(SEED)
    lab.measured(MODEL, "overload-drill/1", seen.body())
    invite, demand = room.invite or 0, room.demand_milli or 0
    how = "stated" if room.stated else "measured"
    show.frame(
        f"A certificate of {replicas} replicas: invite {invite}",
        (
            (
                f"{per_second(room.certified_milli or 0)} calls a second are certified; a partner"
                f" asks for {per_second(demand)} in its busy minutes ({how})."
            ),
            f"{room.admitted} are in, {room.admissible} fit: invite {invite}.",
            *seen.said(),
        ),
        {"invite": invite, "demand_milli": demand, "stated": room.stated, **seen.facts()},
        f"tokenbooth readiness {MODEL} --to public_preview; tokenbooth simulate serving",
        passed=invite > 0 and not room.stated and seen.passed,
    )


def public(show: Show) -> None:
    show.at(6, 18)
    lab = show.lab
    lab.measured(MODEL, "error-budget/1", {"days": 14, "left_permille": 610, "open_pages": 0})
    show.basics(MODEL)
    before = show.report(Stage.PUBLIC_PREVIEW)
    with lab.tx() as tx:
        file = launch_report.file_of(lab.op(), tx, show.ask(Stage.PUBLIC_PREVIEW), lab.desk)
        tampered = go_until_tampered(lab, tx, file)
    report = show.move(Stage.PUBLIC_PREVIEW)
    show.frame(
        "GO: public preview",
        (
            f"All {len(before.lines)} gates pass; the signed report is kept.",
            (
                f"Each of {tampered.pieces} pieces of evidence changed in {tampered.ways} ways, one"
                f" at a time: {tampered.still_go} still GO."
            ),
        ),
        {
            "verdict": before.verdict.value,
            "gates": len(before.lines),
            "pieces": tampered.pieces,
            "tampered": tampered.tried,
            "still_go": tampered.still_go,
        },
        f"tokenbooth stage set {MODEL} public_preview --population {WAITING_ORGS}",
        passed=report is not None and tampered.still_go == 0 and tampered.pieces > 0,
    )


def bad_release(show: Show) -> None:
    show.at(7, 7)
    lab = show.lab
    lab.offer(NEXT, {"seed": "3", "chunks": "24"})
    with lab.tx() as tx:
        stages.move(lab.op(), tx, StageAsk(model=NEXT, stage=Stage.CLOSED))
    found = quality(SEED + 5, SKILL, fault_at=64)
    lab.measured(NEXT, "quality/1", found.body())
    lab.measured(NEXT, "capacity/1", capacity(SEED + 3).body(1), days=7)
    show.basics(NEXT)
    said = ""
    try:
        show.move(Stage.PRIVATE_PREVIEW, NEXT)
    except Problem as problem:
        said = problem.public
    with lab.tx() as tx:
        standing = stages.standing(lab.op(), tx, NEXT)
    show.frame(
        "A bad release is stopped",
        (f"{NEXT} stays {standing.stage.value if standing else 'nowhere'}.", said),
        {"stage": standing.stage.value if standing else "", "refused": bool(said)},
        f"tokenbooth stage set {NEXT} private_preview",
        passed=said.startswith("NO-GO") and "quality" in said,
    )


def alarm(show: Show) -> None:
    show.at(7, 9)
    lab = show.lab
    with lab.tx() as tx:
        pieces = evidence.pieces(lab.op(), tx, MODEL)
        receipt = next(each for each in pieces if each.kind == "quality/1")
        evidence.revoke(lab.op(), tx, receipt.digest, "the canary heard wrong answers")
    lab.clock.us += 2_000_000
    moved = []
    for _ in range(2):  # as two servers would, one after the other
        with lab.tx() as tx:
            due = launching.demotions_due(lab.op(), tx)
            moved += [launching.demote(lab.op("worker"), tx, each, lab.desk) for each in due]
    stage = moved[0].stage.value if moved and moved[0] is not None else ""
    show.frame(
        "Evidence is taken back, and the model goes one stage back by itself",
        (f"{MODEL} is in {stage} two seconds later; invited partners go on calling.",),
        {"stage": stage, "moves": len(moved)},
        "tokenbooth evidence revoke DIGEST --reason 'the canary heard wrong answers'",
        passed=stage == Stage.PRIVATE_PREVIEW.value and len(moved) == 1,
    )
