"""Who waits, and who is next: bands in strict order, inside a band the tenant that got least."""

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import islice

from tokenbooth.admission.entry.rules import cost_tokens
from tokenbooth.admission.entry.values import RANKS, Visit

# One part in this many of the work admitted while it waits goes to the last band that waits.
SHARE_DIVISOR = 64
TENANTS_KEPT_MAX = 1024
# A decision looks at so many tenants at most, those who have waited longest; the others are taken
# to be like them.
TENANTS_SEEN_MAX = 8


class Tenant:
    """``counter`` is what it got, in tokens, as the virtual token counter of its band counts."""

    __slots__ = ("counter", "name", "promised", "visits", "work_tokens")

    def __init__(self, name: str, counter: int) -> None:
        self.name = name
        self.counter = counter
        self.promised = 0
        self.visits: deque[Visit] = deque()
        self.work_tokens = 0


class Band:
    """The tenants of one rank."""

    def __init__(self) -> None:
        self.tenants: dict[str, Tenant] = {}
        self.waiting: dict[str, Tenant] = {}
        self.count = 0
        self._order: list[tuple[int, int, Tenant]] = []
        self._entries = 0
        self._served_counter = 0

    def add(self, visit: Visit) -> None:
        tenant = self.tenants.get(visit.tenant)
        if tenant is None:
            self._forget()
            tenant = self.tenants[visit.tenant] = Tenant(visit.tenant, self._served_counter)
        if not tenant.visits:
            # Who was away saved nothing up: it goes on where those are who waited.
            tenant.counter = max(tenant.counter, self._served_counter)
            self.waiting[tenant.name] = tenant
            self._push(tenant)
        self.count += 1
        if visit.promised:
            tenant.visits.insert(tenant.promised, visit)
            tenant.promised += 1
        else:
            tenant.visits.append(visit)
        tenant.work_tokens += cost_tokens(visit.input_tokens, visit.output_tokens)

    def next_tenant(self) -> Tenant:
        """Of those who wait, the one with the lowest counter."""
        while True:
            counter, _, tenant = self._order[0]
            if tenant.visits and counter == tenant.counter:
                return tenant
            heappop(self._order)
            if tenant.visits and counter < tenant.counter:
                self._push(tenant)

    def head(self) -> Visit:
        """The next to be served; of its tenant those who were promised this time come first."""
        return self.next_tenant().visits[0]

    def take(self, visit: Visit) -> None:
        """Out of the line, to be served: its tenant pays for it."""
        tenant = self.tenants[visit.tenant]
        self._served_counter = max(self._served_counter, tenant.counter)
        visit.charged = True
        self._remove(tenant, visit)
        tenant.counter += cost_tokens(visit.input_tokens, visit.output_tokens)
        if tenant.visits:
            self._push(tenant)

    def drop(self, visit: Visit) -> None:
        """Out of the line, unserved."""
        self._remove(self.tenants[visit.tenant], visit)

    def correct(self, visit: Visit, output_tokens: int) -> None:
        """What a served call really wrote is known."""
        tenant = self.tenants.get(visit.tenant)
        if tenant is not None:
            taken = cost_tokens(visit.input_tokens, visit.output_tokens)
            tenant.counter += cost_tokens(visit.input_tokens, output_tokens) - taken
            if tenant.visits:
                self._push(tenant)

    def ahead_of(self, name: str) -> int:
        """How many will be served before one who comes now, if their lengths are alike: its own,
        and of others as many as their counters are behind."""
        own = self.tenants.get(name)
        if own is None:
            ahead, upto = 0, self._served_counter
        else:
            ahead = len(own.visits)
            upto = max(own.counter, self._served_counter) + own.work_tokens
        seen = others = 0
        for tenant in islice(self.waiting.values(), TENANTS_SEEN_MAX):
            seen += 1
            behind = upto - tenant.counter
            if tenant is not own and behind > 0:
                count = len(tenant.visits)
                others += min(count, 1 + behind * count // tenant.work_tokens)
        return ahead + others * len(self.waiting) // max(1, seen)

    def beside(self, refused: Callable[[str], bool]) -> Visit | None:
        """Of the tenants that are not ``refused``, the first call of the one with the lowest
        counter."""
        seen = islice(self.waiting.values(), TENANTS_SEEN_MAX)
        others = [tenant for tenant in seen if not refused(tenant.name)]
        return min(others, key=_counter).visits[0] if others else None

    def heaviest(self) -> Tenant:
        return max(islice(self.waiting.values(), TENANTS_SEEN_MAX), key=_work)

    def _push(self, tenant: Tenant) -> None:
        self._entries += 1
        heappush(self._order, (tenant.counter, self._entries, tenant))
        if len(self._order) > 4 * len(self.waiting) + 64:
            self._order = [
                (each.counter, number, each) for number, each in enumerate(self.waiting.values())
            ]
            self._order.sort()

    def _remove(self, tenant: Tenant, visit: Visit) -> None:
        if tenant.visits[0] is visit:
            tenant.visits.popleft()
        else:
            tenant.visits.remove(visit)
        tenant.promised -= visit.promised
        tenant.work_tokens -= cost_tokens(visit.input_tokens, visit.output_tokens)
        self.count -= 1
        if not tenant.visits:
            del self.waiting[tenant.name]

    def _forget(self) -> None:
        if len(self.tenants) >= TENANTS_KEPT_MAX:
            self.tenants = dict(self.waiting)


class Line:
    """All bands of one deployment."""

    def __init__(self) -> None:
        self._bands = tuple(Band() for _ in range(RANKS))
        self._earned_tokens = 0
        self.count = 0
        self.by_share = False

    def add(self, visit: Visit) -> None:
        visit.waits = True
        self._bands[visit.rank].add(visit)
        self.count += 1

    def head(self) -> Visit | None:
        """Who is next, ``None`` when nobody waits. ``by_share``: it comes before others because the
        last band gets its part."""
        first = last = None
        for band in self._bands:
            if band.count:
                first = first or band
                last = band
        if first is None or last is None:
            return None
        self.by_share = False
        if first is not last:
            last_head = last.head()
            cost = cost_tokens(last_head.input_tokens, last_head.output_tokens)
            self.by_share = self._earned_tokens >= cost * SHARE_DIVISOR
            if self.by_share:
                return last_head
        return first.head()

    def beside(self, rank: int, refused: Callable[[str], bool]) -> Visit | None:
        """Who is next in this band if some tenants are passed over."""
        return self._bands[rank].beside(refused)

    def take(self, visit: Visit) -> None:
        """It is served now."""
        visit.waits = False
        self.count -= 1
        cost = cost_tokens(visit.input_tokens, visit.output_tokens)
        self._bands[visit.rank].take(visit)
        if any(band.count for band in self._bands[: visit.rank]):
            self._earned_tokens -= cost * SHARE_DIVISOR
        elif any(band.count for band in self._bands[visit.rank + 1 :]):
            self._earned_tokens += cost
        elif not self.count:
            self._earned_tokens = 0

    def drop(self, visit: Visit) -> None:
        """It is not served, or not any more."""
        visit.waits = False
        self.count -= 1
        self._bands[visit.rank].drop(visit)

    def correct(self, visit: Visit, output_tokens: int) -> None:
        self._bands[visit.rank].correct(visit, output_tokens)

    def ahead_of(self, visit: Visit) -> int:
        """How many of those who wait will be served before this one."""
        rank = visit.rank
        above = sum(band.count for band in self._bands[:rank])
        return above + self._bands[rank].ahead_of(visit.tenant)

    def heaviest(self, rank: int) -> Visit | None:
        """Who goes first when it is too much: the last of the tenant with most work in the last
        band, none above ``rank``."""
        for band in reversed(self._bands[rank:]):
            if band.count:
                return band.heaviest().visits[-1]
        return None


def _counter(tenant: Tenant) -> int:
    return tenant.counter


def _work(tenant: Tenant) -> int:
    return tenant.work_tokens
