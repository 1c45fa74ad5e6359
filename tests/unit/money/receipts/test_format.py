"""The form of a receipt is for ever: a known one, and a reader that shares no code with ours.

The reader follows ``docs/receipts.md`` with the standard library and a library of signatures. If a
test here must change, old receipts no longer verify: add a format number instead.
"""

import hashlib
import json
from fractions import Fraction
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from tests.support.signed import KEY, PRICE, SIGNED_US, USAGE, booked, signed
from tests.unit.money.receipts.test_checking import PRICES, USAGES
from tokenbooth.core.delta import Usage
from tokenbooth.money.receipts.rules import (
    BATCH_ID_CHARS,
    check_span,
    finished,
    head_json,
    price_form,
    signed_batch,
)
from tokenbooth.signing.keys import key_id_of

KNOWN = {
    "object": "receipt",
    "format": 1,
    "request_id": "req_00001",
    "organization_id": "org_a",
    "project_id": "project_a",
    "key_id": "key_a",
    "end_customer": "ada",
    "model": "m",
    "stream": True,
    "system_fingerprint": "fp_1",
    "outcome": "completed",
    "reason": "The answer is complete.",
    "charged": True,
    "usage": {
        "input_tokens": 100,
        "cached_input_tokens": 3,
        "cache_write_tokens": 2,
        "output_tokens": 20,
        "reasoning_tokens": 5,
        "images": 1,
        "audio_s": 4,
        "video_s": 6,
        "searches": 8,
        "source": "engine",
    },
    "price": {
        "version": "price_1",
        "tier": "standard",
        "data_terms": "private",
        "currency": "USD",
        "steps": [
            {
                "context_min_tokens": 0,
                "unit_pico": {"input": 1_250_000, "cached_input": 150_000, "output": 4_250_000},
            },
            {
                "context_min_tokens": 1000,
                "unit_pico": {"input": 2_500_000, "output": 8_500_000, "call": 7_000_000_000},
            },
        ],
    },
    "held_nano": 10**9,
    "amount": "0.000206700",
    "amount_nano": 206_700,
    "transaction_id": "charge:org_a:1",
    "created_us": 1_763_000_000_000_000,
    "ended_us": 1_763_000_000_000_003,
    "booked_us": 1_763_000_000_000_005,
}

ROOT = "bc982fd15c89d1d70c84329fd62bc1bcb97562c11a6f3a49a71d90874f427ce6"
SIGNATURE = (
    "4f4aafa4bb2ff5a9b3cb7fb13756f97def366f652969fe73809732b5607929fe"
    "540dd1482db407b593e7464e2feaf874425387fb7ac9c91a1ff5d4b70d2d460e"
)


def plain(document: Any) -> bytes:
    """Canonical for what receipts hold; an independent writer."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def read_root(document: dict[str, Any]) -> str:
    """Steps 1 and 2 of the page."""
    content = {name: value for name, value in document.items() if name != "proof"}
    proof = document["proof"]
    found = hashlib.sha256(b"\x00" + plain(content)).digest()
    path = [bytes.fromhex(each) for each in proof["path"]]
    i, n = proof["leaf_index"], proof["tree_size"] - 1
    while n > 0:
        if i % 2 == 1:
            found = hashlib.sha256(b"\x01" + path.pop(0) + found).digest()
        elif i < n:
            found = hashlib.sha256(b"\x01" + found + path.pop(0)).digest()
        i, n = i // 2, n // 2
    assert path == []
    return found.hex()


def is_signed(document: dict[str, Any]) -> bool:
    """Steps 3 and 4."""
    proof = document["proof"]
    head = {
        "format": 1,
        "object": "receipt_batch",
        "root": read_root(document),
        "signed_us": proof["signed_us"],
        "tree_size": proof["tree_size"],
    }
    public = bytes.fromhex(proof["public_key"])
    assert hashlib.sha256(public).hexdigest()[:32] == proof["key_id"]
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(
            bytes.fromhex(proof["signature"]), plain(head)
        )
    except InvalidSignature:
        return False
    return True


def amount_nano(document: dict[str, Any]) -> int:
    """Usage times price in fractions, as prices are described."""
    if not document["charged"]:
        return 0
    usage = {name: int(n or 0) for name, n in document["usage"].items() if name != "source"}
    steps = document["price"]["steps"]
    reached = [s for s in steps if int(s["context_min_tokens"]) <= usage["input_tokens"]]
    lines = {meter: Fraction(int(pico), 1000) for meter, pico in reached[-1]["unit_pico"].items()}
    whole_input, whole_output = lines["input"], lines["output"]
    cached = min(usage["cached_input_tokens"], usage["input_tokens"])
    written = min(usage["cache_write_tokens"], usage["input_tokens"] - cached)
    thought = min(usage["reasoning_tokens"], usage["output_tokens"])
    cost = (
        (usage["input_tokens"] - cached - written) * whole_input
        + cached * lines.get("cached_input", whole_input)
        + written * lines.get("cache_write", whole_input)
        + (usage["output_tokens"] - thought) * whole_output
        + thought * lines.get("reasoning", whole_output)
        + usage["images"] * lines.get("image", 0)
        + usage["audio_s"] * lines.get("audio_s", 0)
        + usage["video_s"] * lines.get("video_s", 0)
        + usage["searches"] * lines.get("search", 0)
        + lines.get("call", 0)
    )
    return min(round(cost), int(document["held_nano"]))


def test_the_known_receipt() -> None:
    (document,) = signed([booked()])
    proof = document.pop("proof")
    assert document == KNOWN
    assert list(document) == list(KNOWN)
    assert proof == {
        "leaf_index": 0,
        "tree_size": 1,
        "path": [],
        "root": hashlib.sha256(b"\x00" + plain(KNOWN)).hexdigest(),
        "signed_us": SIGNED_US,
        "key_id": "56475aa75463474c0285df5dbf2bcab7",
        "public_key": "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8",
        "signature": proof["signature"],
    }
    assert proof["root"] == ROOT
    assert proof["signature"] == SIGNATURE


def test_what_a_signature_covers_is_spelled_out() -> None:
    assert head_json(1, 7, b"\xab" * 32, 9) == {
        "object": "receipt_batch",
        "format": 1,
        "tree_size": 7,
        "root": "ab" * 32,
        "signed_us": 9,
    }


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9])
def test_a_reader_of_the_page_verifies_every_place_of_a_batch(count: int) -> None:
    for document in signed([booked(number) for number in range(count)]):
        found = json.loads(json.dumps(document))
        assert read_root(found) == found["proof"]["root"]
        assert is_signed(found)
        assert amount_nano(found) == found["amount_nano"]
        found["proof"]["signed_us"] += 1
        assert not is_signed(found)


@given(PRICES, USAGES, st.integers(0, 10**15), st.sampled_from(["posted", "void"]))
def test_a_reader_of_the_page_comes_to_every_amount(
    price: Any, usage: Usage, held_nano: int, state: str
) -> None:
    call = booked(usage=usage, price=price, held_nano=held_nano, state=state)
    (document,) = signed([call], price)
    assert is_signed(document)
    assert amount_nano(document) == int(document["amount_nano"]) == call.cost_nano


def test_a_batch_is_named_by_its_root_and_keeps_its_leaves() -> None:
    leaves = [bytes([number]) * 32 for number in range(3)]
    batch = signed_batch(leaves, KEY, 5)
    assert batch.id == batch.root.hex()[:BATCH_ID_CHARS]
    assert (batch.size, batch.leaves) == (3, tuple(leaves))
    assert (batch.key_id, batch.public) == (key_id_of(KEY.public), KEY.public)
    assert batch.signed_us == 5
    assert len(batch.signature) == 64


def test_a_price_is_written_with_all_its_steps_and_only_its_own_lines() -> None:
    form = price_form(PRICE)
    assert [step.context_min_tokens for step in form.steps] == [0, 1000]
    assert [sorted(step.unit_pico) for step in form.steps] == [
        ["cached_input", "input", "output"],
        ["call", "input", "output"],
    ]


def test_a_charge_is_finished_when_another_follows_it() -> None:
    calls = [booked(n, txn_id=f"charge:{name}") for n, name in enumerate("aabccc")]
    assert finished(calls) == ["charge:a", "charge:b"]
    assert finished(calls[:2]) == []
    assert finished(calls[:3]) == ["charge:a"]


def test_a_period_may_be_empty_and_not_turned_round() -> None:
    check_span(5, 5)
    with pytest.raises(Exception, match="ends before it starts") as refused:
        check_span(6, 5)
    assert getattr(refused.value, "param", "") == "until"
    assert USAGE.counts[0] == 100
