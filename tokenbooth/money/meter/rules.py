"""Bounds of what may be asked for at once."""

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

PAGE_RECORDS_MAX = 1000
DAY_US = 86_400_000_000


def check_page(limit: int) -> None:
    """Raise INVALID_VALUE for a page that is empty or unbounded."""
    if not 1 <= limit <= PAGE_RECORDS_MAX:
        raise Problem(
            Code.INVALID_VALUE,
            f"limit must be between 1 and {PAGE_RECORDS_MAX}.",
            param="limit",
        )


def check_span(since_us: int, until_us: int) -> None:
    """Raise INVALID_VALUE for a span that ends before it starts."""
    if since_us > until_us:
        raise Problem(Code.INVALID_VALUE, "The span ends before it starts.", param="until")
