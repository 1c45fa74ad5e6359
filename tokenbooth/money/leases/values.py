"""Frozen nouns of leased money."""

from dataclasses import dataclass

from tokenbooth.core.delta import Usage
from tokenbooth.core.receipt import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """What a call was admitted with; none of it changes while the call runs.

    ``chain`` holds the ids of the limits that the call takes money from, outermost first, each
    ``scope:owner`` or ``scope:owner@window``. ``held_nano`` is the first hold; ``input_tokens``
    and ``output_tokens`` are what it was taken for, all choices together.
    """

    request_id: str
    org_id: str
    project_id: str
    key_id: str
    end_customer: str | None
    model: str
    deployment_id: str | None
    stream: bool
    price_version: str
    tier: str
    data_terms: str
    chain: tuple[str, ...]
    held_nano: int
    input_tokens: int
    output_tokens: int
    created_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What had left towards the caller at ``at_us``, and what that much costs."""

    request_id: str
    usage: Usage
    cost_nano: int
    held_nano: int
    first_output_us: int | None
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How a call ended; ``cost_nano`` <= ``held_nano``, the most that was held for it.

    ``charged`` is False where it costs nothing whatever ``usage`` says. ``loss_nano`` is what the
    usage costs beyond the hold: the operator bears it.
    """

    request_id: str
    outcome: Outcome
    reason: str
    usage: Usage
    charged: bool
    cost_nano: int
    loss_nano: int
    held_nano: int
    started_us: int
    first_output_us: int | None
    ended_us: int
    fingerprint: str | None


@dataclass(frozen=True, slots=True)
class SettledCall:
    """A call on its way to the ledger; ``epoch`` is that of the process that ran it."""

    facts: CallFacts
    settlement: Settlement
    epoch: int
