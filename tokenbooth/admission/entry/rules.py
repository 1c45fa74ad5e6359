"""The arithmetic of admission: how limits move, how long a wait will be, when to come back."""

from math import isqrt

RETRY_AFTER_MAX_S = 600
MEASURED_TOKENS = 20
FIRST_SERVICE_US = 1_000_000
# A token of output costs an engine about as much as this many of input.
OUTPUT_WEIGHT = 2
MARGIN_MILLI_MAX = 1200
MARGIN_MILLI_MIN = 600
_US_PER_S = 1_000_000
_MILLI = 1_000
TAIL_AIM_MILLI = 970
# The aim is looked at after so many calls.
TAIL_CALLS = 50
_GROWTH_DIVISOR = 16
# The prompts that are read at once may take this part of the time to the first token.
_READING_DIVISOR = 2
# Any prompt costs an engine as much as this many tokens more: a step at least.
PROMPT_EXTRA_TOKENS = 200


def cost_tokens(input_tokens: int, output_tokens: int) -> int:
    """What a call takes from an engine, in tokens of input."""
    return input_tokens + OUTPUT_WEIGHT * output_tokens


def smoothed(mean: int, observed: int, divisor: int) -> int:
    """The mean after one more observation, which weighs one part in ``divisor``."""
    return mean + (observed - mean) // divisor


def retry_after_s(wait_us: int) -> int:
    """Whole seconds, 1 to 600."""
    return min(RETRY_AFTER_MAX_S, max(1, -(-wait_us // _US_PER_S)))


def margin_milli(margin: int, tpot_milli: list[int]) -> int:
    """Which part of the promised time per token to aim at, after so many more ended calls.

    ``tpot_milli`` is each one's time per token in thousandths of the promised one: all but one in
    fifty shall keep it. A tenth is the largest step.
    """
    nearly_worst = sorted(tpot_milli)[len(tpot_milli) * 49 // 50 - 1]
    wanted = margin * TAIL_AIM_MILLI // max(1, nearly_worst)
    wanted = min(margin + margin // 10, max(margin - margin // 10, wanted))
    return min(MARGIN_MILLI_MAX, max(MARGIN_MILLI_MIN, wanted))


def next_limit_milli(limit_milli: int, inside: int, itl_us: int, aim_us: int, *, full: bool) -> int:
    """The limit in thousandths of a call, after the time between two tokens was ``itl_us``.

    It falls half of the way to where the time would be kept if that grew with the calls ``inside``;
    it grows by a sixteenth, half a call at least, if it was what held calls back (``full``).
    """
    if itl_us > aim_us:
        fit_milli = inside * _MILLI * (itl_us + aim_us) // (2 * itl_us)
        return min(limit_milli, fit_milli)
    if full and itl_us * 100 < aim_us * 97:
        return limit_milli + max(_MILLI // 2, limit_milli // _GROWTH_DIVISOR)
    return limit_milli


def reading_tokens_max(ttft_us: int, token_ns: int) -> int:
    """How many prompt tokens may be in flight so that reading them takes part of ``ttft_us``."""
    return ttft_us * _MILLI // (_READING_DIVISOR * max(1, token_ns))


def spare_places(limit: int) -> int:
    """Places that are left free for others by flex, batch, the operator's own apps, and tenants
    that have more than their part: as many as come at once now and then. One place is never kept."""
    return min(limit - 1, isqrt(limit * 9 // 4) + 1)
