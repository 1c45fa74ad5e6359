"""How long to wait before the next try, and what to tell callers meanwhile."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildPolicy:
    """``hang_after_s``: silence that counts as a hang while an answer is owed.

    After a failure the wait doubles from ``backoff_first_s`` to ``backoff_max_s``; a child that was
    ready for ``stable_after_s`` starts anew, at once. ``load_s`` is what loading usually takes.
    """

    ready_timeout_s: float = 120.0
    hang_after_s: float = 30.0
    backoff_first_s: float = 0.5
    backoff_max_s: float = 30.0
    stable_after_s: float = 60.0
    load_s: float = 4.0


def backoff_s(failures: int, policy: ChildPolicy) -> float:
    """The wait before the next start, after ``failures`` short lives in a row."""
    if failures == 0:
        return 0.0
    return min(policy.backoff_max_s, policy.backoff_first_s * 2.0 ** min(failures - 1, 60))


def retry_after_s(wait_s: float, policy: ChildPolicy) -> int:
    """Whole seconds, at least one, until a child started in ``wait_s`` may be ready."""
    return max(1, math.ceil(max(0.0, wait_s) + policy.load_s))
