"""Grammar text for whole numbers in a range; pure."""

from collections.abc import Callable

DIGITS_MAX = 15


def _class(low: str, high: str) -> str:
    return low if low == high else f"[{low}-{high}]"


def _digits(count: int) -> str:
    return "" if count == 0 else "[0-9]" if count == 1 else f"[0-9]{{{count}}}"


def _quote(part: str) -> str:
    return f'"{part}"' if len(part) == 1 and part.isdigit() else part


def _same_length(low: str, high: str) -> list[str]:
    """Alternatives for all numbers between two texts of the same length, each a sequence."""
    if low == high:
        return [f'"{low}"']
    rest = len(low) - 1
    if low[0] == high[0]:
        return [_join(f'"{low[0]}"', tail) for tail in _same_length(low[1:], high[1:])]
    found = []
    first, last = int(low[0]), int(high[0])
    if set(low[1:]) - {"0"}:
        found += [_join(f'"{low[0]}"', tail) for tail in _same_length(low[1:], "9" * rest)]
        first += 1
    tail_high: list[str] = []
    if set(high[1:]) - {"9"}:
        tail_high = [_join(f'"{high[0]}"', tail) for tail in _same_length("0" * rest, high[1:])]
        last -= 1
    if first <= last:
        found.append(_join(_quote(_class(str(first), str(last))), _digits(rest)))
    return found + tail_high


def _join(head: str, tail: str) -> str:
    return f"{head} {tail}" if tail else head


def natural_range(low: int, high: int) -> str:
    """Exactly the decimal texts, without leading zeros, of ``low`` <= n <= ``high``, both >= 0."""
    if not 0 <= low <= high:
        raise ValueError("natural_range needs 0 <= low <= high")
    alternatives = []
    for length in range(len(str(low)), len(str(high)) + 1):
        least = max(low, 10 ** (length - 1) if length > 1 else 0)
        most = min(high, 10**length - 1)
        alternatives += _same_length(str(least), str(most))
    return " | ".join(alternatives)


def integer_range(low: int | None, high: int | None) -> str:
    """The decimal texts of the integers in the range, cut at 15 digits; never ``-0``.

    Raises ValueError for an empty range.
    """
    return _signed(low, high, 1, natural_range)


def number_range(low: int | None, high: int | None) -> str:
    """Decimal texts of numbers in the range, whole ones or with up to six decimals.

    Raises ValueError for an empty range.
    """
    return _signed(low, high, 0, _with_decimals)


def _signed(
    low: int | None, high: int | None, after_minus: int, write: Callable[[int, int], str]
) -> str:
    """``after_minus`` is the least whole number that may follow a minus sign."""
    limit = 10**DIGITS_MAX - 1
    low = -limit if low is None else max(low, -limit)
    high = limit if high is None else min(high, limit)
    if low > high:
        raise ValueError("the range is empty")
    parts = []
    if low < 0:
        parts.append(f'"-" ({write(max(after_minus, -high), -low)})')
    if high >= 0:
        parts.append(write(max(0, low), high))
    return " | ".join(parts)


def _with_decimals(low: int, high: int) -> str:
    if low == high:
        return natural_range(low, high)
    return f'({natural_range(low, high - 1)}) ("." [0-9]{{1,6}})? | {natural_range(high, high)}'
