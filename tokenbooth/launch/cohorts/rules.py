"""What a cohort may be, and who still fits."""

import re

from tokenbooth.core.caller import CallLimits
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.launch.cohorts.values import Cohort, CohortAsk

NUMBER_MAX = 10**12
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def checked_ask(ask: CohortAsk) -> CohortAsk:
    """The wish itself, or INVALID_VALUE naming the field."""
    if not _NAME.fullmatch(ask.name):
        raise Problem(
            Code.INVALID_VALUE,
            "A cohort's name is 1 to 64 letters, digits, dots, dashes and underscores.",
            param="name",
        )
    numbers = {
        "max": ask.organizations_max,
        "cap": ask.cap_nano,
        "rpm": ask.limits.requests_per_minute,
        "tpm": ask.limits.tokens_per_minute,
        "parallel": ask.limits.parallel_calls,
    }
    for param, number in numbers.items():
        if number is not None and not 0 < number <= NUMBER_MAX:
            raise Problem(Code.INVALID_VALUE, f"{param} must be above zero.", param=param)
    return ask


def check_room(cohort: Cohort, invited: int) -> None:
    """Raises STATE_CONFLICT where one more would be too many."""
    if cohort.organizations_max is not None and invited >= cohort.organizations_max:
        raise Problem(
            Code.STATE_CONFLICT,
            f"The cohort {cohort.name!r} has its {cohort.organizations_max} organizations;"
            " remove one, or create another cohort.",
            param="cohort",
        )


def widest(limits: list[CallLimits]) -> CallLimits:
    """What an organization of several cohorts of one model may do: the most that any allows."""
    return CallLimits(
        _most([each.requests_per_minute for each in limits]),
        _most([each.tokens_per_minute for each in limits]),
        _most([each.parallel_calls for each in limits]),
    )


def _most(bounds: list[int | None]) -> int | None:
    known = [bound for bound in bounds if bound is not None]
    return max(known) if known and len(known) == len(bounds) else None
