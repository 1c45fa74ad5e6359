"""A certificate says what its samples say, and anybody finds every change to it."""

import base64
import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.support.measured import PLAN, Measurement
from tokenbooth.control.certificates import DAY_US, signed, verified
from tokenbooth.signing.keys import SigningKey
from tokenbooth.verify.certificates.rules import Inconsistent, first_failing
from tokenbooth.verify.certificates.service import (
    FORMAT,
    NoCertificate,
    Sample,
    figures,
    read,
    slack_ppm,
)
from tokenbooth.verify.ladder.service import Outcome

KEY, OTHER = SigningKey(bytes(32)), SigningKey(bytes(31) + b"\1")
NOW_US = 1_800_000_000_000_000
MEASURED = Measurement()
SUBJECT = {"model": "alpha", "fingerprint": "engine-1 q8_0"}
DOCUMENT: Any = signed(MEASURED.evidence, SUBJECT, (NOW_US, 7 * DAY_US), KEY)


def failed(
    document: object, keys: tuple[bytes, ...] = (KEY.public,), now: int = NOW_US
) -> set[str]:
    return {step.name for step in verified(document, keys, now) if not step.ok}


def test_it_verifies_after_its_journey_and_says_the_knee() -> None:
    again = json.loads(json.dumps(DOCUMENT))
    assert failed(again) == set()
    assert failed(again, ()) == set()
    found = read(again)
    assert found.model == "alpha"
    assert found.fingerprint == "engine-1 q8_0"
    assert 0.8 < found.figures.calls_per_ks / 20_000 <= 1
    assert found.figures.concurrency == found.figures.latency_concurrency > 0
    assert found.figures.attainment.low_ppm >= 950_000
    assert found.figures.binding == "ttft"
    assert found.figures.first_failing.endswith("calls a second")
    assert all(each.outcome is Outcome.PASSED for each in found.figures.ladder)


def test_time_and_keys_count() -> None:
    assert failed(DOCUMENT, (OTHER.public,)) == {"key"}
    assert failed(DOCUMENT, now=NOW_US + 7 * DAY_US) == {"time"}
    assert failed(DOCUMENT, now=NOW_US - 1) == {"time"}


def body_of(document: Any) -> Any:
    return json.loads(base64.b64decode(document["attestation"]["payload"]))["predicate"]["body"]


def with_body(document: Any, change: Callable[[Any], None], key: SigningKey | None) -> Any:
    """The body changed; signed anew by ``key``, or with the old signature."""
    document = copy.deepcopy(document)
    envelope = document["attestation"]
    statement = json.loads(base64.b64decode(envelope["payload"]))
    change(statement["predicate"]["body"])
    if key is not None:
        statement["predicate"]["publicKey"] = key.public.hex()
    payload = json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
    envelope["payload"] = base64.b64encode(payload).decode()
    if key is not None:
        kind = envelope["payloadType"].encode()
        message = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
        envelope["signatures"] = [
            {"keyid": key.key_id, "sig": base64.b64encode(key.sign(message)).decode()}
        ]
    return document


def put(*path: Any) -> Callable[[Any], None]:
    """The last word is the value, those before it lead to its place."""

    def change(body: Any) -> None:
        for step in path[:-2]:
            body = body[step]
        body[path[-2]] = path[-1]

    return change


# What is said of caches follows from no sample: who signs may say another word.
OWN_WORD = put("plan", "cache", "none")
LIES = [
    put("figures", "calls_per_ks", 99_000),
    put("figures", "concurrency", 99),
    put("figures", "latency_concurrency", 99),
    put("figures", "attainment", "low_ppm", 999_999),
    put("figures", "ttft_ppm", 1_000_000),
    put("figures", "tpot_ppm", 1),
    put("figures", "first_failing", ""),
    put("figures", "binding", "tpot"),
    put("figures", "alone", "discordance_ppm", 9),
    put("figures", "alone", "kept", 3),
    put("figures", "tried", []),
    put("figures", "ladder", []),
    put("figures", "ladder", 0, "outcome", "failed"),
    put("figures", "delay", "p99_us", 0),
    put("figures", "statuses", {"ok": 1}),
    put("plan", "promise", "ttft_us", 9_000_000),
    put("plan", "promise", "attainment_ppm", 900_000),
    put("plan", "search", "confirm_calls", 20),
    put("plan", "search", "doubt_ppm", 500_000),
    put("plan", "ladder", "margin_ppm", 500_000),
    put("plan", "pack", "seed", 12),
    put("plan", "first_per_ks", 4_000),
    put("plan", "probes", 41),
    OWN_WORD,
    put("legs", 2, "calls_per_ks", 9),
    put("legs", 2, "counted", 14),
    put("legs", 0, "kind", "level"),
    put("samples", "root", "00" * 32),
    put("samples", "count", 1),
    put("not_tested", []),
    put("stale_when", []),
    put("more", 1),
]


@pytest.mark.parametrize("number", range(len(LIES)))
def test_no_word_of_the_body_can_be_changed(number: int) -> None:
    """Not by a stranger, and all that follows from samples not even by who signs."""
    assert failed(with_body(DOCUMENT, LIES[number], None))
    assert failed(with_body(DOCUMENT, LIES[number], KEY)) or LIES[number] is OWN_WORD
    assert failed(with_body(DOCUMENT, LIES[number], OTHER))


def changed_samples(change: Callable[[list[Any]], None]) -> Any:
    document = copy.deepcopy(DOCUMENT)
    change(document["samples"])
    return document


@pytest.mark.parametrize("field", range(len(Sample._fields)))
def test_no_field_of_a_sample_can_be_changed(field: int) -> None:
    def change(samples: list[Any]) -> None:
        value = samples[70][field]
        samples[70][field] = value + 1 if isinstance(value, int) else value + "x"

    assert "samples" in failed(changed_samples(change))


@pytest.mark.parametrize(
    "change",
    [
        lambda samples: samples.pop(),
        lambda samples: samples.pop(50),
        lambda samples: samples.append(samples[-1]),
        lambda samples: samples.insert(10, samples[10]),
        lambda samples: samples.reverse(),
        lambda samples: samples.clear(),
        lambda samples: samples[3].append(1),
        lambda samples: samples[3].pop(),
        lambda samples: samples.__setitem__(slice(9, 11), [samples[10], samples[9]]),
        lambda samples: samples[5].__setitem__(1, 1.5),
        lambda samples: samples[5].__setitem__(0, -1),
        lambda samples: samples[5].__setitem__(0, 2**70),
    ],
)
def test_no_sample_can_be_added_taken_or_moved(change: Callable[[list[Any]], object]) -> None:
    assert failed(changed_samples(lambda samples: void(change(samples))))


def void(_found: object) -> None:
    return


def test_samples_of_another_measurement_do_not_fit() -> None:
    other = copy.deepcopy(DOCUMENT)
    other["samples"] = [list(sample) for sample in Measurement(knee=30_000).samples]
    assert failed(other) == {"samples", "figures"}


@pytest.mark.parametrize(
    "document",
    [None, [], {}, {**DOCUMENT, "format": "x"}, {**DOCUMENT, "samples": []}, {**DOCUMENT, "a": 1}],
)
def test_what_is_no_certificate_is_told(document: object) -> None:
    assert failed(document) == {"form"}
    with pytest.raises(NoCertificate):
        read(document)


def test_another_kind_of_evidence_is_no_certificate() -> None:
    document = copy.deepcopy(DOCUMENT)
    envelope = document["attestation"]
    payload = base64.b64decode(envelope["payload"]).replace(b"capacity-", b"quality-")
    envelope["payload"] = base64.b64encode(payload).decode()
    assert "form" in failed(document)
    assert DOCUMENT["format"] == FORMAT


def test_a_fault_at_one_batch_bounds_what_is_certified() -> None:
    found = figures(
        *Measurement(wrong=lambda inside, number: inside == 8 and number % 2 == 0).evidence
    )
    (bad,) = [each for each in found.ladder if each.outcome is not Outcome.PASSED]
    assert bad.level.batch == 8
    assert (found.first_failing, found.binding) == ("batch 8", "quality")
    assert 0 < found.concurrency <= 4
    assert found.calls_per_ks < found.latency_calls_per_ks


def test_worse_answers_above_half_of_the_rate_lower_it() -> None:
    found = figures(
        *Measurement(wrong=lambda inside, number: inside > 10 and number % 3 == 0).evidence
    )
    assert found.latency_calls_per_ks
    assert found.binding == "quality"
    # At half of the rate 9 are inside, and of the batches 8 is the last that passed.
    assert found.calls_per_ks == found.latency_calls_per_ks * 25 // 100


def test_a_fault_from_two_at_once_on_certifies_nothing() -> None:
    found = figures(*Measurement(wrong=lambda inside, number: inside == 2).evidence)
    assert (found.first_failing, found.concurrency) == ("batch 2", 0)


def test_an_endpoint_that_never_failed_has_no_first_failure() -> None:
    assert first_failing((), (), 1000) == ("", "")


def test_wrong_answers_under_any_load_certify_nothing() -> None:
    found = figures(*Measurement(wrong=lambda inside, number: inside > 1).evidence)
    assert (found.calls_per_ks, found.concurrency) == (0, 0)


def test_a_late_generator_certifies_nothing() -> None:
    found = figures(*Measurement(late_us=60_000).evidence)
    assert not found.delay.good
    assert (found.calls_per_ks, found.concurrency) == (0, 0)


def test_an_endpoint_that_keeps_nothing_has_no_ladder() -> None:
    found = figures(*Measurement(knee=0).evidence)
    assert found.concurrency == 0
    assert found.ladder == ()
    assert found.attainment.share_ppm == 0


def test_a_call_that_failed_used_up_more_than_its_promise() -> None:
    sample = MEASURED.samples[0]
    assert slack_ppm(sample, PLAN.promise) == 228_560
    assert slack_ppm(sample._replace(status="status 500"), PLAN.promise) > 1_000_000
    assert slack_ppm(sample._replace(first_us=-1), PLAN.promise) > 1_000_000
    slow = sample._replace(end_us=sample.first_us + 7 * 60_000)
    assert slack_ppm(slow, PLAN.promise) == 1_200_000


@pytest.mark.parametrize("cut", [0, 1, 2, -1])
def test_a_measurement_without_one_of_its_legs_is_none(cut: int) -> None:
    plan, legs, samples = MEASURED.evidence
    gone = cut % len(legs)
    fewer = [leg for number, leg in enumerate(legs) if number != gone]
    moved = [
        sample._replace(leg=sample.leg - (sample.leg > gone))
        for sample in samples
        if sample.leg != gone
    ]
    with pytest.raises(Inconsistent):
        figures(plan, fewer, moved)


def test_a_search_that_stopped_elsewhere_is_none() -> None:
    plan, legs, samples = MEASURED.evidence
    longer = [replace(leg, warm=leg.warm + 1) if leg.calls_per_ks else leg for leg in legs]
    with pytest.raises(Inconsistent):
        figures(plan, longer, samples)
    with pytest.raises(Inconsistent, match="not there"):
        figures(plan, legs, [samples[0]._replace(leg=99)])
    with pytest.raises(Inconsistent, match="was not asked alone"):
        figures(replace(plan, probes=43), legs, samples)
    with pytest.raises(Inconsistent, match="was not over"):
        figures(plan, legs[:4], [sample for sample in samples if sample.leg < 4])
