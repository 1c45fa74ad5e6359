"""What anybody can verify of a receipt without the booth: a pure function of the document.

Nothing here trusts the document: its shape is checked first, then each claim against the others.
"""

from collections.abc import Collection, Mapping
from typing import TypeVar

import msgspec

from tokenbooth.core.delta import Usage
from tokenbooth.core.money import format_nano
from tokenbooth.money.prices.service import Meter, Price, cost_nano
from tokenbooth.money.prices.service import Step as PriceStep
from tokenbooth.money.receipts.rules import PROOF, head_json
from tokenbooth.money.receipts.values import (
    Count,
    Json,
    PriceForm,
    ProofForm,
    ReceiptForm,
    Step,
    UsageForm,
)
from tokenbooth.signing.canonical import NotCanonical, canonical
from tokenbooth.signing.keys import VerifyingKey
from tokenbooth.signing.merkle import leaf_hash, root_by_path

F = TypeVar("F", bound=msgspec.Struct)

Trusted = Collection[bytes]
"""The public keys that signatures must be by; none at all takes the one that a document names."""


class FormError(ValueError):
    """The document has another shape; the message names the place."""


def read(document: object, form: type[F]) -> F:
    """Raises FormError."""
    try:
        return msgspec.convert(document, form)
    except msgspec.ValidationError as error:
        raise FormError(str(error)) from error


def verify(document: Json, trusted: Trusted) -> tuple[Step, ...]:
    """Every step in order; after one about the shape that failed, nothing more can be said."""
    try:
        form = read(document, ReceiptForm)
        proof = proof_of(form)
        leaf = leaf_of_document(document)
        amount = amount_step(form)
    except (FormError, NotCanonical) as error:
        return (Step("form", ok=False, told=str(error)),)
    head = head_json(form.format, proof.tree_size, bytes.fromhex(proof.root), proof.signed_us)
    return (
        Step("form", ok=True, told=f"a receipt for {form.request_id}"),
        amount,
        inclusion_step(leaf, proof),
        *signature_steps(head, proof.key_id, proof.public_key, proof.signature, trusted),
    )


def proof_of(form: ReceiptForm) -> ProofForm:
    """Raises FormError for a receipt without proof."""
    if isinstance(form.proof, msgspec.UnsetType):
        raise FormError("Object missing required field `proof`")
    return form.proof


def leaf_of_document(document: Json) -> bytes:
    """The leaf hash of everything but the proof. Raises NotCanonical."""
    content = {name: value for name, value in document.items() if name != PROOF}
    return leaf_hash(canonical(content))


def inclusion_step(leaf: bytes, proof: ProofForm) -> Step:
    """Whether the hash of this receipt stands at its place under the root."""
    path = [bytes.fromhex(each) for each in proof.path]
    root = root_by_path(leaf, proof.leaf_index, proof.tree_size, path)
    place = f"leaf {proof.leaf_index} of {proof.tree_size}"
    if root is not None and root.hex() == proof.root:
        return Step("inclusion", ok=True, told=f"{leaf.hex()[:16]} is {place}")
    return Step("inclusion", ok=False, told=f"{leaf.hex()[:16]} is not {place} under that root")


def signature_steps(
    head: Json, key_id: str, public_key: str, signature: str, trusted: Trusted
) -> tuple[Step, Step]:
    """Whether the named key signed ``head``, and whether that key may."""
    key = VerifyingKey(bytes.fromhex(public_key))
    named = key.key_id == key_id
    signed = named and key.verifies(canonical(head), bytes.fromhex(signature))
    told = "is" if signed else "is not"
    signature_step = Step("signature", ok=signed, told=f"{told} by key {key_id}")
    if not trusted:
        return signature_step, Step("key", ok=True, told="not compared; name the one you trust")
    if key.public in trusted:
        return signature_step, Step("key", ok=True, told="is one that you named")
    return signature_step, Step("key", ok=False, told=f"{key.key_id} is none that you named")


def amount_step(form: ReceiptForm) -> Step:
    """The amount once more, from usage and price lines. Raises FormError for an impossible price.

    A charge is the cost of the usage, and never more than was held; what is not charged is 0.
    """
    cost = cost_nano(price_of(form.price, form.model), usage_of(form.usage))
    due_nano = min(cost, int(form.held_nano)) if form.charged else 0
    claimed_nano = int(form.amount_nano)
    told = f"{format_nano(due_nano)} {form.price.currency} by usage and price"
    if claimed_nano != due_nano or form.amount != format_nano(claimed_nano):
        told = f"{told}, not {form.amount} ({claimed_nano} nano)"
        return Step("amount", ok=False, told=told)
    return Step("amount", ok=True, told=told)


def price_of(form: PriceForm, model: str) -> Price:
    """The price that the lines make. Raises FormError when they make none."""
    steps = [PriceStep(int(s.context_min_tokens), _lines(s.unit_pico)) for s in form.steps]
    starts = [step.context_min_tokens for step in steps]
    if starts[0] != 0 or sorted(set(starts)) != starts:
        raise FormError("the context steps of the price do not rise from 0")
    return Price(
        version_id=form.version,
        model=model,
        lines=steps[0].lines,
        steps=tuple(steps[1:]),
        currency=form.currency,
        tier=form.tier,
        data_terms=form.data_terms,
    )


def usage_of(form: UsageForm) -> Usage:
    cached = form.cached_input_tokens
    return Usage(
        input_tokens=int(form.input_tokens),
        output_tokens=int(form.output_tokens),
        cached_input_tokens=None if cached is None else int(cached),
        reasoning_tokens=int(form.reasoning_tokens),
        cache_write_tokens=int(form.cache_write_tokens),
        images=int(form.images),
        audio_s=int(form.audio_s),
        video_s=int(form.video_s),
        searches=int(form.searches),
    )


def _lines(unit_pico: Mapping[Meter, Count]) -> dict[Meter, int]:
    if Meter.INPUT not in unit_pico or Meter.OUTPUT not in unit_pico:
        raise FormError("a context step of the price has no input or no output line")
    return {meter: int(pico) for meter, pico in unit_pico.items()}
