"""Cohorts: organizations that are let in before the public."""

from dataclasses import dataclass
from enum import StrEnum

from tokenbooth.core.caller import CallLimits

NO_LIMITS = CallLimits()


class MemberState(StrEnum):
    WAITING = "waiting"
    INVITED = "invited"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortAsk:
    """``limits`` hold for each organization's calls of this model; ``cap_nano`` becomes the hard
    cap of each one that is invited; ``None`` leaves a bound open."""

    name: str
    model: str
    organizations_max: int | None = None
    cap_nano: int | None = None
    limits: CallLimits = NO_LIMITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    name: str
    model: str
    organizations_max: int | None
    cap_nano: int | None
    limits: CallLimits
    created_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """What was decided last of one organization in one cohort."""

    cohort: str
    org_id: str
    sequence: int
    state: MemberState
    effective_us: int
    author: str


@dataclass(frozen=True, slots=True)
class Place:
    """Whether an organization is let in, and within which limits."""

    invited: bool
    limits: CallLimits = NO_LIMITS


OUTSIDE = Place(invited=False)
