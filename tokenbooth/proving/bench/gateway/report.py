"""The figures of the gateway beside nginx, as JSON, as lines, and as a chart. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from tokenbooth.proving.bench.books import Books
from tokenbooth.proving.bench.chart import Bar, Chart
from tokenbooth.proving.bench.figures import US_PER_MS, quantile
from tokenbooth.proving.bench.gateway import rows
from tokenbooth.proving.bench.gateway.plan import (
    GatewayOptions,
    GatewaySaw,
    Load,
    MachineSeen,
    MemorySeen,
    Side,
    WindowSeen,
)
from tokenbooth.proving.bench.gateway.rows import Goal, Row, row

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


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayReport:
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
        return tuple(bad)

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
        ours = self._chunks(Side.BOOTH, translated=translated)
        return rows.multiple_of(ours, self._chunks(Side.NGINX, translated=False))

    def _chunks(self, side: Side, *, translated: bool) -> tuple[rows.Cost, ...]:
        return rows.chunk_costs(self.saw.windows, side, self.options, translated=translated)

    def added_us(self, percent: int, *, first: bool) -> int | None:
        """At the fixed rate, over nginx; ``None`` when nothing was measured."""
        ours, theirs = (self.windows(side, Load.RATE) for side in (Side.BOOTH, Side.NGINX))
        if not ours or not theirs:
            return None
        sides = (rows.pooled_us(side, percent, first=first) for side in (ours, theirs))
        return next(sides) - next(sides)

    def _sides(self) -> tuple[Side, ...]:
        return (*_SIDES, Side.PEER) if self.saw.peer else _SIDES

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
            Goal(
                name="cold_start_ms",
                value=quantile(self.saw.cold_start_ms, 50) if self.saw.cold_start_ms else None,
                must=2000,
                stretch=1000,
            ),
            *self._peer_goals(),
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

    def document(self) -> dict[str, object]:
        """JSON-ready."""
        options = self.options
        return {
            "object": "bench",
            "bench": "gateway",
            "exact": self.exact,
            "problems": list(self.problems),
            **{goal.name: goal.value for goal in self.goals()},
            "goals": [goal.document() for goal in self.goals()],
            "regressions": list(self.regressions),
            "multiples": {name: found.document() for name, found in self.multiples().items()},
            "rows": {
                "request": {side.value: self._request_row(side) for side in self._sides()},
                "chunk": {
                    "nginx": self._chunk_row(Side.NGINX, translated=False),
                    "tokenbooth": self._chunk_row(Side.BOOTH, translated=False),
                    "tokenbooth_translated": self._chunk_row(Side.BOOTH, translated=True),
                },
                "rate": {side.value: self._rate_row(side) for side in _SIDES},
            },
            "fdatasync_us": {
                "p50": quantile(self.saw.sync_us, 50),
                "p99": quantile(self.saw.sync_us, 99),
                "count": len(self.saw.sync_us),
            },
            "memory": {
                seen.side.value: {**asdict(seen), "stream_bytes": seen.stream_bytes}
                for seen in self.saw.memory
            },
            "cold_starts_ms": list(self.saw.cold_start_ms),
            "peer": dict(self.saw.peer),
            "machine": asdict(self.saw.machine),
            "options": {n: str(v) if n == "peer_python" else v for n, v in asdict(options).items()},
            "books": asdict(self.books),
            "windows": [_window_document(window) for window in self.saw.windows],
        }

    def _request_row(self, side: Side) -> dict[str, object]:
        windows = self.windows(side, Load.WHOLE)
        flags = [rows.counts(window) for window in windows]
        return {
            "cpu_us": row([rows.request_us(w) for w in windows], flags).document(),
            "all_processes_cpu_us": row(
                [rows.request_all_us(w) for w in windows], flags
            ).document(),
            "calls_per_s": row([rows.per_s(w) for w in windows], flags, 0).document(),
            "core_busy": row([rows.busy(w) for w in windows], flags).value,
            "p50_us": rows.pooled_us(windows, 50, first=False),
            "p99_us": rows.pooled_us(windows, 99, first=False),
        }

    def _chunk_row(self, side: Side, *, translated: bool) -> dict[str, object]:
        long = self.windows(side, rows.STREAMS[translated][1])
        reads = sum(window.reads for window in long)
        return {
            "cpu_us": rows.cost_row(self._chunks(side, translated=translated)).document(),
            "chunks_per_s": row([rows.chunks_per_s(w) for w in long], digits=0).document(),
            "core_busy": row([rows.busy(w) for w in long]).value,
            "chunks_per_read": round(sum(w.chunks for w in long) / reads, 2) if reads else None,
        }

    def _rate_row(self, side: Side) -> dict[str, object]:
        windows = self.windows(side, Load.RATE)
        return {
            "cpu_us": row([rows.request_us(w) for w in windows]).document(),
            "answers": sum(window.answers for window in windows),
            **{
                f"{name}_p{percent}_us": rows.pooled_us(windows, percent, first=first)
                for name, first in (("first", True), ("end", False))
                for percent in PERCENTS
            },
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        machine, options = self.saw.machine, self.options
        yield f"{machine.cpu}, {machine.cores} cores; Python {machine.python}, {_nginx(machine)}"
        yield f"load of the machine before {machine.load_before}, after {machine.load_after}"
        yield f"{options.calls_at_once} whole calls at once, about 1 KB, CPU for each call"
        for side in self._sides():
            yield _request_line(side.value, self.windows(side, Load.WHOLE))
        yield (
            f"{options.streams_at_once} streams at once, a chunk every {options.pause_ms} ms: what"
            f" {options.long_steps} chunks cost over {options.short_steps}"
        )
        for name, side, translated in _CHUNKS:
            cost = rows.cost_row(self._chunks(side, translated=translated))
            yield (
                f"  {name:22} {_number(cost.value)} us a chunk (spread {cost.spread}),"
                f" {cost.counted} of {cost.windows} rounds count"
            )
        yield f"{options.calls_per_s} streams a second, first text and end, p50 / p99"
        for side in _SIDES:
            yield _rate_line(side.value, self.windows(side, Load.RATE))
        sync = " / ".join(f"{quantile(self.saw.sync_us, p) / US_PER_MS:.2f}" for p in PERCENTS)
        yield f"fdatasync {sync} ms; of {len(self.saw.sync_us)}"
        for seen in self.saw.memory:
            yield (
                f"{seen.side.value}: {seen.idle_rss / MB:.1f} MB idle (PSS"
                f" {seen.idle_pss / MB:.1f}), {seen.stream_bytes / KB:.1f} KB for each of"
                f" {seen.held} idle streams"
            )
        yield f"{'goal':38} {'value':>9} {'must':>8} {'stretch':>8}"
        for goal in self.goals():
            bounds = f"{goal.must:>8g} {goal.stretch:>8g}"
            yield f"{goal.name:38} {_number(goal.value)} {bounds}  {goal.verdict.value}"
        yield from (*self.problems, *self.regressions)
        yield (
            f"{self.books.calls} calls booked, "
            + ("every one to the nano" if self.exact else "NOT EXACT")
        )

    def chart(self) -> Chart:
        """CPU of a call and of a chunk."""
        nginx, ours = self._request_us(Side.NGINX), self._request_us(Side.BOOTH)
        bars = [
            Bar("call, nginx", round(nginx[0]), plain=True),
            Bar("call, tokenbooth", round(ours[0])),
            Bar("call, with its other processes", round(ours[1])),
        ]
        for name, side, translated in _CHUNKS:
            cost = rows.cost_row(self._chunks(side, translated=translated)).value or 0.0
            bars.append(Bar(f"chunk, {name}", round(cost), plain=side is Side.NGINX))
        machine = self.saw.machine
        return Chart(
            title="CPU for each call and each chunk, beside nginx",
            unit="µs",
            bars=bars,
            note=(
                f"{machine.cpu} · Python {machine.python} · {_nginx(machine)} · load"
                f" {machine.load_before}; {self.options.calls_at_once} calls,"
                f" {self.options.streams_at_once} streams at once"
            ),
        )

    def _request_us(self, side: Side) -> tuple[float, float]:
        windows = self.windows(side, Load.WHOLE)
        flags = [rows.counts(window) for window in windows]
        figures = (rows.request_us, rows.request_all_us)
        found = [row([figure(w) for w in windows], flags).value or 0.0 for figure in figures]
        return found[0], found[1]


_SIDES = (Side.NGINX, Side.BOOTH)
_CHUNKS = (
    ("nginx", Side.NGINX, False),
    ("tokenbooth", Side.BOOTH, False),
    ("tokenbooth, translated", Side.BOOTH, True),
)


def _nginx(machine: MachineSeen) -> str:
    return f"nginx {machine.versions.get('nginx')}"


def _number(value: float | None) -> str:
    return f"{'-' if value is None else format(value, '.2f'):>9}"


def _request_line(name: str, windows: tuple[WindowSeen, ...]) -> str:
    flags = [rows.counts(window) for window in windows]
    cpu = row([rows.request_us(w) for w in windows], flags)
    every = row([rows.request_all_us(w) for w in windows], flags)
    pace = row([rows.per_s(w) for w in windows], flags, 0)
    full = row([rows.busy(w) for w in windows], flags)
    return (
        f"  {name:22} {_number(cpu.value)} us (spread {cpu.spread}), with other processes"
        f" {_number(every.value)} us, {pace.value or 0:,.0f} a second; core {full.value or 0:.0%}"
        f" busy, {cpu.counted} of {cpu.windows} windows count"
    )


def _rate_line(name: str, windows: tuple[WindowSeen, ...]) -> str:
    first, end = (
        " / ".join(
            f"{rows.pooled_us(windows, percent, first=first) / US_PER_MS:.2f}"
            for percent in PERCENTS
        )
        for first in (True, False)
    )
    return f"  {name:22} first {first} ms, end {end} ms"


def _window_document(window: WindowSeen) -> Mapping[str, object]:
    return {
        "side": window.side.value,
        "load": window.load.value,
        "wall_ns": window.wall_ns,
        "answers": window.answers,
        "failed": window.failed,
        "chunks": window.chunks,
        "reads": window.reads,
        "ran_ns": window.ran_ns,
        "waited_ns": window.waited_ns,
        "others_ns": window.others_ns,
        "core_busy": round(rows.busy(window), 3),
        "first_us": [quantile(window.first_us, percent) for percent in PERCENTS],
        "end_us": [quantile(window.whole_us, percent) for percent in PERCENTS],
    }
