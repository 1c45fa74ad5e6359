"""Signed receipts made of thin air: no database, only values and rules."""

from collections.abc import Iterator, Sequence
from typing import Any

from tokenbooth.core.delta import Usage
from tokenbooth.money.prices.service import Meter, Price, Step, cost_nano
from tokenbooth.money.receipts.rules import (
    document_of,
    leaf_of,
    price_form,
    proof_form,
    receipt_form,
    signed_batch,
)
from tokenbooth.money.receipts.values import BookedCall
from tokenbooth.signing.keys import SigningKey
from tokenbooth.signing.merkle import MerkleTree

KEY = SigningKey(bytes(range(32)))
OTHER_KEY = SigningKey(bytes(range(1, 33)))
SIGNED_US = 1_763_000_000_000_009
PRICE = Price(
    "price_1",
    "m",
    {Meter.INPUT: 1_250_000, Meter.CACHED_INPUT: 150_000, Meter.OUTPUT: 4_250_000},
    (Step(1000, {Meter.INPUT: 2_500_000, Meter.OUTPUT: 8_500_000, Meter.CALL: 7_000_000_000}),),
)
USAGE = Usage(100, 20, 3, 5, cache_write_tokens=2, images=1, audio_s=4, video_s=6, searches=8)


def booked(
    number: int = 1, *, usage: Usage = USAGE, price: Price = PRICE, **fields: Any
) -> BookedCall:
    """A charged call, ``req_00001`` unless numbered otherwise; its cost follows from the rest."""
    held_nano = fields.pop("held_nano", 10**9)
    state = fields.pop("state", "posted")
    cost = min(cost_nano(price, usage), held_nano) if state == "posted" else 0
    plain: dict[str, Any] = {
        "request_id": f"req_{number:05}",
        "org_id": "org_a",
        "project_id": "project_a",
        "key_id": "key_a",
        "end_customer": "ada",
        "model": price.model,
        "stream": 1,
        "fingerprint": "fp_1",
        "outcome": "completed",
        "reason": "The answer is complete.",
        "state": state,
        "input_tokens": usage.input_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "images": usage.images,
        "audio_s": usage.audio_s,
        "video_s": usage.video_s,
        "searches": usage.searches,
        "usage_source": usage.source.value,
        "price_version": price.version_id,
        "tier": price.tier.value,
        "data_terms": price.data_terms.value,
        "held_nano": held_nano,
        "cost_nano": cost,
        "created_us": 1_763_000_000_000_000,
        "ended_us": 1_763_000_000_000_003,
        "txn_id": f"charge:org_a:{number}" if cost else None,
        "booked_us": 1_763_000_000_000_005 if cost else None,
        "batch_id": None,
        "leaf_index": None,
    }
    return BookedCall(**(plain | fields))


def signed(
    calls: Sequence[BookedCall], price: Price = PRICE, key: SigningKey = KEY
) -> list[dict[str, Any]]:
    """Their receipts, in one batch."""
    made = [receipt_form(call, price_form(price)) for call in calls]
    batch = signed_batch(map(leaf_of, made), key, SIGNED_US)
    tree = MerkleTree(batch.leaves)
    return [document_of(each, proof_form(batch, tree, place)) for place, each in enumerate(made)]


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value that is not an object or a list."""
    inner = document.items() if isinstance(document, dict) else enumerate(document)
    for name, value in inner:
        if isinstance(value, dict | list):
            yield from places(value, (*path, name))
        else:
            yield (*path, name)


def at(document: Any, path: tuple[Any, ...]) -> Any:
    for name in path:
        document = document[name]
    return document


def other_values(value: Any) -> list[Any]:
    """Values that stand at the same place and mean something else."""
    match value:
        case bool():
            return [not value, None]
        case int():
            return [value + 1, value - 1, str(value), 2**60, None]
        case str():
            return [value + "x", value[:-1], value.swapcase() + " ", "0" * len(value), 7, None]
        case _:
            return ["x", 0, False]
