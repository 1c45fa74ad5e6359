"""What was found of the gateway beside nginx: its figures, its goals, and what is wrong. Pure."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from tokenbooth.proving.bench.books import Books
from tokenbooth.proving.bench.figures import quantile
from tokenbooth.proving.bench.gateway import rows
from tokenbooth.proving.bench.gateway.plan import (
    GatewayOptions,
    GatewaySaw,
    Load,
    MemorySeen,
    Side,
    WindowSeen,
)
from tokenbooth.proving.bench.gateway.rows import Goal, Row

KB, MB = 1024, 1024 * 1024
FIRST_MUST_US, FIRST_STRETCH_US = (600, 2500), (300, 1200)
# What each multiple of nginx must be at most, and what would be better.
BOUNDS = {
    "nginx_multiple_request": (3.0, 2.2),
    "nginx_multiple_request_all_processes": (4.0, 3.0),
    "nginx_multiple_chunk": (1.6, 1.1),
    "nginx_multiple_chunk_translated": (2.0, 1.3),
}
SYNCS_MUST, SYNCS_STRETCH = 2, 1.2
PERCENTS = (50, 99)
SIDES = (Side.NGINX, Side.BOOTH)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayFindings:
    """``calls`` is how many the booth answered or began; ``books`` is what its ledger has."""

    options: GatewayOptions
    saw: GatewaySaw
    books: Books
    calls: int

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the figures mean nothing; empty when every answer was good, and is booked."""
        bad = [
            f"{w.failed} answers of {w.side} failed at {w.load}: {w.failure}"
            for w in self.saw.windows
            if w.failed
        ]
        bad += [
            f"an idle stream of {seen.side} failed: {seen.failure}"
            for seen in self.saw.memory
            if seen.failure
        ]
        if self.books.calls != self.calls:
            bad.append(f"{self.calls} calls were made and {self.books.calls} are booked")
        if not self.books.sound:
            bad.append(f"the books are not sound: {asdict(self.books)}")
        return (*bad, *self.saw.workers_problems)

    @property
    def exact(self) -> bool:
        return not self.problems

    def windows(self, side: Side, load: Load) -> tuple[WindowSeen, ...]:
        return rows.of(self.saw.windows, side, load)

    def multiples(self) -> dict[str, Row]:
        """Of nginx in the same run. nginx knows no dialects: its chunks are the same for both."""
        whole = self._whole()
        return {
            "nginx_multiple_request": rows.multiple(*whole, rows.request_us),
            "nginx_multiple_request_all_processes": rows.multiple(*whole, rows.request_all_us),
            "nginx_multiple_chunk": self._chunk(translated=False),
            "nginx_multiple_chunk_translated": self._chunk(translated=True),
        }

    @property
    def regressions(self) -> tuple[str, ...]:
        """Multiples that count and are, even without their spread, over their bound by more than
        the gate allows; none where no gate was asked for."""
        percent = self.options.gate_percent
        if percent is None:
            return ()
        return tuple(
            f"{name} is {found.value}, more than {percent} % over {BOUNDS[name][0]}"
            for name, found in self.multiples().items()
            if found.counts
            and (found.value or 0) - found.spread > BOUNDS[name][0] * (100 + percent) / 100
        )

    def _whole(self) -> tuple[tuple[WindowSeen, ...], tuple[WindowSeen, ...]]:
        return self.windows(Side.BOOTH, Load.WHOLE), self.windows(Side.NGINX, Load.WHOLE)

    def _chunk(self, *, translated: bool) -> Row:
        ours = self.chunks(Side.BOOTH, translated=translated)
        return rows.multiple_of(ours, self.chunks(Side.NGINX, translated=False))

    def chunks(self, side: Side, *, translated: bool) -> tuple[rows.Cost, ...]:
        """What a chunk costs, round by round."""
        return rows.chunk_costs(self.saw.windows, side, self.options, translated=translated)

    def added_us(self, percent: int, *, first: bool) -> int | None:
        """At the fixed rate, over nginx; ``None`` when nothing was measured."""
        ours, theirs = (self.windows(side, Load.RATE) for side in (Side.BOOTH, Side.NGINX))
        if not ours or not theirs:
            return None
        sides = (rows.pooled_us(side, percent, first=first) for side in (ours, theirs))
        return next(sides) - next(sides)

    def sides(self) -> tuple[Side, ...]:
        """Whose calls were measured."""
        more = (Side.WORKERS,) if self.options.workers > 1 else ()
        peer = (Side.PEER,) if self.saw.peer else ()
        return (*SIDES, *more, *peer)

    def memory(self, side: Side) -> MemorySeen | None:
        return next((seen for seen in self.saw.memory if seen.side is side), None)

    def goals(self) -> tuple[Goal, ...]:
        """What the gateway shall reach."""
        return (
            *(
                Goal(
                    name=name,
                    value=found.value,
                    must=BOUNDS[name][0],
                    stretch=BOUNDS[name][1],
                    counts=found.counts,
                )
                for name, found in self.multiples().items()
            ),
            *self._latency_goals(),
            *self._memory_goals(),
            self._start_goal(),
            *self._workers_goals(),
            *self._peer_goals(),
        )

    def _start_goal(self) -> Goal:
        """Counts where the process was hardly ever without a core."""
        took_ms, waited_ms = (
            quantile(times, 50) for times in (self.saw.cold_start_ms, self.saw.cold_waited_ms)
        )
        return Goal(
            name="cold_start_ms",
            value=took_ms if self.saw.cold_start_ms else None,
            must=2000,
            stretch=1000,
            counts=waited_ms <= took_ms * rows.MISSING_MAX,
        )

    def _workers_goals(self) -> Iterator[Goal]:
        """What a call costs in several workers, of what it costs in one."""
        if self.options.workers > 1:
            theirs = self.windows(Side.WORKERS, Load.WHOLE)
            found = rows.multiple(theirs, self._whole()[0], rows.request_us)
            yield Goal(
                name="workers_multiple_request",
                value=found.value,
                must=1.2,
                stretch=1.05,
                counts=found.counts,
            )

    def _peer_goals(self) -> Iterator[Goal]:
        """How many times the CPU of a call the peer takes."""
        if self.saw.peer:
            theirs = self.windows(Side.PEER, Load.WHOLE)
            found = rows.multiple(theirs, self._whole()[0], rows.request_all_us)
            yield Goal(
                name="peer_multiple_request",
                value=found.value,
                must=150,
                stretch=300,
                counts=found.counts,
                higher=True,
            )

    def _latency_goals(self) -> Iterator[Goal]:
        for place, percent in enumerate(PERCENTS):
            counts = rows.in_time(self.windows(Side.NGINX, Load.RATE))
            must, stretch = FIRST_MUST_US[place], FIRST_STRETCH_US[place]
            sync = quantile(self.saw.sync_us, percent)
            yield Goal(
                name=f"added_first_p{percent}_us",
                value=self.added_us(percent, first=True),
                must=must,
                stretch=stretch,
                counts=counts,
            )
            yield Goal(
                name=f"added_end_p{percent}_us",
                value=self.added_us(percent, first=False),
                must=must + SYNCS_MUST * sync,
                stretch=round(stretch + SYNCS_STRETCH * sync),
                counts=counts,
            )

    def _memory_goals(self) -> Iterator[Goal]:
        seen = self.memory(Side.BOOTH)
        held = seen is not None and seen.held == self.options.idle_streams
        stream_kb = round(seen.stream_bytes / KB, 1) if seen is not None and held else None
        idle_mb = None if seen is None else round(seen.idle_rss / MB, 1)
        yield Goal(name="stream_kb", value=stream_kb, must=12, stretch=6)
        yield Goal(name="idle_rss_mb", value=idle_mb, must=70, stretch=50)
