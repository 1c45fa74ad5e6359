"""A certificate is put in force only if it verifies, and counts only for what is served."""

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.measured import Measurement
from tests.support.ops import START_US, CountingIds, ManualClock
from tokenbooth.catalog.models import service as catalog
from tokenbooth.catalog.models.service import ModelAsk
from tokenbooth.control import models
from tokenbooth.control.certificates import DAY_US, apply, capacity_json, signed, verified
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.signing.attestation import read_attestation
from tokenbooth.signing.keys import SigningKey
from tokenbooth.verify.applied import service as in_force
from tokenbooth.verify.applied.service import Applied, CapacityState, state_of

KEY, STRANGER = SigningKey(bytes(32)), SigningKey(bytes(31) + b"\1")
KEYS = frozenset({KEY.public})
SUBJECT = {"model": "alpha", "fingerprint": "engine-1"}
TIMES = (START_US, 7 * DAY_US)
DOCUMENT: Any = signed(Measurement().evidence, SUBJECT, TIMES, KEY)
NOTHING: Any = signed(Measurement(knee=0).evidence, SUBJECT, TIMES, KEY)


@pytest.fixture
def alpha(op: Op, tx: Tx, ids: CountingIds) -> catalog.Model:
    """A booth that offers ``alpha``."""
    ask = ModelAsk(name="alpha", deployments=(models.scripted_deployment(),))
    return catalog.add_model(op, tx, ask, ids)


def refused(op: Op, tx: Tx, document: object, name: str | None = None) -> Problem:
    with pytest.raises(Problem) as caught:
        apply(op, tx, document, KEYS, name)
    assert in_force.applied(op, tx) == {}
    return caught.value


@pytest.mark.usefixtures("alpha")
def test_what_is_in_force_is_what_the_certificate_says(op: Op, tx: Tx) -> None:
    made = apply(op, tx, DOCUMENT, KEYS, None)
    assert (made.model, made.sequence, made.author) == ("alpha", 1, op.actor)
    assert (made.issued_us, made.expires_us) == (START_US, START_US + 7 * DAY_US)
    assert made.concurrency > 0
    assert 0 < made.calls_per_ks <= 20_000
    assert read_attestation(json.loads(made.document)).digest == made.digest
    assert in_force.applied_to(op, tx, "alpha") == made
    assert in_force.applied(op, tx) == {"alpha": made}


@pytest.mark.usefixtures("alpha")
def test_a_later_certificate_takes_the_place_of_an_earlier_one(
    op: Op, tx: Tx, clock: ManualClock
) -> None:
    first = apply(op, tx, DOCUMENT, KEYS, None)
    clock.us += DAY_US
    times = (clock.us, DAY_US)
    less = signed(Measurement(knee=5_000).evidence, SUBJECT, times, KEY)
    second = apply(op, tx, less, KEYS, None)
    assert (second.sequence, second.effective_us) == (2, clock.us)
    assert second.calls_per_ks < first.calls_per_ks
    assert in_force.applied_to(op, tx, "alpha") == second
    again = apply(op, tx, DOCUMENT, KEYS, None)
    assert (again.sequence, again.digest) == (3, first.digest)


@pytest.mark.usefixtures("alpha")
def test_a_certificate_may_be_put_in_force_under_the_name_that_is_offered_here(
    op: Op, tx: Tx
) -> None:
    other = signed(Measurement().evidence, {**SUBJECT, "model": "vendor/alpha"}, TIMES, KEY)
    assert refused(op, tx, other).code is Code.MODEL_NOT_FOUND
    assert apply(op, tx, other, KEYS, "alpha").model == "alpha"
    assert in_force.applied_to(op, tx, "vendor/alpha") is None


@pytest.mark.usefixtures("alpha")
def test_what_does_not_verify_is_refused_with_the_step_that_failed(
    op: Op, tx: Tx, clock: ManualClock
) -> None:
    turned = copy.deepcopy(DOCUMENT)
    turned["samples"][9][5] += 1
    strange = signed(Measurement().evidence, SUBJECT, TIMES, STRANGER)
    for document, step in ((turned, "samples"), (strange, "key"), ({}, "form"), (None, "form")):
        problem = refused(op, tx, document)
        assert (problem.code, problem.param) == (Code.INVALID_VALUE, "file")
        assert f"does not verify: {step}: " in problem.public
    clock.us = START_US + 7 * DAY_US
    assert "time: expired" in refused(op, tx, DOCUMENT).public
    clock.us = START_US - 1
    assert "time: not_yet" in refused(op, tx, DOCUMENT).public


@pytest.mark.usefixtures("alpha")
def test_a_true_certificate_of_nothing_is_not_put_in_force(op: Op, tx: Tx) -> None:
    assert all(step.ok for step in verified(NOTHING, KEYS, START_US))
    assert refused(op, tx, NOTHING).public == "The certificate certifies nothing."


def test_a_model_that_is_not_offered_has_nothing_in_force(op: Op, tx: Tx) -> None:
    assert refused(op, tx, DOCUMENT).code is Code.MODEL_NOT_FOUND
    assert refused(op, tx, DOCUMENT, "beta").code is Code.MODEL_NOT_FOUND


@pytest.mark.usefixtures("alpha")
def test_two_who_apply_at_the_same_moment_do_not_both_succeed(
    op: Op, tx: Tx, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = apply(op, tx, DOCUMENT, KEYS, None)
    monkeypatch.setattr(in_force.sql, "select_one", lambda tx, model: None)
    with pytest.raises(Problem) as caught:
        in_force.apply(op, tx, made)
    assert (caught.value.code, caught.value.param) == (Code.STATE_CONFLICT, "model")


APPLIED = Applied(
    model="alpha",
    sequence=1,
    digest="d" * 64,
    fingerprint="engine-1",
    concurrency=8,
    calls_per_ks=12_500,
    ttft_us=1_500_999,
    tpot_us=50_000,
    attainment_ppm=950_000,
    issued_us=START_US,
    expires_us=START_US + DAY_US,
    document="{}",
    effective_us=START_US,
    author="operator",
)


def test_a_models_list_says_what_is_certified_in_plain_units() -> None:
    assert capacity_json(APPLIED, {"engine-1"}, START_US) == {
        "state": "valid",
        "concurrency": 8,
        "calls_per_1000_s": 12_500,
        "ttft_ms": 1_500,
        "tpot_ms": 50,
        "attainment_ppm": 950_000,
        "certified_at": "2023-11-14T22:13:20Z",
        "expires_at": "2023-11-15T22:13:20Z",
        "fingerprint": "engine-1",
        "certificate": "d" * 64,
    }
    nameless = replace(APPLIED, fingerprint="")
    assert capacity_json(nameless, (), START_US)["fingerprint"] is None


@pytest.mark.parametrize(
    ("served", "age_us", "state"),
    [
        ({"engine-1"}, DAY_US - 1, "valid"),
        ({"engine-1"}, DAY_US, "expired"),
        ({"engine-2"}, 0, "stale"),
        ({"engine-1", "engine-2"}, 0, "stale"),
        ({"engine-2"}, DAY_US, "expired"),
        (set(), 0, "valid"),
    ],
)
def test_a_models_list_says_whether_it_still_counts(
    served: set[str], age_us: int, state: str
) -> None:
    assert capacity_json(APPLIED, served, START_US + age_us)["state"] == state


@given(
    st.sets(st.sampled_from(["engine-1", "engine-2", ""]), max_size=3),
    st.integers(0, 2 * DAY_US),
    st.integers(0, DAY_US),
)
def test_what_does_not_count_any_more_never_counts_again_by_waiting(
    served: set[str], age_us: int, later_us: int
) -> None:
    now = state_of(APPLIED, served, START_US + age_us)
    later = state_of(APPLIED, served, START_US + age_us + later_us)
    assert not (now is not CapacityState.VALID and later is CapacityState.VALID)
    assert (now is CapacityState.VALID) == (served <= {"engine-1"} and age_us < DAY_US)
