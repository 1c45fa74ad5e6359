"""Pure parts of rate limiting: the tighter figure, the refusals, the headers."""

from collections.abc import Iterable

from tokenbooth.admission.rates.values import Breach, RateFigure, RateState
from tokenbooth.core.caller import Caller
from tokenbooth.core.codes import Code
from tokenbooth.core.days import iso_day
from tokenbooth.core.problem import Problem

# Shown, and enforced, where neither key nor organization has a limit: more than can arrive.
CEILING_PER_MINUTE = 10**12
# Nobody knows when a running call ends, so this is a constant.
PARALLEL_WAIT_S = 1
_US_PER_S = 1_000_000
_S_PER_DAY = 86_400

_LIMIT_WORDS = {
    "requests_per_minute": "calls per minute",
    "tokens_per_minute": "tokens per minute",
    "parallel_calls": "calls at once",
}


def tighter(one: RateFigure, other: RateFigure) -> RateFigure:
    """The figure with the least left, then the lowest limit, then the latest reset."""
    if one.remaining != other.remaining:
        return one if one.remaining < other.remaining else other
    if one.limit != other.limit:
        return one if one.limit < other.limit else other
    return one if one.reset_s >= other.reset_s else other


def tokens_fit_max(caller: Caller) -> int | None:
    """The most tokens that one call of this caller can ever be admitted with; None is no limit."""
    of_key, of_org = caller.key_limits.tokens_per_minute, caller.org_limits.tokens_per_minute
    if caller.invitation is not None:
        invited = caller.invitation.limits.tokens_per_minute
        return min((n for n in (of_key, of_org, invited) if n is not None), default=None)
    if of_key is None or of_org is None:
        return of_org if of_key is None else of_key
    return min(of_key, of_org)


def check_fits(caller: Caller, tokens_max: int) -> None:
    """Raises Problem INVALID_VALUE for a call that no waiting can help; it is not to be retried."""
    fit_max = tokens_fit_max(caller)
    if fit_max is not None and tokens_max > fit_max:
        raise Problem(
            Code.INVALID_VALUE,
            f"This call may take {tokens_max} tokens, and the limit is {fit_max} tokens per "
            "minute: it can never pass. Lower the output limit or shorten the prompt.",
            facts={"tokens_asked": tokens_max, "tokens_per_minute": fit_max},
        )


def refusal(breaches: Iterable[Breach]) -> Problem:
    """RATE_LIMITED for the breach that lasts longest, so that its wait is enough for all."""
    worst = max(breaches, key=lambda breach: breach.wait_s)
    return Problem(
        Code.RATE_LIMITED,
        f"The {worst.owner}'s limit of {worst.allowed} {_LIMIT_WORDS[worst.limit]} is reached.",
        retry_after_s=worst.wait_s,
        facts={"owner": worst.owner, "limit": worst.limit, "allowed": worst.allowed},
    )


def whole_seconds(wait_us: int) -> int:
    """Rounded up, and at least 1."""
    return max(1, -(-wait_us // _US_PER_S))


def headers(state: RateState) -> tuple[tuple[str, str], ...]:
    """``x-ratelimit-{limit,remaining,reset}-{requests,tokens}``; a reset reads ``"17s"``."""
    requests, tokens = state
    return (
        ("x-ratelimit-limit-requests", str(requests.limit)),
        ("x-ratelimit-remaining-requests", str(requests.remaining)),
        ("x-ratelimit-reset-requests", f"{requests.reset_s}s"),
        ("x-ratelimit-limit-tokens", str(tokens.limit)),
        ("x-ratelimit-remaining-tokens", str(tokens.remaining)),
        ("x-ratelimit-reset-tokens", f"{tokens.reset_s}s"),
    )


def anthropic_headers(state: RateState, now_us: int) -> tuple[tuple[str, str], ...]:
    """``anthropic-ratelimit-{requests,tokens}-{limit,remaining,reset}``; a reset is a moment of
    UTC such as ``"2026-11-20T08:00:17Z"``."""
    return tuple(
        (f"anthropic-ratelimit-{unit}-{what}", text)
        for unit, figure in (("requests", state.requests), ("tokens", state.tokens))
        for what, text in (
            ("limit", str(figure.limit)),
            ("remaining", str(figure.remaining)),
            ("reset", _moment(now_us // _US_PER_S + figure.reset_s)),
        )
    )


def _moment(time_s: int) -> str:
    minutes, second = divmod(time_s % _S_PER_DAY, 60)
    day = iso_day(time_s // _S_PER_DAY)
    return f"{day}T{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}Z"
