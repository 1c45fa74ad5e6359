"""The figures of the gateway beside nginx, as JSON, as lines, and as a chart. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from tokenbooth.proving.bench.chart import Bar, Chart
from tokenbooth.proving.bench.figures import US_PER_MS, quantile
from tokenbooth.proving.bench.gateway import rows
from tokenbooth.proving.bench.gateway.findings import KB, MB, PERCENTS, SIDES, GatewayFindings
from tokenbooth.proving.bench.gateway.plan import Load, MachineSeen, Side, WindowSeen
from tokenbooth.proving.bench.gateway.rows import row


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayReport(GatewayFindings):
    """How the findings are told."""

    def document(self) -> dict[str, object]:
        """JSON-ready."""
        options = self.options
        return {
            "object": "bench",
            "bench": "gateway",
            "exact": self.exact,
            "problems": list(self.problems),
            "log_tail": "" if self.exact else self.saw.log_tail,
            **{goal.name: goal.value for goal in self.goals()},
            "goals": [goal.document() for goal in self.goals()],
            "regressions": list(self.regressions),
            "multiples": {name: found.document() for name, found in self.multiples().items()},
            "rows": {
                "request": {side.value: self._request_row(side) for side in self.sides()},
                "chunk": {
                    "nginx": self._chunk_row(Side.NGINX, translated=False),
                    "tokenbooth": self._chunk_row(Side.BOOTH, translated=False),
                    "tokenbooth_translated": self._chunk_row(Side.BOOTH, translated=True),
                },
                "rate": {side.value: self._rate_row(side) for side in SIDES},
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
            "cold_starts_waited_ms": list(self.saw.cold_waited_ms),
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
            "core_missing": row([rows.waiting(w) for w in windows], flags).value,
            "p50_us": rows.pooled_us(windows, 50, first=False),
            "p99_us": rows.pooled_us(windows, 99, first=False),
        }

    def _chunk_row(self, side: Side, *, translated: bool) -> dict[str, object]:
        long = self.windows(side, rows.STREAMS[translated][1])
        reads = sum(window.reads for window in long)
        return {
            "cpu_us": rows.cost_row(self.chunks(side, translated=translated)).document(),
            "chunks_per_s": row([rows.chunks_per_s(w) for w in long], digits=0).document(),
            "core_busy": row([rows.busy(w) for w in long]).value,
            "core_missing": row([rows.waiting(w) for w in long]).value,
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
        for side in self.sides():
            yield _request_line(side.value, self.windows(side, Load.WHOLE))
        yield (
            f"{options.streams_at_once} streams at once, a chunk every {options.pause_ms} ms: what"
            f" {options.long_steps} chunks cost over {options.short_steps}"
        )
        for name, side, translated in _CHUNKS:
            cost = rows.cost_row(self.chunks(side, translated=translated))
            yield (
                f"  {name:22} {_number(cost.value)} us a chunk (spread {cost.spread}),"
                f" {cost.counted} of {cost.windows} rounds count"
            )
        yield f"{options.calls_per_s} streams a second, first text and end, p50 / p99"
        for side in SIDES:
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
        if not self.exact:
            yield f"The booth said last: {self.saw.log_tail}"
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
            cost = rows.cost_row(self.chunks(side, translated=translated)).value or 0.0
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
    missing = row([rows.waiting(w) for w in windows], flags)
    return (
        f"  {name:22} {_number(cpu.value)} us (spread {cpu.spread}), with other processes"
        f" {_number(every.value)} us, {pace.value or 0:,.0f} a second; core {full.value or 0:.0%}"
        f" busy, missing {missing.value or 0:.0%}, {cpu.counted} of {cpu.windows} windows count"
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
