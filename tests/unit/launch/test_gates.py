"""Nothing but sound, fresh evidence of this very build passes a gate."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.launches import BODY, CASE, GATE, HOUR_US, KEY, NOW_US, STRANGER, SUBJECT, piece
from tokenbooth.launch.evidence.service import Piece
from tokenbooth.launch.gates.rules import judge, read
from tokenbooth.launch.gates.service import Case, Mark, Need, Sense
from tokenbooth.signing.attestation import Attestation

OTHER_BUILD = {"model": "m", "fingerprint": "fp_2"}


def forged(good: Piece) -> Piece:
    """The figures are better than what was signed."""
    finding = replace(good.attestation.finding, body={**BODY, "calls_per_ks": 9999})
    return replace(
        good, attestation=Attestation(finding, good.attestation.public, good.attestation.signature)
    )


def test_sound_and_fresh_evidence_that_meets_all_needs_passes() -> None:
    found = judge(GATE, [piece()], CASE)
    assert (found.mark, found.why) == (Mark.PASS, ())
    assert (found.age_us, found.key_id) == (HOUR_US, KEY.key_id)
    assert [reading.margin_permille for reading in found.readings] == [500, 500, 0]
    assert found.margin_permille == 0


@pytest.mark.parametrize(
    ("pieces", "mark", "word"),
    [
        ([], Mark.MISSING, "no evidence"),
        ([piece(kind="billing/1")], Mark.MISSING, "no evidence"),
        ([piece(key=STRANGER)], Mark.MISSING, "trusts"),
        ([forged(piece())], Mark.MISSING, "signature"),
        ([piece(age_h=-1)], Mark.MISSING, "future"),
        ([piece(subject=OTHER_BUILD)], Mark.STALE, "another build"),
        ([piece(age_h=5, valid_h=5)], Mark.STALE, "expired"),
        ([piece(age_h=11)], Mark.STALE, "older than 10 hours"),
        ([piece(revoked_h_ago=0)], Mark.STALE, "the canary sang"),
        ([piece({**BODY, "calls_per_ks": 999})], Mark.FAIL, "calls_per_ks is 999"),
        ([piece({**BODY, "tail": {"ms": 201}})], Mark.FAIL, "at most 200"),
        ([piece({**BODY, "passed": False})], Mark.FAIL, "must be yes"),
        ([piece({**BODY, "passed": 1})], Mark.FAIL, "passed is 1"),
        ([piece({"calls_per_ks": 5000, "passed": True})], Mark.FAIL, "nothing of tail.ms"),
        ([piece({**BODY, "calls_per_ks": "5000"})], Mark.FAIL, "calls_per_ks is 5000"),
    ],
)
def test_anything_else_does_not(pieces: list[Piece], mark: Mark, word: str) -> None:
    found = judge(GATE, pieces, CASE)
    assert found.mark is mark
    assert word in "; ".join(found.why)


def test_an_older_piece_never_stands_in_for_a_newer_one_that_fails() -> None:
    worse = piece({**BODY, "calls_per_ks": 1}, age_h=1)
    assert judge(GATE, [piece(age_h=2), worse], CASE).mark is Mark.FAIL
    worse = piece({**BODY, "calls_per_ks": 1}, age_h=2)
    assert judge(GATE, [piece(age_h=1), worse], CASE).mark is Mark.PASS


def test_what_was_measured_before_a_revocation_does_not_count_and_what_was_after_does() -> None:
    revoked = piece(age_h=4, revoked_h_ago=2)
    before = piece(age_h=3)
    after = piece(age_h=1)
    for pieces in ([revoked], [before, revoked]):
        found = judge(GATE, pieces, CASE)
        assert (found.mark, found.revoked) == (Mark.STALE, True)
    assert judge(GATE, [after, before, revoked], CASE).mark is Mark.PASS


def test_evidence_of_another_build_is_passed_over_for_that_of_this_one() -> None:
    other = piece({**BODY, "calls_per_ks": 1}, age_h=1, subject=OTHER_BUILD)
    revoked = piece(age_h=1, subject=OTHER_BUILD, revoked_h_ago=0)
    assert judge(GATE, [other, revoked, piece(age_h=2)], CASE).mark is Mark.PASS


def test_a_stranger_cannot_push_sound_evidence_aside() -> None:
    assert judge(GATE, [piece(age_h=2), piece({}, key=STRANGER)], CASE).mark is Mark.PASS


def test_a_need_follows_the_forecast_and_is_missing_without_one() -> None:
    need = Need(figure="calls_per_ks", sense=Sense.AT_LEAST, of_forecast=1500)
    gate = replace(GATE, needs=(need,))
    assert judge(gate, [piece()], replace(CASE, forecast_milli=1000)).mark is Mark.PASS
    assert judge(gate, [piece()], replace(CASE, forecast_milli=1001)).mark is Mark.FAIL
    unknown = judge(gate, [piece()], CASE)
    assert (unknown.mark, unknown.why) == (
        Mark.MISSING,
        ("what calls_per_ks must come to is not known",),
    )


@pytest.mark.parametrize(
    ("sense", "before", "met"),
    [
        (Sense.AT_LEAST, 1666, True),
        (Sense.AT_LEAST, 1668, False),
        (Sense.AT_MOST, 1667, True),
        (Sense.AT_MOST, 1665, False),
        (Sense.AT_MOST, None, False),
    ],
)
def test_a_need_follows_the_model_before(sense: Sense, before: int | None, met: bool) -> None:
    need = Need(figure="calls_per_ks", sense=sense, of_predecessor=900)
    body: dict[str, Any] = {} if before is None else {"calls_per_ks": before}
    case = replace(CASE, predecessor={"k/1": body})
    assert read(need, "k/1", BODY, case).met is met


@pytest.mark.parametrize(("figure", "bound"), [("passed", True), ("name", "b")])
def test_what_is_no_number_is_neither_more_nor_less(figure: str, bound: bool | str) -> None:
    need = Need(figure=figure, sense=Sense.AT_LEAST, bound=bound)
    assert not read(need, "k/1", {"passed": True, "name": "b"}, CASE).met


def test_without_a_model_before_there_is_nothing_to_be_worse_than() -> None:
    need = Need(figure="calls_per_ks", sense=Sense.AT_MOST, of_predecessor=900)
    assert read(need, "k/1", BODY, CASE).met
    assert not read(need, "k/1", {}, CASE).met


SPOILED = st.one_of(
    st.builds(lambda h: piece(age_h=h), st.integers(11, 500)),
    st.builds(lambda h: piece(age_h=h, valid_h=h), st.integers(1, 9)),
    st.builds(lambda n: piece(subject={"model": "m", "fingerprint": f"fp_1{n}"}), st.integers(0)),
    st.builds(lambda n: piece(subject={"model": f"m{n}", "fingerprint": "fp_1"}), st.integers(0)),
    st.builds(lambda h: piece(key=STRANGER, age_h=h), st.integers(0, 9)),
    st.builds(lambda h: piece(age_h=h, revoked_h_ago=0), st.integers(0, 9)),
    st.builds(lambda h: piece(age_h=-h), st.integers(1, 99)),
    st.builds(lambda h: forged(piece(age_h=h)), st.integers(0, 9)),
    st.builds(lambda n: piece(kind=f"other/{n}"), st.integers(1, 9)),
)


@settings(max_examples=60)
@given(st.lists(SPOILED, max_size=4))
def test_stale_or_mismatched_evidence_never_passes(pieces: list[Piece]) -> None:
    """However good the figures are, and however much of it there is."""
    assert judge(GATE, pieces, CASE).mark is not Mark.PASS


@settings(max_examples=60)
@given(
    rate=st.integers(0, 3000),
    tail=st.integers(0, 400),
    passed=st.booleans(),
    age_h=st.integers(-2, 20),
    valid_h=st.integers(1, 20),
)
def test_it_passes_exactly_when_everything_holds(
    rate: int, tail: int, passed: bool, age_h: int, valid_h: int
) -> None:
    body = {"calls_per_ks": rate, "tail": {"ms": tail}, "passed": passed}
    found = judge(GATE, [piece(body, age_h=age_h, valid_h=valid_h)], CASE)
    good = rate >= 1000 and tail <= 200 and passed
    assert (found.mark is Mark.PASS) == (good and 0 <= age_h <= 10 and age_h < valid_h)


def test_a_case_of_nobodys_keys_passes_nothing() -> None:
    nobody = Case(subject=SUBJECT, keys=frozenset(), now_us=NOW_US)
    assert judge(GATE, [piece()], nobody).mark is Mark.MISSING
