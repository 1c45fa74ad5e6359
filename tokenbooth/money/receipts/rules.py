"""How a receipt and its proof read, on values alone.

A receipt is one JSON object. Its leaf is the canonical form of everything in it but ``proof``; the
proof leads from the hash of the leaf to the root of its batch, and the signature covers that root
together with the number of leaves. Times are Unix microseconds, prices pico-units for one unit,
amounts nano-units; a number that JSON readers may bend is written as a string.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import to_builtins

from tokenbooth.core.codes import Code
from tokenbooth.core.money import format_nano
from tokenbooth.core.problem import Problem
from tokenbooth.money.prices.values import Price
from tokenbooth.money.prices.values import Step as PriceStep
from tokenbooth.money.receipts.values import (
    Batch,
    BookedCall,
    Count,
    Json,
    PriceForm,
    ProofForm,
    ReceiptForm,
    StepForm,
    UsageForm,
)
from tokenbooth.signing.canonical import WHOLE_MAX, canonical, encoded, whole
from tokenbooth.signing.keys import SigningKey
from tokenbooth.signing.merkle import MerkleTree, leaf_hash

FORMAT: Final = 1
BATCH_CALLS_MAX = 256
BATCH_ID_CHARS = 32
PROOF = "proof"


def check_span(since_us: int, until_us: int) -> None:
    """Raise INVALID_VALUE for a period that ends before it starts."""
    if since_us > until_us:
        raise Problem(Code.INVALID_VALUE, "The period ends before it starts.", param="until")


def finished(calls: Sequence[BookedCall]) -> list[str]:
    """The charges whose calls are all among these, which come charge by charge and may be cut."""
    names = dict.fromkeys(call.txn_id or "" for call in calls)
    return [each for each in names if each != calls[-1].txn_id]


def price_form(price: Price) -> PriceForm:
    """Every line that can price a call on these terms."""
    steps = (PriceStep(0, price.lines), *price.steps)
    return PriceForm(
        version=price.version_id,
        tier=price.tier,
        data_terms=price.data_terms,
        currency=price.currency,
        steps=[
            StepForm(
                context_min_tokens=whole(step.context_min_tokens),
                unit_pico={meter: whole(pico) for meter, pico in step.lines.items()},
            )
            for step in steps
        ],
    )


def receipt_form(call: BookedCall, price: PriceForm) -> ReceiptForm:
    """The receipt of a settled call without its proof."""
    usage, held_nano, amount_nano = _numbers(call)
    return ReceiptForm(
        object="receipt",
        format=FORMAT,
        request_id=call.request_id,
        organization_id=call.org_id,
        project_id=call.project_id,
        key_id=call.key_id,
        end_customer=call.end_customer,
        model=call.model,
        stream=bool(call.stream),
        system_fingerprint=call.fingerprint,
        outcome=call.outcome,
        reason=call.reason,
        charged=call.charged,
        usage=usage,
        price=price,
        held_nano=held_nano,
        amount=format_nano(call.cost_nano),
        amount_nano=amount_nano,
        transaction_id=call.txn_id,
        created_us=call.created_us,
        ended_us=call.ended_us,
        booked_us=call.booked_us,
    )


def _numbers(call: BookedCall) -> tuple[UsageForm, Count, Count]:
    """Usage, hold and amount, those as strings that readers of JSON may bend."""
    counted = call.numbers
    numbers: Sequence[Count] = counted if max(counted) <= WHOLE_MAX else [*map(whole, counted)]
    (
        input_tokens,
        cache_write_tokens,
        output_tokens,
        reasoning_tokens,
        images,
        audio_s,
        video_s,
        searches,
        held_nano,
        amount_nano,
    ) = numbers
    cached = call.cached_input_tokens
    usage = UsageForm(
        input_tokens=input_tokens,
        cached_input_tokens=None if cached is None else whole(cached),
        cache_write_tokens=cache_write_tokens,
        output_tokens=output_tokens,
        reasoning_tokens=reasoning_tokens,
        images=images,
        audio_s=audio_s,
        video_s=video_s,
        searches=searches,
        source=call.usage_source,
    )
    return usage, held_nano, amount_nano


def leaf_of(receipt: ReceiptForm) -> bytes:
    """The leaf hash of a receipt that was made here, without a proof."""
    return leaf_hash(encoded(receipt))


def document_of(receipt: ReceiptForm, proof: ProofForm) -> Json:
    """The receipt as it is handed out."""
    made: Json = to_builtins(receipt)
    return {**made, PROOF: to_builtins(proof)}


def head_json(format_number: int, size: int, root: bytes, signed_us: int) -> Json:
    """What the signature of a batch covers."""
    return {
        "object": "receipt_batch",
        "format": format_number,
        "tree_size": size,
        "root": root.hex(),
        "signed_us": signed_us,
    }


def signed_batch(leaves: Iterable[bytes], key: SigningKey, signed_us: int) -> Batch:
    """One signature over these leaf hashes, in their order."""
    kept = tuple(leaves)
    root = MerkleTree(kept).root
    head = head_json(FORMAT, len(kept), root, signed_us)
    return Batch(
        id=root.hex()[:BATCH_ID_CHARS],
        format=FORMAT,
        size=len(kept),
        root=root,
        leaves=kept,
        key_id=key.key_id,
        public=key.public,
        signature=key.sign(canonical(head)),
        signed_us=signed_us,
    )


def proof_form(batch: Batch, tree: MerkleTree, leaf_index: int) -> ProofForm:
    """The way from one leaf to the signature."""
    return ProofForm(
        leaf_index=leaf_index,
        tree_size=batch.size,
        path=[each.hex() for each in tree.path(leaf_index)],
        root=batch.root.hex(),
        signed_us=batch.signed_us,
        key_id=batch.key_id,
        public_key=batch.public.hex(),
        signature=batch.signature.hex(),
    )
