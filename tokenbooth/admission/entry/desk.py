"""The decision: who starts, who waits and who is sent away, on a clock that is handed in.

The same class stands before the engines of a server and before those of the simulator.
"""

from typing import Protocol

from tokenbooth.admission.entry.line import Line
from tokenbooth.admission.entry.pacer import Pacer
from tokenbooth.admission.entry.promises import Promises
from tokenbooth.admission.entry.rules import (
    FIRST_SERVICE_US,
    retry_after_s,
    smoothed,
)
from tokenbooth.admission.entry.shares import Shares
from tokenbooth.admission.entry.spare import Spare
from tokenbooth.admission.entry.values import (
    NEVER_US,
    SPARE_RANK,
    Limits,
    Reason,
    Refusal,
    Visit,
)

_SERVICE_WEIGHT = 16
_GAP_WEIGHT = 32
_GAPS_KNOWN = 16


class Listener(Protocol):
    """Hears what becomes of those who wait."""

    def entered(self, visit: Visit) -> None: ...

    def refused(self, visit: Visit, refusal: Refusal) -> None: ...


class Desk:
    """Of one deployment. A call is asked for once, and leaves once if it came in."""

    def __init__(self, limits: Limits, listener: Listener) -> None:
        self._limits = limits
        self._listener = listener
        self._pacer = None if limits.pace is None else Pacer(limits.pace)
        self._line = Line()
        self._promises = Promises()
        self._shares = Shares()
        self._inside: dict[Visit, None] = {}
        self._mean_us = FIRST_SERVICE_US
        self._gap_us = 0
        self._gaps = 0
        self._handed_us = 0
        self._low, self._over = Spare(), Spare()
        self._asking: Visit | None = None

    @property
    def inside(self) -> int:
        return len(self._inside)

    @property
    def waiting(self) -> int:
        return self._line.count

    @property
    def limit(self) -> int:
        """Calls that may be inside now."""
        most = self._limits.concurrency_max
        return most if self._pacer is None else min(most, self._pacer.limit)

    def limited(self, limits: Limits, now_us: int) -> None:
        """New limits for those who come; nobody inside or waiting is sent away."""
        if limits == self._limits:
            return
        self._limits = limits
        if limits.pace is None:
            self._pacer = None
        elif self._pacer is None:
            self._pacer = Pacer(limits.pace)
        else:
            self._pacer.bounded(limits.pace)
        self._hand_out(now_us)

    def pressed(self) -> None:
        """The engine behind is short of cache."""
        if self._pacer is not None:
            self._pacer.pressed()

    def ask(self, visit: Visit, now_us: int) -> Refusal | None:
        """``None`` when the call is inside, or waits (``visit.waits``). The listener hears of it
        only later."""
        visit.arrived_us = now_us
        if not self._line.count and self._fits(visit, by_share=False):
            self._enter(visit, now_us)
            if visit.spare is None:
                self._low.got_in()
                self._over.got_in()
            return None
        return self._ask_to_wait(visit, now_us)

    def first(self, visit: Visit, now_us: int) -> None:
        """Its first token is out."""
        if visit not in self._inside:
            return
        visit.first_us = now_us
        if self._pacer is not None and visit.reading_tokens:
            self._pacer.first(visit, now_us)
            if self._line.count:
                self._hand_out(now_us)

    def leave(self, visit: Visit, now_us: int) -> None:
        """It is over; its place goes to the next."""
        if visit not in self._inside:
            return
        del self._inside[visit]
        if visit.spare is not self._low:
            self._shares.left(visit.tenant)
        if visit.spare is not None:
            visit.spare.inside -= 1
        self._mean_us = smoothed(self._mean_us, now_us - visit.entered_us, _SERVICE_WEIGHT)
        if visit.charged:
            self._line.correct(visit, visit.progress())
        if self._pacer is not None:
            self._pacer.left(visit, now_us)
            if now_us >= self._pacer.sample_due_us:
                self._pacer.sample(self._inside, now_us)
        if self._line.count:
            self._hand_out(now_us)

    def give_up(self, visit: Visit, now_us: int) -> Refusal | None:
        """Somebody stops waiting; what it is told if its time is over."""
        if not visit.waits:
            return None
        self._line.drop(visit)
        return self._refusal(visit, Reason.OUTWAITED, now_us)

    def start_by_us(self, visit: Visit) -> int:
        """The last moment at which it makes sense to start this one."""
        latest_us = visit.arrived_us + visit.wait_max_us
        if self._pacer is None:
            return latest_us
        first_us = self._pacer.first_after_us(visit)
        return min(latest_us, visit.arrived_us + self._pacer.pace.ttft_us - first_us)

    def _ask_to_wait(self, visit: Visit, now_us: int) -> Refusal | None:
        if visit.wait_max_us <= 0:
            return self._refusal(visit, Reason.BUSY, now_us)
        visit.promised = self._promises.take(visit.tenant, now_us)
        if not visit.promised and self._comes_too_late(visit):
            return self._refusal(visit, Reason.TOO_LATE, now_us)
        if self._line.count >= self._limits.queue_max:
            heaviest = self._line.heaviest(visit.rank)
            if heaviest is None or heaviest.tenant == visit.tenant:
                return self._refusal(visit, Reason.FULL, now_us)
            self._send_away(heaviest, Reason.FULL, now_us)
        self._line.add(visit)
        self._asking = visit
        self._hand_out(now_us)
        self._asking = None
        if visit.spare is None:
            for spare in (self._low, self._over):
                (spare.has_to_wait if visit.entered_us == NEVER_US else spare.got_in)()
        return visit.refusal

    def _comes_too_late(self, visit: Visit) -> bool:
        """By those before it alone: the prompts that are read now will be read by then."""
        wait_us = self._line.ahead_of(visit) * self._turnover_us(visit)
        if self._pacer is None:
            return wait_us > visit.wait_max_us
        wait_us += self._pacer.alone_us(visit)
        return wait_us > min(visit.wait_max_us, self._pacer.pace.ttft_us)

    def _hand_out(self, now_us: int) -> None:
        """Places that are free go to those who wait, while what they were promised can be kept."""
        if self._pacer is not None and now_us >= self._pacer.sample_due_us:
            self._pacer.sample(self._inside, now_us)
        while (visit := self._line.head()) is not None:
            if now_us > self.start_by_us(visit):
                self._send_away(visit, Reason.TOO_LATE, now_us)
                continue
            if not self._fits(visit, by_share=self._line.by_share):
                return
            self._line.take(visit)
            self._measure_gap(now_us)
            self._enter(visit, now_us)
            if visit is not self._asking:
                self._listener.entered(visit)
        self._handed_us = 0

    def _measure_gap(self, now_us: int) -> None:
        if self._handed_us:
            gap_us = now_us - self._handed_us
            self._gaps += 1
            self._gap_us = smoothed(self._gap_us, gap_us, min(self._gaps, _GAP_WEIGHT))
        self._handed_us = now_us

    def _send_away(self, visit: Visit, reason: Reason, now_us: int) -> None:
        self._line.drop(visit)
        visit.refusal = self._refusal(visit, reason, now_us)
        if visit is not self._asking:
            self._listener.refused(visit, visit.refusal)

    def _fits(self, visit: Visit, *, by_share: bool) -> bool:
        limit, inside, pacer = self.limit, len(self._inside), self._pacer
        visit.spare = spare = None if by_share else self._spare(visit, limit)
        if inside >= (limit if spare is None else spare.places(limit)):
            if pacer is not None:
                pacer.full = True
            return False
        return pacer is None or pacer.takes(visit, spare=spare is self._low)

    def _spare(self, visit: Visit, limit: int) -> Spare | None:
        """Of which kind it is, if it gets only what others leave free."""
        if visit.rank >= SPARE_RANK or visit.rank & 1:
            return self._low
        heavy = self._promises.owed(visit.tenant) > limit
        return self._over if self._shares.over(visit.tenant, limit, heavy=heavy) else None

    def _enter(self, visit: Visit, now_us: int) -> None:
        visit.entered_us = now_us
        self._inside[visit] = None
        if visit.spare is not None:
            visit.spare.inside += 1
        if visit.spare is not self._low:
            self._shares.entered(visit.tenant, now_us)
        if self._pacer is not None:
            self._pacer.entered(visit)

    def _gap(self) -> int:
        """Mean time between two places that come free, while somebody waits."""
        if self._gaps >= _GAPS_KNOWN:
            return self._gap_us
        return self._mean_us // max(1, self.limit)

    def _turnover_us(self, visit: Visit) -> int:
        """Mean time between two places that come free for this one: those who run on what others
        leave free do not stand before the others, and wait longer."""
        if visit.spare is not None:
            return self._gap()
        return self._mean_us // max(1, len(self._inside))

    def _foreseen_us(self, visit: Visit) -> int:
        return (self._line.ahead_of(visit) + 1) * self._gap()

    def _refusal(self, visit: Visit, reason: Reason, now_us: int) -> Refusal:
        gap_us = self._gap() * self._shares.active
        wait_us = self._promises.give(visit.tenant, now_us, self._foreseen_us(visit), gap_us * 5 // 4)
        return Refusal(reason, retry_after_s(wait_us))
