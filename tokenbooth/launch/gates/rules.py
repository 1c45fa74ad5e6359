"""Judging a gate: a pure function of signed evidence, and nothing but PASS lets anybody through."""

from collections.abc import Mapping, Sequence

from tokenbooth.launch.evidence.values import Piece
from tokenbooth.launch.gates.values import Case, Figure, Gate, Mark, Need, Outcome, Reading, Sense
from tokenbooth.signing.attestation import Refusal, Wanted, check

US_PER_HOUR = 3_600_000_000
MARGIN_MAX = 1_000_000
_WORDS = {
    Refusal.MALFORMED: "it is no attestation",
    Refusal.WRONG_KIND: "it is of another kind",
    Refusal.WRONG_SUBJECT: "it was made for another build",
    Refusal.UNKNOWN_KEY: "nobody trusts the key that signed it",
    Refusal.BAD_SIGNATURE: "its signature is wrong",
    Refusal.NOT_YET: "it is dated in the future",
    Refusal.EXPIRED: "it has expired",
}
# These make evidence void; what is left of it was true once.
_VOID = frozenset(Refusal) - {Refusal.WRONG_SUBJECT, Refusal.EXPIRED}


def judge(gate: Gate, pieces: Sequence[Piece], case: Case) -> Outcome:
    """PASS only where the newest sound evidence is of this very build, fresh, and meets all needs.

    An older piece never stands in for a newer one that fails, nor for one that was revoked.
    """
    wanted = Wanted(gate.kind, case.keys, case.now_us, case.subject)
    ranked = sorted(
        (piece for piece in pieces if piece.kind == gate.kind),
        key=lambda piece: (piece.issued_us, piece.digest),
        reverse=True,
    )
    if not ranked:
        return Outcome(gate=gate, mark=Mark.MISSING, why=("there is no evidence",))
    reasons = [frozenset(check(piece.attestation, wanted)) for piece in ranked]
    sound = [(piece, why) for piece, why in zip(ranked, reasons, strict=True) if not why & _VOID]
    if not sound:
        return Outcome(gate=gate, mark=Mark.MISSING, why=_words(reasons[0]))
    own = [(piece, why) for piece, why in sound if Refusal.WRONG_SUBJECT not in why]
    piece, why = (own or sound)[0]
    spoken = _words(why)
    revoked = [
        each.revoked_why
        for each, _ in own or sound
        if each.revoked_us is not None and piece.issued_us <= each.revoked_us
    ]
    if revoked:
        spoken = (*spoken, f"it was revoked: {revoked[0]}")
    age_us = case.now_us - piece.issued_us
    if age_us > gate.fresh_us:
        spoken = (*spoken, f"it is older than {gate.fresh_us // US_PER_HOUR} hours")
    readings = tuple(
        read(need, gate.kind, piece.attestation.finding.body, case) for need in gate.needs
    )
    mark = Mark.STALE
    if not spoken:
        unmet = [each for each in readings if not each.met]
        mark = Mark.FAIL if unmet else Mark.PASS
        if unmet and all(each.bound is None for each in unmet):
            mark = Mark.MISSING
        spoken = tuple(_unmet(each) for each in unmet)
    return Outcome(
        gate=gate,
        mark=mark,
        readings=readings,
        evidence=piece.digest,
        key_id=piece.attestation.key_id,
        age_us=age_us,
        expires_us=piece.attestation.finding.expires_at_us,
        why=spoken,
        revoked=bool(revoked),
    )


def read(need: Need, kind: str, body: Mapping[str, object], case: Case) -> Reading:
    """One need against one body; a figure that is not there, or of another type, is not met."""
    value, bound = figure_at(body, need.figure), _bound(need, kind, case)
    met, margin = False, -MARGIN_MAX
    if need.of_predecessor is not None and case.predecessor is None:
        met, margin = value is not None, 0  # there is nothing that it could be worse than
    elif value is not None and bound is not None and type(value) is type(bound):
        if need.sense is Sense.IS:
            met = value == bound
            margin = 0 if met else -1000
        elif type(value) is int and type(bound) is int:
            room = value - bound if need.sense is Sense.AT_LEAST else bound - value
            met = room >= 0
            margin = max(-MARGIN_MAX, min(MARGIN_MAX, room * 1000 // max(abs(bound), 1)))
    return Reading(
        figure=need.figure,
        sense=need.sense,
        value=value,
        bound=bound,
        margin_permille=margin,
        met=met,
    )


def figure_at(body: Mapping[str, object], path: str) -> Figure | None:
    """The whole number, text or truth at a path with dots; ``None`` where there is none."""
    found: object = body
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, int | str) else None


def _bound(need: Need, kind: str, case: Case) -> Figure | None:
    if need.of_forecast is not None:
        forecast = case.forecast_milli
        return None if forecast is None else -(-forecast * need.of_forecast // 1000)
    if need.of_predecessor is None:
        return need.bound
    before = figure_at((case.predecessor or {}).get(kind, {}), need.figure)
    if type(before) is not int:
        return None
    scaled = before * need.of_predecessor
    return -(-scaled // 1000) if need.sense is Sense.AT_LEAST else scaled // 1000


def _words(reasons: frozenset[Refusal]) -> tuple[str, ...]:
    return tuple(_WORDS[reason] for reason in Refusal if reason in reasons)


def _unmet(reading: Reading) -> str:
    if reading.bound is None:
        return f"what {reading.figure} must come to is not known"
    if reading.value is None:
        return f"it says nothing of {reading.figure}"
    sense = reading.sense.value.replace("_", " ")
    must = "" if reading.sense is Sense.IS else f"{sense} "
    return f"{reading.figure} is {shown(reading.value)}, and must be {must}{shown(reading.bound)}"


def shown(figure: Figure) -> str:
    """For people."""
    return {True: "yes", False: "no"}[figure] if isinstance(figure, bool) else str(figure)
