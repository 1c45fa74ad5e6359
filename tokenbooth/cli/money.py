"""Amounts in tables."""

from tokenbooth.core.money import format_nano
from tokenbooth.core.receipt import LimitState


def limit_cells(state: LimitState) -> tuple[str | None, str | None, str]:
    """Remaining, limit and spent; ``None`` where the level has no cap."""
    return (
        _amount(state.remaining_nano),
        _amount(state.limit_nano),
        format_nano(state.spent_nano),
    )


def _amount(nano: int | None) -> str | None:
    return None if nano is None else format_nano(nano)
