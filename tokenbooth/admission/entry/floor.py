"""Who is inside, and who would fit in beside them."""

from tokenbooth.admission.entry.pacer import Pacer
from tokenbooth.admission.entry.rules import FIRST_SERVICE_US, smoothed
from tokenbooth.admission.entry.shares import Shares
from tokenbooth.admission.entry.spare import Spare
from tokenbooth.admission.entry.values import NEVER_US, SPARE_RANK, Limits, Visit

_SERVICE_WEIGHT = 16


class Floor:
    """The places of one deployment. ``mean_us`` is how long a call keeps one; ``served`` says
    that this was seen, and is no first guess."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.pacer = None if limits.pace is None else Pacer(limits.pace)
        self.shares = Shares()
        self.mean_us = FIRST_SERVICE_US
        self.served = False
        self._inside: dict[Visit, None] = {}
        self._low, self._over = Spare(), Spare()

    def __len__(self) -> int:
        return len(self._inside)

    def __contains__(self, visit: Visit) -> bool:
        return visit in self._inside

    @property
    def limit(self) -> int:
        """Calls that may be inside now."""
        most = self.limits.concurrency_max
        return most if self.pacer is None else min(most, self.pacer.limit)

    def limited(self, limits: Limits) -> None:
        self.limits = limits
        if limits.pace is None:
            self.pacer = None
        elif self.pacer is None:
            self.pacer = Pacer(limits.pace)
            self.pacer.found(self._inside)
        else:
            self.pacer.bounded(limits.pace)

    def fits(self, visit: Visit, *, by_share: bool, heavy: bool) -> bool:
        """Notes in ``visit.spare`` whether it gets only what others leave free. ``by_share``: it
        need not; ``heavy``: its tenant was sent away often."""
        limit, inside, pacer = self.limit, len(self._inside), self.pacer
        spare: Spare | None = None
        if not by_share:
            if visit.rank >= SPARE_RANK or visit.rank & 1:
                spare = self._low
            elif self.shares.over(visit.tenant, limit, heavy=heavy):
                spare = self._over
        visit.spare = spare
        if inside >= (limit if spare is None else spare.places(limit)):
            if pacer is not None:
                pacer.full = True
            return False
        return pacer is None or pacer.takes(visit, spare=spare is self._low)

    def keeps_back(self, visit: Visit) -> bool:
        """Whether there are places, though none for a tenant that is past its part."""
        return visit.spare is self._over and len(self._inside) < self.limit

    def enter(self, visit: Visit, now_us: int) -> None:
        visit.entered_us = now_us
        self._inside[visit] = None
        if visit.spare is not None:
            visit.spare.inside += 1
        if visit.spare is not self._low:
            self.shares.entered(visit.tenant, now_us)
        if self.pacer is not None:
            self.pacer.entered(visit)

    def leave(self, visit: Visit, now_us: int) -> None:
        del self._inside[visit]
        if visit.spare is not self._low:
            self.shares.left(visit.tenant)
        if visit.spare is not None:
            visit.spare.inside -= 1
        self.served = True
        self.mean_us = smoothed(self.mean_us, now_us - visit.entered_us, _SERVICE_WEIGHT)
        if self.pacer is not None:
            self.pacer.left(visit, now_us)

    def arrived(self, visit: Visit) -> None:
        """It came in at once, or has to wait; those on spare places hear of it."""
        if visit.spare is None:
            for spare in (self._low, self._over):
                (spare.has_to_wait if visit.entered_us == NEVER_US else spare.got_in)()

    def sample(self, now_us: int) -> None:
        """Look at the calls inside now and then."""
        if self.pacer is not None and now_us >= self.pacer.sample_due_us:
            self.pacer.sample(self._inside, now_us)
