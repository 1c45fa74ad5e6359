"""Who is calling, and what that key may do."""

from dataclasses import dataclass
from enum import StrEnum

from tokenbooth.core.noun import noun
from tokenbooth.core.terms import DataTerms


class Scope(StrEnum):
    """What a key may be used for."""

    INFERENCE = "inference"
    READ = "read"


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Rate limits of one owner; ``None`` means unlimited."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    parallel_calls: int | None = None


@dataclass(frozen=True, slots=True)
class Invitation:
    """What an organization may ask of one model as long as that is not open to all."""

    model: str
    limits: CallLimits


@noun
class Caller:
    """The authenticated owner of a call; ``models`` is the key's allow-list, ``None`` means all.

    ``data_terms`` are those of the project. ``invitation`` is what the call was let in by, where
    the model is not open to all.
    """

    org_id: str
    project_id: str
    key_id: str
    scopes: frozenset[Scope]
    models: frozenset[str] | None = None
    key_limits: CallLimits = CallLimits()
    org_limits: CallLimits = CallLimits()
    end_customer: str | None = None
    data_terms: DataTerms = DataTerms.PRIVATE
    invitation: Invitation | None = None
