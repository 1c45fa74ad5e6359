"""Frozen nouns of receipts.

The forms are the exact shapes of what is handed out and of what is verified: no member missing,
none unknown, none of another type. Whole numbers that JSON readers may bend are written as strings,
so a count is either. Tuples and structs, not dataclasses, where one is made for every settled call.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple, TypeAlias, cast

import msgspec

from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.money.prices.values import Meter
from tokenbooth.signing.canonical import WHOLE_MAX

Json: TypeAlias = dict[str, object]


class BookedCall(NamedTuple):
    """One settled call as its receipt tells it, in the order of the columns that are read.

    ``charged`` is False where it costs nothing whatever was used; ``txn_id`` and ``booked_us`` are
    those of the ledger's charge, ``None`` where the call cost nothing. ``batch_id`` and
    ``leaf_index`` are ``None`` until it is signed.
    """

    request_id: str
    org_id: str
    project_id: str
    key_id: str
    end_customer: str | None
    model: str
    stream: int
    fingerprint: str | None
    outcome: str
    reason: str
    state: str
    usage_source: str
    price_version: str
    tier: str
    data_terms: str
    cached_input_tokens: int | None
    input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    images: int
    audio_s: int
    video_s: int
    searches: int
    held_nano: int
    cost_nano: int
    created_us: int
    ended_us: int
    txn_id: str | None
    booked_us: int | None
    batch_id: str | None
    leaf_index: int | None

    @property
    def charged(self) -> bool:
        return self.state == "posted"

    @property
    def numbers(self) -> tuple[int, ...]:
        """From ``input_tokens`` to ``cost_nano``, as they stand side by side."""
        return cast("tuple[int, ...]", self[_FIRST_NUMBER:_AFTER_NUMBERS])

    @property
    def place(self) -> "Place":
        """Where it stands in a statement: only charged calls with a cost do."""
        assert self.booked_us is not None, "a free call stands in no statement"
        assert self.txn_id is not None, "a free call stands in no statement"
        return Place(self.booked_us, self.txn_id, self.request_id)


_FIRST_NUMBER = BookedCall._fields.index("input_tokens")
_AFTER_NUMBERS = BookedCall._fields.index("cost_nano") + 1


class Signed(NamedTuple):
    """How many calls got their receipt, and whether others wait."""

    calls: int
    more: bool


class Place(NamedTuple):
    """The order of a statement: when a charge was booked, which one, and the calls in it."""

    booked_us: int
    txn_id: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Due:
    """What waits to be signed: a charge with all its calls, or one call without a charge."""

    id: str
    is_charge: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """Some receipts under one signature; ``leaves`` are their hashes in order, 32 bytes each."""

    id: str
    format: int
    size: int
    root: bytes
    leaves: tuple[bytes, ...]
    key_id: str
    public: bytes
    signature: bytes
    signed_us: int


@dataclass(frozen=True, slots=True)
class KeyLine:
    """A public key; ``created_us`` is when it first signed a receipt, ``None`` if it never did."""

    id: str
    public: bytes
    created_us: int | None


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open time span of one organization's charges, in Unix microseconds."""

    org_id: str
    since_us: int
    until_us: int


@dataclass(frozen=True, slots=True)
class Line:
    """One receipt as a statement counts it."""

    document: Json
    leaf: bytes
    currency: str
    amount_nano: int


@dataclass(frozen=True, slots=True)
class Page:
    """Some lines of a statement; ``last`` is where the next page begins, ``None`` when it is over.

    ``unsigned`` are calls that must be signed before this page can be read at all.
    """

    lines: tuple[Line, ...]
    unsigned: tuple[str, ...]
    last: Place | None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a verification, and what it found."""

    name: str
    ok: bool
    told: str


Moment: TypeAlias = Annotated[int, msgspec.Meta(ge=-WHOLE_MAX, le=WHOLE_MAX)]
Position: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=WHOLE_MAX)]
Count: TypeAlias = (
    Annotated[int, msgspec.Meta(ge=0)]
    | Annotated[str, msgspec.Meta(pattern=r"\A[1-9][0-9]{15,18}\Z")]
)
Hash: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
KeyId: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
Signature: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{128}\Z")]
Currency: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"\A[A-Z]{3}\Z")]
PATH_HASHES_MAX = 64


class UsageForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
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


class StepForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The prices from one length of the input on, in pico-units."""

    context_min_tokens: Count
    unit_pico: dict[Meter, Count]


class PriceForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """All lines of a version on one kind of terms."""

    version: str
    tier: ServiceTier
    data_terms: DataTerms
    currency: Currency
    steps: Annotated[list[StepForm], msgspec.Meta(min_length=1)]


class ProofForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The way from a receipt to the signature of its batch."""

    leaf_index: Position
    tree_size: Position
    path: Annotated[list[Hash], msgspec.Meta(max_length=PATH_HASHES_MAX)]
    root: Hash
    signed_us: Moment
    key_id: KeyId
    public_key: Hash
    signature: Signature


class ReceiptForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
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


class SealForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The signature under the last line of a statement."""

    key_id: KeyId
    public_key: Hash
    signature: Signature


class TotalForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The sum of a statement's lines in one currency."""

    currency: Currency
    amount: str
    amount_nano: Count


class StatementForm(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False
):
    """The last line of a statement."""

    object: Literal["statement"]
    format: Literal[1]
    organization_id: str
    since_us: Moment
    until_us: Moment
    made_us: Moment
    calls: Position
    totals: list[TotalForm]
    receipts_sha256: Hash
    proof: SealForm
