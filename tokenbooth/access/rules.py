"""What names and limits may be, for every noun of this domain."""

import unicodedata

from tokenbooth.core.caller import CallLimits
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

NAME_CHARACTERS_MAX = 128
LIMIT_MAX = 10**12

# Controls, invisible format characters (text direction among them), lone surrogates, line breaks.
_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def may_exist(name_or_id: str) -> bool:
    """Whether anything can have this name or id; of any other text there is nothing to look up.

    Databases fail on lone surrogates, and one of them on NUL.
    """
    return len(name_or_id) <= NAME_CHARACTERS_MAX and not _has_refused(name_or_id)


def checked_name(name: str, param: str = "name") -> str:
    """The name itself, or Problem INVALID_VALUE: 1 to 128 visible characters, no outer blanks."""
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX:
        raise Problem(
            Code.INVALID_VALUE,
            f"{param} must have 1 to {NAME_CHARACTERS_MAX} characters.",
            param=param,
        )
    if _has_refused(name):
        raise Problem(
            Code.INVALID_VALUE,
            f"{param} must not contain control or invisible characters.",
            param=param,
        )
    if name != name.strip():
        raise Problem(
            Code.INVALID_VALUE, f"{param} must not begin or end with a blank.", param=param
        )
    return name


def checked_limits(limits: CallLimits) -> CallLimits:
    """The limits themselves, or Problem INVALID_VALUE: each absent, or from 1 to 10**12."""
    for param, limit in (
        ("requests_per_minute", limits.requests_per_minute),
        ("tokens_per_minute", limits.tokens_per_minute),
        ("parallel_calls", limits.parallel_calls),
    ):
        if limit is not None and not (type(limit) is int and 1 <= limit <= LIMIT_MAX):
            raise Problem(
                Code.INVALID_VALUE,
                f"{param} must be a whole number from 1 to {LIMIT_MAX}.",
                param=param,
            )
    return limits


def _has_refused(text: str) -> bool:
    return any(unicodedata.category(character) in _REFUSED_CATEGORIES for character in text)
