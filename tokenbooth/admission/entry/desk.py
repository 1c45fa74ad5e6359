"""The decision: who starts, who waits and who is sent away, on a clock that is handed in.

The same class stands before the engines of a server and before those of the simulator.
"""

from typing import Protocol

from tokenbooth.admission.entry.floor import Floor
from tokenbooth.admission.entry.line import Line
from tokenbooth.admission.entry.promises import Promises
from tokenbooth.admission.entry.rules import retry_after_s, smoothed
from tokenbooth.admission.entry.values import (
    TURN_US,
    Limits,
    Reason,
    Refusal,
    Refusals,
    Visit,
)

_GAP_WEIGHT = 32
_GAPS_KNOWN = 16
_MILLI = 1_000


class Listener(Protocol):
    """Hears what becomes of those who wait."""

    def entered(self, visit: Visit) -> None: ...

    def refused(self, visit: Visit, refusal: Refusal) -> None: ...


class Desk:
    """Of one deployment. A call is asked for once, and leaves once if it came in."""

    def __init__(self, limits: Limits, listener: Listener) -> None:
        self._listener = listener
        self._floor = Floor(limits)
        self._line = Line()
        self._promises = Promises()
        self._refusals = Refusals()
        self._gap_us = 0
        self._gaps = 0
        self._handed_us = 0
        self._asking: Visit | None = None

    @property
    def inside(self) -> int:
        return len(self._floor)

    @property
    def waiting(self) -> int:
        return self._line.count

    @property
    def limit(self) -> int:
        """Calls that may be inside now."""
        return self._floor.limit

    def demand_milli(self, now_us: int) -> int:
        """How many calls want to be inside, in thousandths of how many may: those who are, who
        wait, and who would be if nobody had been refused. More than 1,000 asks for more servers."""
        refused = self._refusals.in_turn(now_us) * self._floor.mean_us // TURN_US
        return (self.inside + self._line.count + refused) * _MILLI // max(1, self.limit)

    def limited(self, limits: Limits, now_us: int) -> None:
        """New limits for those who come; nobody inside or waiting is sent away."""
        if limits != self._floor.limits:
            self._floor.limited(limits)
            self._hand_out(now_us)

    def pressed(self) -> None:
        """The engine behind is short of cache."""
        if self._floor.pacer is not None:
            self._floor.pacer.pressed()

    def ask(self, visit: Visit, now_us: int) -> Refusal | None:
        """``None`` when the call is inside, or waits (``visit.waits``). The listener hears of it
        only later."""
        visit.arrived_us = now_us
        if not self._line.count and self._fits(visit):
            self._floor.enter(visit, now_us)
            self._floor.arrived(visit)
            return None
        return self._ask_to_wait(visit, now_us)

    def first(self, visit: Visit, now_us: int) -> None:
        """Its first token is out."""
        if visit not in self._floor:
            return
        visit.first_us = now_us
        if self._floor.pacer is not None and visit.reading_tokens:
            self._floor.pacer.first(visit, now_us)
            if self._line.count:
                self._hand_out(now_us)

    def leave(self, visit: Visit, now_us: int) -> None:
        """It is over; its place goes to the next."""
        if visit not in self._floor:
            return
        self._floor.leave(visit, now_us)
        if visit.charged:
            self._line.correct(visit, visit.progress())
        self._floor.sample(now_us)
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
        latest_us, pacer = visit.arrived_us + visit.wait_max_us, self._floor.pacer
        if pacer is None:
            return latest_us
        first_us = pacer.first_after_us(visit)
        return min(latest_us, visit.arrived_us + pacer.pace.ttft_us - first_us)

    def _ask_to_wait(self, visit: Visit, now_us: int) -> Refusal | None:
        if visit.wait_max_us <= 0:
            return self._refusal(visit, Reason.BUSY, now_us)
        visit.promised = self._promises.take(visit.tenant, now_us)
        if not visit.promised and self._comes_too_late(visit):
            return self._refusal(visit, Reason.TOO_LATE, now_us)
        if self._line.count >= self._floor.limits.queue_max:
            heaviest = self._line.heaviest(visit.rank)
            if heaviest is None or heaviest.tenant == visit.tenant:
                return self._refusal(visit, Reason.FULL, now_us)
            self._send_away(heaviest, Reason.FULL, now_us)
        self._line.add(visit)
        self._asking = visit
        self._hand_out(now_us)
        self._asking = None
        self._floor.arrived(visit)
        return visit.refusal

    def _comes_too_late(self, visit: Visit) -> bool:
        """By those before it alone: the prompts that are read now will be read by then."""
        if not self._floor.served:
            return False
        wait_us, pacer = self._line.ahead_of(visit) * self._turnover_us(visit), self._floor.pacer
        if pacer is None:
            return wait_us > visit.wait_max_us
        return wait_us + pacer.alone_us(visit) > min(visit.wait_max_us, pacer.pace.ttft_us)

    def _hand_out(self, now_us: int) -> None:
        """Places that are free go to those who wait, while what they were promised can be kept."""
        self._floor.sample(now_us)
        while (visit := self._line.head()) is not None:
            if now_us > self.start_by_us(visit):
                self._send_away(visit, Reason.TOO_LATE, now_us)
                continue
            if not self._fits(visit, by_share=self._line.by_share):
                beside = self._beside(visit)
                if beside is None:
                    return
                visit = beside
            self._line.take(visit)
            self._measure_gap(now_us)
            self._floor.enter(visit, now_us)
            if visit is not self._asking:
                self._listener.entered(visit)
        self._handed_us = 0

    def _fits(self, visit: Visit, *, by_share: bool = False) -> bool:
        return self._floor.fits(visit, by_share=by_share, heavy=self._heavy(visit.tenant))

    def _heavy(self, tenant: str) -> bool:
        return self._promises.owed(tenant) > self.limit

    def _beside(self, blocked: Visit) -> Visit | None:
        """Who may come in although a tenant past its part, which may not, would be next."""
        if not self._floor.keeps_back(blocked):
            return None
        limit, over = self.limit, self._floor.shares.over
        visit = self._line.beside(
            blocked.rank, lambda tenant: over(tenant, limit, heavy=self._heavy(tenant))
        )
        return visit if visit is not None and self._fits(visit) else None

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

    def _gap(self) -> int:
        """Mean time between two places that come free, while somebody waits."""
        if self._gaps >= _GAPS_KNOWN:
            return self._gap_us
        return self._floor.mean_us // max(1, self.limit)

    def _turnover_us(self, visit: Visit) -> int:
        """The same for this one: those who run on what others leave free do not stand before the
        others, and wait longer."""
        if visit.spare is not None:
            return self._gap()
        return self._floor.mean_us // max(1, self.inside)

    def _refusal(self, visit: Visit, reason: Reason, now_us: int) -> Refusal:
        self._refusals.add(now_us)
        # Half as far apart again as places come free, because new callers come between.
        apart_us = self._gap() * self._floor.shares.active * 3 // 2
        foreseen_us = (self._line.ahead_of(visit) + 1) * self._gap()
        wait_us = self._promises.give(visit.tenant, now_us, foreseen_us, apart_us)
        return Refusal(reason, retry_after_s(wait_us))
