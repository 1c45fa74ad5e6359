"""A GO that evidence carries falls with each piece of it, however the piece is bent."""

from dataclasses import replace

import pytest

from tests.unit.proving.launching.conftest import MakeReady
from tokenbooth.control import launching
from tokenbooth.control.launch_report import Desk, file_of, judged
from tokenbooth.control.launching import Grant
from tokenbooth.core.days import US_PER_DAY
from tokenbooth.launch.evidence import service as evidence
from tokenbooth.launch.gates.service import Mark
from tokenbooth.launch.stages.service import Stage
from tokenbooth.proving.launching import tamper
from tokenbooth.proving.launching.lab import Lab
from tokenbooth.proving.launching.tamper import BENDS, Bend, Tampered, go_until_tampered
from tokenbooth.signing.attestation import Wanted, check


def tampered(lab: Lab, ask: object) -> Tampered:
    with lab.tx() as tx:
        file = file_of(lab.op(), tx, ask, lab.desk)  # type: ignore[arg-type]
        return go_until_tampered(lab, tx, file)


def only(monkeypatch: pytest.MonkeyPatch, name: str) -> Bend:
    """Bend in this way alone."""
    bend = next(each for each in BENDS if each.__name__ == name)
    monkeypatch.setattr(tamper, "BENDS", (bend,))
    return bend


def with_gates(lab: Lab, **fields: object) -> Desk:
    """The same booth, where every gate of private preview has other terms."""
    policy, stage = lab.desk.policy, Stage.PRIVATE_PREVIEW
    gates = tuple(replace(gate, **fields) for gate in policy.edges[stage])  # type: ignore[arg-type]
    return Desk(replace(policy, edges={**policy.edges, stage: gates}), lab.desk.key)


def test_each_piece_carries_the_go_against_every_bend_and_nothing_older_stands_in(
    lab: Lab, make_ready: MakeReady
) -> None:
    make_ready(Stage.PRIVATE_PREVIEW)
    lab.clock.us += US_PER_DAY
    found = tampered(lab, make_ready(Stage.PRIVATE_PREVIEW))
    assert found == Tampered(pieces=5, ways=len(BENDS), tried=5 * len(BENDS), still_go=0)


@pytest.mark.parametrize("bend", BENDS, ids=lambda bend: bend.__name__.strip("_"))
def test_a_bent_piece_is_gone_or_no_longer_what_counted(
    lab: Lab, make_ready: MakeReady, bend: Bend
) -> None:
    ask = make_ready(Stage.PRIVATE_PREVIEW)
    with lab.tx() as tx:
        file = file_of(lab.op(), tx, ask, lab.desk)
        piece = next(each for each in file.pieces if each.kind == "rollback/1")
        bent = bend(piece, file, lab.desk.key)
        rest = tuple(each for each in file.pieces if each is not piece)
        spoiled = replace(file, pieces=rest if bent is None else (*rest, bent))
        (line,) = [
            each
            for each in judged(lab.op(), tx, spoiled, lab.desk.policy)
            if each.gate.name == "rollback"
        ]
    assert line.outcome.mark is not Mark.PASS
    assert line.outcome.why
    wanted = Wanted("rollback/1", lab.desk.keys, file.case.now_us, file.case.subject)
    assert check(piece.attestation, wanted) == (), "the piece itself was left as it is"
    assert piece.revoked_us is None


def test_a_gate_that_does_not_mind_old_evidence_is_found_out(
    lab: Lab, make_ready: MakeReady, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = make_ready(Stage.PRIVATE_PREVIEW)
    only(monkeypatch, "_old")
    assert tampered(lab, ask).still_go == 0
    lab.desk = with_gates(lab, fresh_us=1000 * US_PER_DAY)
    assert tampered(lab, ask).still_go == 5


def test_a_key_that_everybody_trusts_is_found_out(
    lab: Lab, make_ready: MakeReady, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = make_ready(Stage.PRIVATE_PREVIEW)
    stranger = only(monkeypatch, "_stranger")
    with lab.tx() as tx:
        file = file_of(lab.op(), tx, ask, lab.desk)
        bent = stranger(file.pieces[0], file, lab.desk.key)
    assert bent is not None
    trusted = frozenset({bent.attestation.public})
    lab.desk = Desk(replace(lab.desk.policy, trusted=trusted), lab.desk.key)
    assert tampered(lab, ask).still_go == 5


def test_what_was_waived_carries_nothing_and_is_not_bent(lab: Lab, make_ready: MakeReady) -> None:
    ask = make_ready(Stage.PRIVATE_PREVIEW)
    grant = Grant(
        gate="billing", owner="Ada", reason="by hand", expires_us=lab.clock.us + US_PER_DAY
    )
    with lab.tx() as tx:
        launching.waive(lab.op(), tx, ask, grant, lab.desk.policy)
        pieces = evidence.pieces(lab.op(), tx, "demo")
        billing = next(each for each in pieces if each.kind == "billing/1")
        evidence.revoke(lab.op(), tx, billing.digest, "it was not so")
    found = tampered(lab, ask)
    assert (found.pieces, found.still_go) == (4, 0)


def test_one_revocation_and_there_is_no_go_left_to_lose(lab: Lab, make_ready: MakeReady) -> None:
    ask = make_ready(Stage.PRIVATE_PREVIEW)
    with lab.tx() as tx:
        piece = evidence.pieces(lab.op(), tx, "demo")[0]
        evidence.revoke(lab.op(), tx, piece.digest, "it was not so")
    with pytest.raises(ValueError, match="no GO to lose"):
        tampered(lab, ask)
