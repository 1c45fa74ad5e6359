"""Which thresholds spending crosses, on integers alone."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from tokenbooth.core.codes import Code
from tokenbooth.core.money import format_nano
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.alerts.values import CountedFrom, SpendMove
from tokenbooth.money.outbox.rules import event_of
from tokenbooth.money.outbox.values import Event, Topic

PERCENTS_MAX = 10
WHOLE = 100


def checked_percents(percents: Sequence[int], *, param: str) -> tuple[int, ...]:
    """Rising whole percentages. Raises INVALID_VALUE."""
    if (
        len(percents) > PERCENTS_MAX
        or any(type(percent) is not int or not 1 <= percent <= WHOLE for percent in percents)
        or any(low >= high for low, high in pairwise(percents))
    ):
        raise Problem(
            Code.INVALID_VALUE,
            f"{param} must be up to {PERCENTS_MAX} rising whole percentages from 1 to {WHOLE}.",
            param=param,
        )
    return tuple(percents)


def crossed(
    before_nano: int, after_nano: int, limit_nano: int, percents: Sequence[int]
) -> tuple[int, ...]:
    """The percentages of ``limit_nano`` that were not reached before and are now."""
    return tuple(
        percent
        for percent in percents
        if before_nano * WHOLE < percent * limit_nano <= after_nano * WHOLE
    )


def counted_from(move: SpendMove, known: CountedFrom | None) -> CountedFrom | None:
    """Where counting begins for a balance, which is all credit there ever was: at the last credit.

    ``None`` for caps, which count from zero, and for limits that are not capped.
    """
    if move.scope is not LimitScope.BALANCE or move.limit_nano is None:
        return None
    if known is not None and known.limit_nano == move.limit_nano:
        return known
    return CountedFrom(move.limit_nano, move.before_nano)


def alerts_of(
    move: SpendMove, begin: CountedFrom | None, percents: Sequence[int], now_us: int
) -> Iterator[Event]:
    """One event for each crossed threshold.

    Its key names limit, window, threshold and the height of the limit: another height, by a raised
    cap or by credit, arms the thresholds again.
    """
    if move.limit_nano is None:
        return
    begin_nano = 0 if begin is None else begin.spent_nano
    limit_nano = move.limit_nano - begin_nano
    before_nano, after_nano = move.before_nano - begin_nano, move.after_nano - begin_nano
    for percent in crossed(before_nano, after_nano, limit_nano, percents):
        name = f"{move.limit_id}:{move.limit_nano}:{percent}"
        amounts = {
            "limit": move.limit_nano,
            "spent": move.after_nano,
            "remaining": move.limit_nano - move.after_nano,
            "counted_from": begin_nano,
        }
        body = _body(move, percent, amounts)
        yield event_of(Topic.SPEND_ALERT, name, move.org_id, body, now_us)


def _body(move: SpendMove, percent: int, amounts: Mapping[str, int]) -> dict[str, object]:
    """Of a balance the threshold is a part of ``limit`` less ``counted_from``."""
    return {
        "limit_source": move.scope.value,
        "owner_id": move.owner_id,
        "window": move.window_id or None,
        "threshold_percent": percent,
        **{name: format_nano(amount_nano) for name, amount_nano in amounts.items()},
        **{f"{name}_nano": amount_nano for name, amount_nano in amounts.items()},
    }
