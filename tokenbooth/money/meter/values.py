"""Frozen nouns of metering."""

from dataclasses import dataclass

from tokenbooth.core.delta import Usage
from tokenbooth.core.receipt import Outcome
from tokenbooth.core.terms import DataTerms, ServiceTier


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """One call that held money. While it runs, ``outcome``, ``usage`` and ``ended_us`` are
    ``None``, ``reason`` is empty and ``held_nano`` is still held.

    ``operator_loss_nano`` is what its usage cost beyond what could be charged.
    """

    request_id: str
    org_id: str
    project_id: str
    key_id: str
    end_customer: str | None
    model: str
    stream: bool
    outcome: Outcome | None
    reason: str
    usage: Usage | None
    cost_nano: int
    held_nano: int
    price_version: str
    tier: ServiceTier
    data_terms: DataTerms
    operator_loss_nano: int
    created_us: int
    started_us: int | None
    first_output_us: int | None
    ended_us: int | None
    fingerprint: str | None

    @property
    def running(self) -> bool:
        return self.outcome is None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargedCall:
    """What a charged call used, on which terms, and what it cost."""

    model: str
    tier: ServiceTier
    data_terms: DataTerms
    usage: Usage
    cost_nano: int


@dataclass(frozen=True, slots=True)
class PageAsk:
    """``after`` is the last id of the page before; the ids narrow the records."""

    limit: int = 50
    after: str | None = None
    project_id: str | None = None
    key_id: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Newest first; ``next_after`` asks for the next page, ``None`` says that this is the last."""

    records: tuple[CallRecord, ...]
    next_after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageLine:
    """Ended calls of one model on one UTC day, by when they began; ``day_us`` is its midnight.

    ``usage`` adds up the charged ones.
    """

    day_us: int
    model: str
    calls: int
    usage: Usage
    cost_nano: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrgTotal:
    """Everything one organization ever used."""

    org_id: str
    calls: int
    running: int
    input_tokens: int
    output_tokens: int
    cost_nano: int
    operator_loss_nano: int
