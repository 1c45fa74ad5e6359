"""When refused callers were told to come back; who keeps to it finds room."""

from collections import deque

PROMISES_MAX = 4096
_OF_TENANT_MAX = 512
# A promise holds this long after its time, and half as long again as the caller had to wait.
_GRACE_US = 5_000_000


class Promises:
    """Of one deployment; bounded. A time is given to each tenant at its share of the pace."""

    def __init__(self) -> None:
        self._due: dict[str, deque[tuple[int, int]]] = {}
        self.count = 0

    def give(self, tenant: str, now_us: int, wait_us: int, gap_us: int) -> int:
        """How long this caller shall wait: ``wait_us``, or until ``gap_us`` after the last
        one of its tenant."""
        self._expire(now_us)
        due = self._due.get(tenant)
        at_us = now_us + wait_us
        if due:
            at_us = max(at_us, due[-1][0] + gap_us)
        # Clients wait whole seconds.
        if self.count < PROMISES_MAX and (due is None or len(due) < _OF_TENANT_MAX):
            until_us = at_us + _GRACE_US + (at_us - now_us) // 2
            self._due.setdefault(tenant, deque()).append((at_us, until_us))
            self.count += 1
        return at_us - now_us

    def take(self, tenant: str, now_us: int) -> bool:
        """Whether a caller of this tenant was promised this time; each promise counts once."""
        due = self._due.get(tenant)
        while due:
            at_us, until_us = due[0]
            if at_us > now_us:
                return False
            self._drop(tenant, due)
            if until_us >= now_us:
                return True
        return False

    def owed(self, tenant: str) -> int:
        """How many of its callers were told to come back, and did not yet."""
        due = self._due.get(tenant)
        return len(due) if due else 0

    def _expire(self, now_us: int) -> None:
        """Of one tenant at a time, the one that has waited longest for being looked at."""
        if not self._due:
            return
        tenant, due = next(iter(self._due.items()))
        while due and due[0][1] < now_us:
            self._drop(tenant, due)
        if due:
            self._due[tenant] = self._due.pop(tenant)

    def _drop(self, tenant: str, due: deque[tuple[int, int]]) -> None:
        due.popleft()
        self.count -= 1
        if not due:
            del self._due[tenant]
