"""What promises came to."""

from collections.abc import Iterable, Sequence

from tokenbooth.launch.slips.values import Promise
from tokenbooth.launch.stages.rules import YEAR_9999_US, gated_edges
from tokenbooth.launch.stages.values import Standing

RATIO_MAX_PERMILLE = 20_000


def is_ahead(promised_us: int, now_us: int) -> bool:
    """Whether a date is later than now and one that a calendar shows."""
    return now_us < promised_us < YEAR_9999_US


def slipped_us(promises: Sequence[Promise]) -> int:
    """How far the date moved from the first promise to the last, oldest first; 0 for one."""
    return promises[-1].promised_us - promises[0].promised_us if promises else 0


def ratios_permille(promises: Iterable[Promise], history: Sequence[Standing]) -> tuple[int, ...]:
    """For each promise that came true at all: the time it took, in thousandths of that promised.

    A promise comes true with the first decision after it that opens as far as it said. ``history``
    is of one model as a whole, oldest first.
    """
    found = []
    for promise in promises:
        after = (each for each in history if each.effective_us > promise.said_us)
        kept = next((e for e in after if not gated_edges(e.stage, promise.stage)), None)
        if kept is not None and promise.promised_us > promise.said_us:
            took_us, said_us = kept.effective_us, promise.promised_us - promise.said_us
            ratio = (took_us - promise.said_us) * 1000 // said_us
            found.append(max(1, min(ratio, RATIO_MAX_PERMILLE)))
    return tuple(found)
