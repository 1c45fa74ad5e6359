"""A stored answer opens under its own instance, for its own claim, unchanged, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.content.replays import service as replays
from tokenbooth.content.replays.service import Claim, ClaimAsk, ClaimState, StoredAnswer
from tokenbooth.content.sealing.service import (
    KEY_BYTES,
    MARK,
    NONCE_BYTES,
    Place,
    Unreadable,
    seal,
    unseal,
)

KEY, OTHER_KEY = b"s" * KEY_BYTES, b"t" * KEY_BYTES
PURPOSE = b"a test"
IDS = ("proj_1", "k", "req_1")
PLACE = Place(PURPOSE, IDS)


class FixedNoise:
    """The same nonce each time, so that only keys and claims make a difference."""

    def token_bytes(self, count: int) -> bytes:
        return b"n" * count


NOISE = FixedNoise()


@given(st.binary(max_size=3000), st.tuples(st.text(), st.text(), st.text()))
def test_what_is_sealed_opens_in_its_place(plaintext: bytes, ids: tuple[str, ...]):
    place = Place(PURPOSE, ids)
    assert unseal(seal(plaintext, KEY, place, NOISE), KEY, place) == plaintext


def test_nothing_of_the_answer_shows():
    sealed = seal(b"the answer of a customer", KEY, PLACE, NOISE)
    assert b"answer" not in sealed
    assert sealed.startswith(MARK)
    assert len(sealed) == len(MARK) + NONCE_BYTES + len(b"the answer of a customer") + 16


@pytest.mark.parametrize(
    "ids",
    [
        ("proj_2", "k", "req_1"),
        ("proj_1", "j", "req_1"),
        ("proj_1", "k", "req_2"),
        ("proj_1k", "", "req_1"),
        ("k", "proj_1", "req_1"),
        ("proj_1", "k"),
    ],
)
def test_no_other_claim_opens_it(ids: tuple[str, ...]):
    sealed = seal(b"answer", KEY, PLACE, NOISE)
    with pytest.raises(Unreadable):
        unseal(sealed, KEY, Place(PURPOSE, ids))


def test_what_is_sealed_for_one_purpose_opens_for_no_other():
    with pytest.raises(Unreadable):
        unseal(seal(b"answer", KEY, PLACE, NOISE), KEY, Place(b"another test", IDS))


def test_no_other_instance_opens_it():
    with pytest.raises(Unreadable):
        unseal(seal(b"answer", KEY, PLACE, NOISE), OTHER_KEY, PLACE)


def test_two_answers_share_no_key_even_under_one_nonce():
    """AES-GCM under one key and nonce would show the difference of two texts."""
    places = (Place(PURPOSE, (*IDS[:2], name)) for name in ("req_1", "req_2"))
    one, two = (seal(b"\0" * 64, KEY, place, NOISE) for place in places)
    head = len(MARK) + NONCE_BYTES
    assert one[:head] == two[:head]
    assert one[head : head + 64] != two[head : head + 64]


@given(st.data())
def test_every_changed_byte_is_noticed(data):
    sealed = bytearray(seal(b"answer", KEY, PLACE, NOISE))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Unreadable):
        unseal(bytes(sealed), KEY, PLACE)


@pytest.mark.parametrize("cut", [0, 3, len(MARK), len(MARK) + NONCE_BYTES - 1, 25, 37])
def test_a_cut_answer_is_noticed(cut: int):
    with pytest.raises(Unreadable):
        unseal(seal(b"answer", KEY, PLACE, NOISE)[:cut], KEY, PLACE)


@pytest.mark.parametrize("key", [b"", b"s" * 31, b"s" * 33])
def test_a_key_of_another_length_is_a_fault(key: bytes):
    with pytest.raises(ValueError, match="32 bytes"):
        seal(b"answer", key, PLACE, NOISE)


ASK = ClaimAsk(
    org_id="org_1",
    project_id="proj_1",
    key="k",
    body_sha256=b"b" * 32,
    request_id="req_1",
    replica_id="rep_1",
    epoch=1,
    keep_us=10,
)
ANSWER = StoredAnswer(200, (("content-type", "text/event-stream"),), (b"data: 1\n\n", b"data: 2"))


def claim_with(sealed: bytes | None, request_id: str = "req_1") -> Claim:
    return Claim(
        org_id="org_1",
        project_id="proj_1",
        key="k",
        body_sha256=b"b" * 32,
        state=ClaimState.DONE,
        request_id=request_id,
        replica_id="rep_1",
        epoch=1,
        created_us=0,
        expires_us=10,
        outcome="completed",
        sealed=sealed,
    )


def test_a_claim_gives_its_answer_back():
    sealed = replays.sealed_answer(ANSWER, ASK, KEY, NOISE)
    assert replays.answer_of(claim_with(sealed), KEY) == ANSWER
    assert b"sealed=" not in repr(claim_with(sealed)).encode()


@pytest.mark.parametrize("key", [KEY, OTHER_KEY])
def test_a_claim_without_a_readable_answer_gives_none(key: bytes):
    sealed = replays.sealed_answer(ANSWER, ASK, KEY, NOISE)
    assert replays.answer_of(claim_with(None), key) is None
    assert replays.answer_of(claim_with(sealed, "req_2"), key) is None
    assert replays.answer_of(claim_with(sealed[:-1]), key) is None
    assert (replays.answer_of(claim_with(sealed), OTHER_KEY)) is None
