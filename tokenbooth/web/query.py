"""Checked reading of query parameters: unknown names and impossible values are refused by name."""

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, timedelta

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

PAGE_MAX = 100
DAYS_MAX = 366
# Microseconds of later years pass 2^53, which no statement can sign as a JSON number.
YEAR_MAX = 2254
CURSOR_CHARACTERS_MAX = 200
US_PER_S = 1_000_000


def only(query: Mapping[str, str], known: Collection[str]) -> None:
    """Raises UNKNOWN_FIELD for the first parameter, by name, that is not known here."""
    for name in sorted(query):
        if name not in known:
            listed = ", ".join(sorted(known)) or "none"
            shown = name[:80]
            raise Problem(
                Code.UNKNOWN_FIELD,
                f"Unknown query parameter {shown!r}; known here: {listed}.",
                param=shown,
            )


def page_limit(query: Mapping[str, str], default: int, most: int = PAGE_MAX) -> int:
    """``limit`` from 1 to ``most``."""
    text = query.get("limit")
    if text is None:
        return default
    plain = text.isascii() and text.isdigit() and len(text) <= 6
    if not plain or not 1 <= int(text) <= most:
        raise Problem(
            Code.INVALID_VALUE, f"limit must be a whole number from 1 to {most}.", param="limit"
        )
    return int(text)


def identifier(query: Mapping[str, str], name: str) -> str | None:
    """An id of ours: letters, digits, ``_`` and ``-``."""
    text = query.get(name)
    if text is None:
        return None
    plain = text.isascii() and text.replace("_", "").replace("-", "").isalnum()
    if not plain or len(text) > CURSOR_CHARACTERS_MAX:
        raise Problem(Code.INVALID_VALUE, f"{name} is not an id of this booth.", param=name)
    return text


def day_span(query: Mapping[str, str], now_us: int, default_days: int) -> tuple[int, int]:
    """``since`` and ``until`` as UTC days, both inclusive; returns a half-open span in µs."""
    today = datetime.fromtimestamp(now_us // US_PER_S, UTC).date()
    until = _day(query, "until", today)
    since = _day(query, "since", max(date.min, until - timedelta(days=default_days - 1)))
    if since > until:
        raise Problem(Code.INVALID_VALUE, "since is later than until.", param="since")
    if (until - since).days >= DAYS_MAX:
        raise Problem(
            Code.INVALID_VALUE, f"The span is longer than {DAYS_MAX} days.", param="since"
        )
    return _start_us(since), _start_us(until) + 86_400 * US_PER_S


def _day(query: Mapping[str, str], name: str, default: date) -> date:
    text = query.get(name)
    if text is None:
        return default
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise Problem(
            Code.INVALID_VALUE, f"{name} must be a UTC day such as 2026-01-31.", param=name
        ) from error
    if not 1970 <= day.year <= YEAR_MAX:
        raise Problem(Code.INVALID_VALUE, f"{name} lies outside 1970 to {YEAR_MAX}.", param=name)
    return day


def _start_us(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * US_PER_S
