"""Whoever verifies a certificate of an enemy gets an answer: never a crash, never a yes."""

import base64
import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.measured import PLAN, Measurement
from tokenbooth.control.certificates import DAY_US, signed
from tokenbooth.signing.attestation import Finding, attest
from tokenbooth.signing.keys import SigningKey
from tokenbooth.verify.certificates.service import (
    FORMAT,
    KIND,
    PROBE_LINES_MAX,
    CertificatePlan,
    NoCertificate,
    Sample,
    document,
    figures,
    finding,
    read,
    verify,
)

KEY, ENEMY = SigningKey(bytes(32)), SigningKey(bytes(31) + b"\1")
NOW_US = 1_800_000_000_000_000
MEASURED = Measurement()
SUBJECT = {"model": "alpha", "fingerprint": "engine-1"}
DOCUMENT: Any = signed(MEASURED.evidence, SUBJECT, (NOW_US, DAY_US), KEY)
STEPS = ["form", "signature", "key", "time", "samples", "figures"]
BODY: Any = json.loads(base64.b64decode(DOCUMENT["attestation"]["payload"]))["predicate"]["body"]


def wrong(found: object, *keys: SigningKey, now_us: int = NOW_US) -> set[str]:
    """The names of the steps that fail; of all six steps where it has the form at all."""
    steps = verify(found, [key.public for key in keys], now_us)
    names = [step.name for step in steps]
    assert names == STEPS or (names == ["form"] and not steps[0].ok)
    assert all(step.told for step in steps)
    return {step.name for step in steps if not step.ok}


def resigned(body: Any, key: SigningKey = ENEMY, **fields: Any) -> Any:
    """A certificate with that body, by a key that says whatever it is paid for."""
    said = Finding(KIND, SUBJECT, NOW_US, NOW_US + DAY_US, body)
    return document(attest(replace(said, **fields), key), MEASURED.samples)


def places(value: object, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every number, text and list of a body, of lists to their first member alone."""
    if isinstance(value, dict):
        return [each for name in value for each in places(value[name], (*way, name))]
    if isinstance(value, list):
        return [way, *(places(value[0], (*way, 0)) if value else [])]
    return [way]


PLACES = places({"plan": BODY["plan"], "legs": BODY["legs"]})
WILD = st.one_of(
    st.sampled_from([0, -1, 1, 10**6, 2 * 10**6, 2**53 - 1, 1 - 2**53]),
    st.sampled_from(["", "level", None, True, [], {}]),
    st.integers(-(10**4), 10**4),
)


@settings(max_examples=40)
@given(st.sampled_from(PLACES), WILD)
def test_a_plan_or_a_leg_made_up_by_who_signs_is_told_and_never_crashes(
    way: tuple[Any, ...], value: Any
) -> None:
    body = copy.deepcopy(BODY)
    place = body
    for step in way[:-1]:
        place = place[step]
    place[way[-1]] = value
    found = wrong(resigned(body), KEY)
    assert "key" in found or found == {"form"}
    # What follows from no sample is the word of who signs; all else must follow from them.
    if found == {"key"}:
        assert body_again(body) == body


def body_again(body: Any) -> Any:
    """What the samples make of the plan and legs of a body: it need not differ for each plan."""
    found = read(resigned(body))
    return finding(found.plan, found.legs, found.samples, SUBJECT, (0, 1)).body


@pytest.mark.parametrize(
    ("way", "value"),
    [
        (("search", "doubt_ppm"), 2_000_000),
        (("search", "doubt_ppm"), 1 - 2**53),
        (("search", "guard_ppm"), 2_000_000),
        (("promise", "attainment_ppm"), 2_000_000),
        (("promise", "ttft_us"), 0),
        (("promise", "tpot_us"), -1),
        (("search", "good_ppm"), 1_000_000),
        (("search", "bad_ppm"), 0),
        (("pack", "families"), []),
    ],
)
def test_a_plan_beyond_all_sense_makes_no_measurement(way: tuple[str, str], value: Any) -> None:
    body = copy.deepcopy(BODY)
    body["plan"][way[0]][way[1]] = value
    assert wrong(resigned(body, KEY), KEY) >= {"figures"}


@pytest.mark.parametrize("field", ["needle_lines", "count_to"])
def test_probes_of_endless_length_are_not_even_made(field: str) -> None:
    body = copy.deepcopy(BODY)
    body["plan"]["pack"][field] = 2**53 - 1
    assert wrong(resigned(body)) == {"form"}
    with pytest.raises(NoCertificate, match="more than 1,000 lines"):
        read(resigned(body))
    body["plan"]["pack"][field] = PROBE_LINES_MAX
    assert read(resigned(body)).model == "alpha"


def test_a_key_that_nobody_named_does_not_count_even_if_all_else_is_true() -> None:
    honest = resigned(BODY)
    assert wrong(honest) == set()
    assert wrong(honest, ENEMY) == set()
    assert wrong(honest, KEY) == {"key"}
    assert wrong(honest, KEY, ENEMY) == set()


@pytest.mark.parametrize(
    ("issued_us", "expires_us", "fails"),
    [
        (NOW_US, NOW_US + 1, set()),
        (NOW_US - DAY_US, NOW_US, {"time"}),
        (NOW_US + 1, NOW_US + DAY_US, {"time"}),
        (0, 1, {"time"}),
    ],
)
def test_a_certificate_counts_from_its_first_moment_to_just_before_its_last(
    issued_us: int, expires_us: int, fails: set[str]
) -> None:
    timed = resigned(BODY, issued_at_us=issued_us, expires_at_us=expires_us)
    assert wrong(timed) == fails


@pytest.mark.parametrize("kind", ["quality/1", "capacity/1", "capacity-certificate/2"])
def test_the_same_words_as_another_kind_of_evidence_are_no_certificate(kind: str) -> None:
    assert wrong(resigned(BODY, kind=kind)) == {"form"}


@settings(max_examples=30)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["format", "attestation", "samples", "payload", "signatures"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_at_all_is_told_to_be_none(found: object) -> None:
    assert wrong(found) == {"form"}
    assert wrong({**DOCUMENT, "attestation": found}) == {"form"}
    assert wrong({**DOCUMENT, "samples": found}) == {"form"}


@settings(max_examples=15)
@given(st.data())
def test_one_letter_of_the_envelope_changed_is_found(data: st.DataObject) -> None:
    changed = copy.deepcopy(DOCUMENT)
    envelope = changed["attestation"]
    part = data.draw(st.sampled_from(["payload", "sig", "keyid"]))
    holder, name = (envelope, part) if part == "payload" else (envelope["signatures"][0], part)
    text = holder[name]
    at = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from("0aZ+/="))
    holder[name] = text[:at] + letter + text[at + 1 :]
    assert bool(wrong(changed, KEY)) is (letter != text[at])


@settings(max_examples=10)
@given(
    st.integers(0, len(MEASURED.samples) - 1),
    st.sampled_from(Sample._fields),
    st.integers(-(10**6), 10**6),
)
def test_no_sample_can_be_turned_by_any_amount(number: int, name: str, by: int) -> None:
    changed = copy.deepcopy(DOCUMENT)
    field = Sample._fields.index(name)
    was = changed["samples"][number][field]
    becomes = was + by if isinstance(was, int) else f"{was}{by}"
    changed["samples"][number][field] = becomes
    assert ("samples" in wrong(changed, KEY) or "form" in wrong(changed, KEY)) is (was != becomes)


def test_nesting_without_end_is_no_certificate() -> None:
    deep: Any = []
    for _ in range(5_000):
        deep = [deep]
    assert wrong(deep) == {"form"}
    assert wrong({"format": FORMAT, "attestation": {"payload": deep}, "samples": []}) == {"form"}


@pytest.mark.parametrize("knee", [3_000, 8_000, 20_000, 50_000])
def test_nothing_is_certified_above_a_rate_that_was_measured_to_hold(knee: int) -> None:
    found = figures(*Measurement(knee=knee).evidence)
    held = [each for each in found.tried if each.purpose == "confirm" and each.passed]
    assert found.calls_per_ks <= found.latency_calls_per_ks
    assert found.latency_calls_per_ks == max((each.calls_per_ks for each in held), default=0)
    assert found.latency_calls_per_ks <= knee
    assert found.concurrency <= found.latency_concurrency


@settings(max_examples=5)
@given(st.integers(2, 20), st.sampled_from([1, 2, 3]))
def test_answers_that_break_above_a_batch_never_raise_what_is_certified(
    batch: int, every: int
) -> None:
    good = figures(*MEASURED.evidence)
    bad = figures(
        *Measurement(wrong=lambda inside, number: inside >= batch and number % every == 0).evidence
    )
    assert bad.calls_per_ks <= good.calls_per_ks
    assert bad.concurrency < batch
    assert (bad.calls_per_ks == 0) == (bad.concurrency == 0)


def test_a_stricter_promise_of_the_same_calls_is_another_measurement() -> None:
    stricter: CertificatePlan = replace(PLAN, promise=replace(PLAN.promise, ttft_us=50_000))
    with pytest.raises(ValueError, match="would not have"):
        figures(stricter, MEASURED.legs, MEASURED.samples)
