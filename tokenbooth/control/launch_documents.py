"""Launches as JSON: whole numbers and texts only, so that a report can be signed as it is."""

from tokenbooth.control.documents import Json, iso_time
from tokenbooth.core.money import format_nano
from tokenbooth.launch.cohorts.service import Cohort, Member
from tokenbooth.launch.evidence.service import Piece
from tokenbooth.launch.gates.service import Outcome, Reading, Waiver
from tokenbooth.launch.readiness.service import Line, Report, Room
from tokenbooth.launch.slips.service import Promise
from tokenbooth.launch.stages.service import Standing

US_PER_DAY = 86_400_000_000
US_PER_HOUR = 3_600_000_000


def standing_json(found: Standing) -> Json:
    return {
        "object": "stage",
        "model": found.model,
        "capability": found.capability or None,
        "stage": found.stage.value,
        "sunset_at": iso_time(found.sunset_us),
        "successor": found.successor,
        "reason": found.reason,
        "report": found.report or None,
        "since": iso_time(found.effective_us),
        "author": found.author,
    }


def cohort_json(found: Cohort, members: tuple[Member, ...] = ()) -> Json:
    limits = found.limits
    return {
        "object": "cohort",
        "name": found.name,
        "model": found.model,
        "organizations_max": found.organizations_max,
        "cap": None if found.cap_nano is None else format_nano(found.cap_nano),
        "requests_per_minute": limits.requests_per_minute,
        "tokens_per_minute": limits.tokens_per_minute,
        "parallel_calls": limits.parallel_calls,
        "members": [member_json(each) for each in members],
    }


def member_json(found: Member) -> Json:
    return {
        "organization": found.org_id,
        "cohort": found.cohort,
        "state": found.state.value,
        "since": iso_time(found.effective_us),
        "author": found.author,
    }


def piece_json(found: Piece) -> Json:
    finding = found.attestation.finding
    return {
        "object": "evidence",
        "digest": found.digest,
        "kind": finding.kind,
        "subject": dict(finding.subject),
        "issued_at": iso_time(finding.issued_at_us),
        "expires_at": iso_time(finding.expires_at_us),
        "key_id": found.attestation.key_id,
        "added_by": found.added_by,
        "revoked_at": iso_time(found.revoked_us),
        "revoked_why": found.revoked_why or None,
    }


def promise_json(found: Promise) -> Json:
    return {
        "object": "promise",
        "model": found.model,
        "stage": found.stage.value,
        "promised": iso_time(found.promised_us),
        "forecast_early": iso_time(found.early_us),
        "forecast_late": iso_time(found.late_us),
        "reason": found.reason,
        "said_at": iso_time(found.said_us),
        "author": found.author,
    }


def waiver_json(found: Waiver) -> Json:
    return {
        "gate": found.gate,
        "stage": found.stage.value,
        "owner": found.owner,
        "reason": found.reason,
        "expires_at": iso_time(found.expires_us),
        "granted_at": iso_time(found.granted_us),
        "granted_by": found.granted_by,
    }


def report_json(found: Report) -> Json:
    """Everything that the page shows. Blockers stand in the order in which they should be begun."""
    forecast = found.forecast
    return {
        "object": "readiness_report",
        "model": found.model,
        "fingerprint": found.fingerprint,
        "stage_now": found.stage_now.value,
        "stage": found.stage.value,
        "verdict": found.verdict.value,
        "blockers": [line.gate.name for line in found.blockers],
        "gates": [line_json(each) for each in found.lines],
        "waivers": [waiver_json(e.waiver) for e in found.lines if e.waiver is not None],
        "room": room_json(found.room),
        "predecessor": found.predecessor,
        "forecast": None
        if forecast is None
        else {
            "chance_percent": 80,
            "early": iso_time(forecast.early_us),
            "likely": iso_time(forecast.likely_us),
            "late": iso_time(forecast.late_us),
        },
        "forecast_unknown": found.forecast_why or None,
        "promised": iso_time(found.promised_us),
        "slipped_days": found.slipped_us // US_PER_DAY,
        "untested": list(found.untested),
        "policy": found.policy,
        "made_at": iso_time(found.made_us),
    }


def line_json(found: Line) -> Json:
    outcome, gate = found.outcome, found.gate
    return {
        "gate": gate.name,
        "title": gate.title,
        "edge": found.stage.value,
        "mark": outcome.mark.value,
        "why": list(outcome.why),
        "waived": found.waiver is not None,
        "readings": [reading_json(each) for each in outcome.readings],
        "margin_permille": outcome.margin_permille,
        "trend": found.trend.value,
        "measurements": len(found.history),
        "lead_days": gate.lead_days,
        **_source_json(outcome),
        "reproduce": gate.reproduce,
    }


def _source_json(outcome: Outcome) -> Json:
    return {
        "evidence": outcome.evidence or None,
        "key_id": outcome.key_id or None,
        "age_hours": None if outcome.age_us is None else outcome.age_us // US_PER_HOUR,
        "expires_at": iso_time(outcome.expires_us),
    }


def reading_json(found: Reading) -> Json:
    return {
        "figure": found.figure,
        "value": found.value,
        "sense": found.sense.value,
        "bound": found.bound,
        "margin_permille": found.margin_permille,
        "met": found.met,
    }


def room_json(found: Room) -> Json:
    """Rates in thousandths of a call a second."""
    return {
        "certified_calls_per_ks": found.certified_milli,
        "replicas": found.replicas,
        "demand_milli": found.demand_milli,
        "demand_stated": found.stated,
        "admitted": found.admitted,
        "population": found.population,
        "admissible": found.admissible,
        "invite": found.invite,
        "replicas_needed": found.replicas_needed,
    }


def report_lines(found: Report) -> list[str]:
    """The report for a terminal: the verdict first, then what to begin with."""
    said = [f"{found.verdict.value}  {found.model}: {found.stage_now.value} -> {found.stage.value}"]
    for line in found.blockers:
        outcome = line.outcome
        said += [
            f"  {outcome.mark.value:<8} {line.gate.name}: {'; '.join(outcome.why)}",
            f"           takes about {line.gate.lead_days} days; {line.gate.reproduce}",
        ]
    said += [
        f"  waived   {e.gate.name} by {e.waiver.owner} until {iso_time(e.waiver.expires_us)}:"
        f" {e.waiver.reason}"
        for e in found.lines
        if e.waiver is not None
    ]
    passed = [line.gate.name for line in found.lines if line.outcome.mark == "pass"]
    said.append(f"  pass     {', '.join(passed) or 'none'}")
    said += [f"room       {each}" for each in room_lines(found.room)]
    said.append(f"forecast   {forecast_line(found)}")
    if found.promised_us is not None:
        moved = found.slipped_us // US_PER_DAY
        said.append(f"promised   {iso_time(found.promised_us)}, moved by {moved} days so far")
    said += [f"untested   {each}" for each in found.untested]
    return said


def room_lines(room: Room) -> list[str]:
    """Who fits, in words."""
    if room.certified_milli is None:
        return ["capacity unknown: no certificate that counts"]
    said = [f"{per_second(room.certified_milli)} calls a second are certified"]
    if room.demand_milli is None:
        return [*said, "demand unknown: too few calls to measure it, and none was stated"]
    how = "stated" if room.stated else "measured"
    return [
        *said,
        f"an organization asks for {per_second(room.demand_milli)} a second ({how})",
        f"{room.admitted} organizations are in, {room.admissible} fit: invite {room.invite}",
        f"{room.population} organizations need {room.replicas_needed} replicas",
    ]


def per_second(calls_per_ks: int) -> str:
    """``4.7`` for 4700 thousandths."""
    whole, part = divmod(calls_per_ks, 1000)
    return f"{whole}.{part:03d}".rstrip("0").rstrip(".")


def forecast_line(found: Report) -> str:
    """The 80 % interval, or why there is none."""
    if found.forecast is None:
        return f"unknown: {found.forecast_why}"
    if not found.blockers:
        return "nothing stands in the way"
    late = found.forecast.late_us
    until = "later than two years from now" if late is None else (iso_time(late) or "")[:10]
    early = (iso_time(found.forecast.early_us) or "")[:10]
    return f"between {early} and {until} (80 %)"
