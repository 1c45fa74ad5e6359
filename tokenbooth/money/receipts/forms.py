"""The exact shape of what is verified: no member missing, none unknown, none of another type.

Whole numbers that JSON readers may bend are written as strings, so a count is either.
"""

from typing import Annotated, Literal, TypeAlias, TypeVar

import msgspec

from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.money.prices.service import Meter
from tokenbooth.signing.canonical import WHOLE_MAX

F = TypeVar("F", bound=msgspec.Struct)

Moment: TypeAlias = Annotated[int, msgspec.Meta(ge=-WHOLE_MAX, le=WHOLE_MAX)]
Place: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=WHOLE_MAX)]
Count: TypeAlias = (
    Annotated[int, msgspec.Meta(ge=0)]
    | Annotated[str, msgspec.Meta(pattern=r"\A[1-9][0-9]{15,18}\Z")]
)
Hash: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
KeyId: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
Signature: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{128}\Z")]
Currency: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"\A[A-Z]{3}\Z")]
PATH_HASHES_MAX = 64


class UsageForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every count of a call."""

    input_tokens: Count
    cached_input_tokens: Count | None
    cache_write_tokens: Count
    output_tokens: Count
    reasoning_tokens: Count
    images: Count
    audio_s: Count
    video_s: Count
    searches: Count
    source: str


class StepForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The prices from one length of the input on, in pico-units."""

    context_min_tokens: Count
    unit_pico: dict[Meter, Count]


class PriceForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All lines of a version on one kind of terms."""

    version: str
    tier: ServiceTier
    data_terms: DataTerms
    currency: Currency
    steps: Annotated[list[StepForm], msgspec.Meta(min_length=1)]


class ProofForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The way from a receipt to the signature of its batch."""

    leaf_index: Place
    tree_size: Place
    path: Annotated[list[Hash], msgspec.Meta(max_length=PATH_HASHES_MAX)]
    root: Hash
    signed_us: Moment
    key_id: KeyId
    public_key: Hash
    signature: Signature


class ReceiptForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One receipt; without its proof it is what the proof proves."""

    object: Literal["receipt"]
    format: Literal[1]
    request_id: str
    organization_id: str
    project_id: str
    key_id: str
    end_customer: str | None
    model: str
    stream: bool
    system_fingerprint: str | None
    outcome: str
    reason: str
    charged: bool
    usage: UsageForm
    price: PriceForm
    held_nano: Count
    amount: str
    amount_nano: Count
    transaction_id: str | None
    created_us: Moment
    ended_us: Moment
    booked_us: Moment | None
    proof: ProofForm | msgspec.UnsetType = msgspec.UNSET


class SealForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The signature under the last line of a statement."""

    key_id: KeyId
    public_key: Hash
    signature: Signature


class TotalForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The sum of a statement's lines in one currency."""

    currency: Currency
    amount: str
    amount_nano: Count


class StatementForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last line of a statement."""

    object: Literal["statement"]
    format: Literal[1]
    organization_id: str
    since_us: Moment
    until_us: Moment
    made_us: Moment
    calls: Place
    totals: list[TotalForm]
    receipts_sha256: Hash
    proof: SealForm


class FormError(ValueError):
    """The document has another shape; the message names the place."""


def read(document: object, form: type[F]) -> F:
    """Raises FormError."""
    try:
        return msgspec.convert(document, form)
    except msgspec.ValidationError as error:
        raise FormError(str(error)) from error
