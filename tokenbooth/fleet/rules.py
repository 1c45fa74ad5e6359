"""How often a member that dies is started again, names of workers, and even parts."""

FAILURES_MAX = 8
STABLE_AFTER_S = 30.0
_FIRST_PAUSE_S = 0.1
_PAUSE_MAX_S = 5.0


def failures_after(failures: int, lived_s: float) -> int:
    """Deaths in a row, this one included; a life of ``STABLE_AFTER_S`` begins the count anew."""
    return 1 if lived_s >= STABLE_AFTER_S else failures + 1


def pause_s(failures: int) -> float:
    """Seconds before the next start, after ``failures`` >= 1 deaths in a row."""
    return min(_PAUSE_MAX_S, _FIRST_PAUSE_S * (1 << (failures - 1)))


def worker_name(replica: str, number: int) -> str:
    """The replica as which that worker, from 1, keeps its journal and leases."""
    return f"{replica}-w{number}"


def share_of(total: int, number: int, workers: int) -> int:
    """The even part of worker ``number``, from 1; all parts together are ``total``."""
    return total // workers + (number <= total % workers)
