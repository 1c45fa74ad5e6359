"""Organizations and projects."""

from dataclasses import dataclass

from tokenbooth.core.caller import CallLimits
from tokenbooth.core.terms import DataTerms

DEFAULT_ORG_LIMITS = CallLimits(
    requests_per_minute=3_000, tokens_per_minute=4_000_000, parallel_calls=256
)
DEFAULT_PROJECT_NAME = "default"


@dataclass(frozen=True, slots=True)
class Org:
    """A customer: the owner of a balance. ``limits`` has no absent field."""

    id: str
    name: str
    limits: CallLimits
    created_us: int


@dataclass(frozen=True, slots=True)
class Project:
    """A part of an organization with its own keys and cap, and its own data terms."""

    id: str
    org_id: str
    name: str
    created_us: int
    data_terms: DataTerms = DataTerms.PRIVATE
