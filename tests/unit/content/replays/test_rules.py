"""What an idempotency key may be, what stands for a body, and what becomes of a claim."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.content.replays.rules import (
    HEADER,
    KEY_CHARACTERS_MAX,
    RUNNING_EXTRA_US,
    WHOLE_OUTCOMES,
    body_sha256,
    check_same,
    checked_key,
    fate_of,
    is_expired,
    packed,
    refusal_of,
    unpacked,
)
from tokenbooth.content.replays.values import Claim, ClaimState, Fate, Lack, StoredAnswer
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome


def claim_of(**fields) -> Claim:
    plain = {
        "org_id": "org_1",
        "project_id": "proj_1",
        "key": "k",
        "body_sha256": b"b" * 32,
        "state": ClaimState.RUNNING,
        "request_id": "req_1",
        "replica_id": "rep_1",
        "epoch": 1,
        "created_us": 5,
        "expires_us": 10,
    }
    return Claim(**(plain | fields))


@pytest.mark.parametrize("key", ["k", "!", "~", "a-b_c:d/e", "x" * KEY_CHARACTERS_MAX, '"quoted"'])
def test_visible_keys_pass_as_they_are(key: str):
    assert checked_key(key) == key


@pytest.mark.parametrize(
    "key", ["", " ", "a b", "a, b", "a\tb", "a\0", "é", "\x7f", "x" * (KEY_CHARACTERS_MAX + 1)]
)
def test_other_keys_are_refused_by_name(key: str):
    with pytest.raises(Problem) as refused:
        checked_key(key)
    assert refused.value.code is Code.INVALID_VALUE
    assert refused.value.param == HEADER
    assert str(KEY_CHARACTERS_MAX) in refused.value.public


@given(st.text(max_size=300))
def test_a_key_passes_or_is_refused_and_never_changed(text: str):
    fits = 1 <= len(text) <= KEY_CHARACTERS_MAX and all(33 <= ord(c) <= 126 for c in text)
    try:
        found: str | None = checked_key(text)
    except Problem:
        found = None
    assert found == (text if fits else None)


def test_a_body_is_known_by_all_of_its_bytes_and_its_path():
    seen = {
        body_sha256("/v1/chat/completions", b"{}"),
        body_sha256("/v1/messages", b"{}"),
        body_sha256("/v1/chat/completions", b"{ }"),
        body_sha256("/v1/chat/completions{}", b""),
        body_sha256("/v1/chat/completions", b""),
        body_sha256("/v1/\udcff", b""),
    }
    assert len(seen) == 6
    assert {len(digest) for digest in seen} == {32}
    assert body_sha256("/a", b"b") == body_sha256("/a", b"b")


def test_the_same_body_passes_and_another_is_named():
    check_same(claim_of(), b"b" * 32)
    with pytest.raises(Problem) as refused:
        check_same(claim_of(), b"c" * 32)
    assert refused.value.code is Code.IDEMPOTENCY_MISMATCH
    assert "req_1" in refused.value.public
    assert refused.value.param == HEADER


def test_a_running_call_is_worth_a_retry():
    problem = refusal_of(claim_of())
    assert problem.code is Code.IDEMPOTENCY_RUNNING
    assert problem.retry_after_s == 1
    assert problem.facts == {"original_request_id": "req_1"}


@pytest.mark.parametrize("lack", list(Lack))
def test_a_call_that_is_over_is_named_with_its_outcome_and_the_reason(lack: Lack):
    problem = refusal_of(claim_of(state=ClaimState.FAILED, outcome="interrupted", lacks=lack))
    assert problem.code is Code.REPLAY_UNAVAILABLE
    assert problem.retry_after_s is None
    assert problem.facts == {
        "original_request_id": "req_1",
        "outcome": "interrupted",
        "reason": lack.value,
    }
    assert "GET /v1/requests/req_1" in problem.public


def test_a_stored_answer_that_cannot_be_read_is_told_as_not_stored():
    problem = refusal_of(claim_of(state=ClaimState.DONE, outcome="completed", sealed=b"broken"))
    assert problem.facts["reason"] == "not_stored"


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize("cost_nano", [0, 1])
def test_the_fate_of_a_claim(outcome: Outcome, cost_nano: int):
    if outcome in (Outcome.COMPLETED, Outcome.CAP_REACHED):
        assert fate_of(outcome, cost_nano) is Fate.DONE
    elif cost_nano:
        assert fate_of(outcome, cost_nano) is Fate.FAILED
    else:
        assert fate_of(outcome, cost_nano) is Fate.RELEASE


def test_a_free_model_that_answers_has_answered():
    assert {Outcome.COMPLETED, Outcome.CAP_REACHED} == WHOLE_OUTCOMES
    assert fate_of(Outcome.COMPLETED, 0) is Fate.DONE


@pytest.mark.parametrize(("now_us", "expired"), [(9, False), (10, True), (11, True)])
@pytest.mark.parametrize("state", [ClaimState.DONE, ClaimState.FAILED])
def test_a_claim_stands_until_its_end(state: ClaimState, now_us: int, expired: bool):
    assert is_expired(claim_of(state=state), now_us) is expired


@pytest.mark.parametrize(("late_us", "expired"), [(-1, False), (0, True)])
def test_a_claim_of_a_running_call_stands_a_day_longer(late_us: int, expired: bool):
    assert is_expired(claim_of(), 10 + RUNNING_EXTRA_US + late_us) is expired


ANSWERS = st.builds(
    StoredAnswer,
    status=st.integers(100, 599),
    headers=st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), max_size=6).map(tuple),
    chunks=st.lists(st.binary(max_size=200), max_size=8).map(tuple),
)


@given(ANSWERS)
def test_an_answer_comes_back_in_the_same_pieces(answer: StoredAnswer):
    assert unpacked(packed(answer)) == answer


@pytest.mark.parametrize("raw", [b"", b"\xc1", msgspec.msgpack.encode({"status": 200})])
def test_other_bytes_are_no_answer(raw: bytes):
    with pytest.raises(msgspec.MsgspecError):
        unpacked(raw)
