"""A certificate becomes evidence of what is offered, if it verifies and is of what answers now."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.measured import Measurement
from tests.support.ops import START_US
from tests.support.stores import lay_out
from tokenbooth.control import launch_certificate
from tokenbooth.control.certificates import signed
from tokenbooth.control.launch_certificate import add_certificate, is_certificate
from tokenbooth.control.launch_report import ReadinessAsk
from tokenbooth.core.codes import Code
from tokenbooth.core.days import US_PER_DAY
from tokenbooth.core.problem import Problem
from tokenbooth.launch.evidence.service import Piece
from tokenbooth.launch.stages.service import Stage
from tokenbooth.proving.launching.lab import Lab, open_lab

MEASURED = Measurement()
WRONG = Measurement(wrong=lambda batch, number: batch > 4 and number % 2 == 0)


@pytest.fixture
def lab() -> Iterator[Lab]:
    with open_lab(0, START_US, lay_out) as opened:
        opened.offer("alpha", {})
        yield opened


def certificate(lab: Lab, measured: Measurement = MEASURED) -> Any:
    subject = {"model": "alpha", "fingerprint": "engine-1"}
    return signed(measured.evidence, subject, (lab.clock.us, 7 * US_PER_DAY), lab.desk.key)


def add(lab: Lab, document: object, name: str | None = None) -> tuple[Piece, Piece]:
    with lab.tx() as tx:
        return add_certificate(lab.op(), tx, document, name, lab.desk)


def test_a_certificate_passes_its_two_gates_for_as_long_as_it_counts(lab: Lab) -> None:
    document = certificate(lab)
    assert is_certificate(document)
    capacity, quality = add(lab, document)
    rate = capacity.attestation.finding.body["calls_per_ks"]
    assert isinstance(rate, int)
    assert quality.attestation.finding.body["parity_under_load"] is True
    ask = ReadinessAsk(model="alpha", stage=Stage.PRIVATE_PREVIEW, demand_per_minute=60)
    lab.clock.us += US_PER_DAY
    found = lab.report(ask)
    marks = {line.gate.name: line.outcome.mark.value for line in found.lines}
    assert (marks["capacity"], marks["quality"]) == ("pass", "pass")
    assert found.room.certified_milli == rate
    lab.clock.us += 7 * US_PER_DAY
    marks = {line.gate.name: line.outcome.mark.value for line in lab.report(ask).lines}
    assert (marks["capacity"], marks["quality"]) == ("stale", "stale")


def test_answers_that_get_worse_are_told(lab: Lab) -> None:
    _, quality = add(lab, certificate(lab, WRONG))
    assert quality.attestation.finding.body["parity_under_load"] is False


def test_a_certificate_that_does_not_verify_becomes_nothing(lab: Lab) -> None:
    document = certificate(lab)
    document["samples"][0][4] += 1
    with pytest.raises(Problem) as caught:
        add(lab, document)
    assert caught.value.code is Code.INVALID_VALUE
    assert "does not verify" in caught.value.public
    assert not is_certificate({"payload": ""})
    assert not is_certificate([])


def test_a_certificate_of_another_build_becomes_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    for served, fine in (("engine-2", False), ("engine-1", True)):
        monkeypatch.setattr(
            launch_certificate.meter, "newest_fingerprint", lambda op, tx, model, at=served: at
        )
        if fine:
            assert add(lab, certificate(lab), "alpha")
            continue
        with pytest.raises(Problem) as caught:
            add(lab, certificate(lab))
        assert "now answers as 'engine-2'" in caught.value.public


def test_a_model_that_is_not_offered_has_no_evidence(lab: Lab) -> None:
    with pytest.raises(Problem) as caught:
        add(lab, certificate(lab), "beta")
    assert caught.value.code is Code.MODEL_NOT_FOUND
