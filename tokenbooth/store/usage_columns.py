"""The counts of a call as columns of its record, one for each field of ``Usage``."""

from typing import Any

from tokenbooth.core.delta import Usage, UsageSource

COUNT_COLUMNS = (
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "reasoning_tokens",
    "cache_write_tokens",
    "images",
    "audio_s",
    "video_s",
    "searches",
)
USAGE_COLUMNS = (*COUNT_COLUMNS, "usage_source")


def usage_from(row: Any) -> Usage:
    """The usage of a record that ended; ``row`` has every column of ``USAGE_COLUMNS``."""
    counts: dict[str, Any] = {name: getattr(row, name) for name in COUNT_COLUMNS}
    return Usage(**counts, source=UsageSource(row.usage_source))


def usage_sum(row: Any) -> Usage:
    """Sums of every count, which PostgreSQL gives as decimals."""
    counts: dict[str, Any] = {name: int(getattr(row, name)) for name in COUNT_COLUMNS}
    return Usage(**counts)


def usage_row(usage: Usage) -> tuple[int | str | None, ...]:
    """Values in the order of ``USAGE_COLUMNS``."""
    return (
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_input_tokens,
        usage.reasoning_tokens,
        usage.cache_write_tokens,
        usage.images,
        usage.audio_s,
        usage.video_s,
        usage.searches,
        usage.source.value,
    )


def usage_values(usage: Usage) -> dict[str, int | str | None]:
    """The same as values by column."""
    return dict(zip(USAGE_COLUMNS, usage_row(usage), strict=True))
