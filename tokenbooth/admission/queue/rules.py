"""How long a refused caller should wait before it asks again."""

FIRST_SERVICE_US = 1_000_000
RETRY_AFTER_MAX_S = 60
_US_PER_S = 1_000_000
# Each observation weighs an eighth, as in TCP's smoothed round-trip time (RFC 6298).
_SMOOTHING = 8


def smoothed_us(mean_us: int, observed_us: int) -> int:
    """The mean service time after one more observation; never negative."""
    return mean_us + (max(0, observed_us) - mean_us) // _SMOOTHING


def retry_after_s(mean_us: int, waiting: int, concurrency_max: int) -> int:
    """Whole seconds, 1 to 60, until a place is likely free for one who comes behind ``waiting``.

    ``concurrency_max`` places, each free once in ``mean_us``, serve ``waiting + 1`` callers.
    """
    expected_us = mean_us * (waiting + 1) // max(1, concurrency_max)
    return min(RETRY_AFTER_MAX_S, max(1, -(-expected_us // _US_PER_S)))
