"""Rows of figures from windows, and what a goal makes of a figure. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from tokenbooth.proving.bench.figures import NS_PER_US, quantile
from tokenbooth.proving.bench.gateway.plan import (
    NS_PER_MS,
    GatewayOptions,
    Load,
    Side,
    WindowSeen,
)

BUSY_MIN = 0.9
PACE_MIN = 0.9
# The part of a start in which the process may have had no core.
MISSING_MAX = 0.2
# Where the bare proxy itself was so late, the machine was.
LATE_US = 5000
NS_PER_S = 1_000_000_000
STREAMS = {False: (Load.SHORT, Load.LONG), True: (Load.SHORT_TRANSLATED, Load.LONG_TRANSLATED)}

Figure = Callable[[WindowSeen], float]


def busy(window: WindowSeen) -> float:
    """The part of its core that the gateway used, with the processes beside it."""
    return (window.ran_ns + window.others_ns) / window.wall_ns if window.wall_ns else 0.0


def waiting(window: WindowSeen) -> float:
    """The part of the time that the gateway could have run and others had the core."""
    return window.waited_ns / window.wall_ns if window.wall_ns else 0.0


def counts(window: WindowSeen) -> bool:
    """In a closed loop: the core was full, so nothing but the gateway decided the figure."""
    return busy(window) >= BUSY_MIN


def request_us(window: WindowSeen) -> float:
    """CPU of one answer in the process that answers."""
    return window.ran_ns / NS_PER_US / window.answers if window.answers else 0.0


def request_all_us(window: WindowSeen) -> float:
    """The same in every process of the side; what the others do later counts too."""
    others = window.others_all_ns / NS_PER_US / window.answers_all if window.answers_all else 0.0
    return request_us(window) + others


def per_s(window: WindowSeen) -> float:
    return window.answers * NS_PER_S / window.wall_ns if window.wall_ns else 0.0


def chunks_per_s(window: WindowSeen) -> float:
    return window.chunks * NS_PER_S / window.wall_ns if window.wall_ns else 0.0


def stream_us(window: WindowSeen, steps: int) -> float:
    """CPU of a whole stream, by the chunks that passed in the window."""
    return window.ran_ns / NS_PER_US * steps / window.chunks if window.chunks else 0.0


def chunk_us(short: WindowSeen, long: WindowSeen, options: GatewayOptions) -> float:
    """CPU of one more chunk: what a long stream costs over a short one, for each chunk more."""
    more = options.long_steps - options.short_steps
    costs = stream_us(long, options.long_steps), stream_us(short, options.short_steps)
    return (costs[0] - costs[1]) / more


def on_pace(window: WindowSeen, options: GatewayOptions) -> bool:
    """Streams have a pace of their own: it was kept, or the core was full. Where neither holds,
    something else had the machine."""
    offered = options.streams_at_once * NS_PER_S / (options.pause_ms * NS_PER_MS)
    return counts(window) or chunks_per_s(window) >= PACE_MIN * offered


def of(windows: Sequence[WindowSeen], side: Side, load: Load) -> tuple[WindowSeen, ...]:
    """In the order they were measured."""
    return tuple(w for w in windows if (w.side, w.load) == (side, load))


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one chunk in one round; ``counts`` where both of its windows do."""

    us: float
    counts: bool


def chunk_costs(
    windows: Sequence[WindowSeen], side: Side, options: GatewayOptions, *, translated: bool
) -> tuple[Cost, ...]:
    """Round by round. A cost below zero is noise."""
    rounds = zip(*(of(windows, side, load) for load in STREAMS[translated]), strict=False)
    found = ((chunk_us(short, long, options), (short, long)) for short, long in rounds)
    return tuple(
        Cost(us, us > 0 and all(on_pace(each, options) for each in pair)) for us, pair in found
    )


@dataclass(frozen=True, slots=True)
class Row:
    """A median, how far its values lie apart, and how many of them count."""

    value: float | None
    spread: float = 0.0
    counted: int = 0
    windows: int = 0

    @property
    def counts(self) -> bool:
        return self.value is not None and self.counted > 0

    def document(self) -> dict[str, object]:
        """JSON-ready."""
        return {
            "value": self.value,
            "spread": self.spread,
            "counts": self.counts,
            "windows_counted": self.counted,
            "windows": self.windows,
        }


def row(values: Sequence[float], counted: Sequence[bool] | None = None, digits: int = 2) -> Row:
    """Of those that count; of all where none does, and then the row does not count either."""
    flags = [True] * len(values) if counted is None else counted
    kept = [value for value, good in zip(values, flags, strict=True) if good]
    used = kept or list(values)
    if not used:
        return Row(None)
    spread = round(max(used) - min(used), digits)
    return Row(round(median(used), digits), spread, len(kept), len(values))


def multiple(ours: Sequence[WindowSeen], theirs: Sequence[WindowSeen], figure: Figure) -> Row:
    """Neighbour by neighbour, which a drift of the machine spares."""
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=False) if figure(b) > 0]
    return row(
        [figure(a) / figure(b) for a, b in pairs], [counts(a) and counts(b) for a, b in pairs]
    )


def multiple_of(ours: Sequence[Cost], theirs: Sequence[Cost]) -> Row:
    """The same of chunks."""
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=False) if b.us > 0]
    return row([a.us / b.us for a, b in pairs], [a.counts and b.counts for a, b in pairs])


def cost_row(costs: Sequence[Cost]) -> Row:
    return row([cost.us for cost in costs], [cost.counts for cost in costs])


def pooled_us(windows: Sequence[WindowSeen], percent: int, *, first: bool) -> int:
    """Of all answers of these windows together."""
    times = [us for window in windows for us in (window.first_us if first else window.whole_us)]
    return quantile(times, percent)


def in_time(proxy: Sequence[WindowSeen]) -> bool:
    """Whether the bare proxy answered in time; where not, an added time says nothing."""
    return bool(proxy) and pooled_us(proxy, 99, first=True) <= LATE_US


class Verdict(StrEnum):
    """NOISE: no window of the row counts. NONE: it was not measured."""

    STRETCH = "stretch"
    MET = "met"
    MISSED = "missed"
    NOISE = "does not count"
    NONE = "not measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """``must`` and ``stretch`` are bounds that the value may reach; lower is better, or higher."""

    name: str
    value: float | None
    must: float
    stretch: float
    counts: bool = True
    higher: bool = False

    @property
    def verdict(self) -> Verdict:
        if self.value is None:
            return Verdict.NONE
        if not self.counts:
            return Verdict.NOISE
        sign = -1 if self.higher else 1
        if sign * self.value <= sign * self.stretch:
            return Verdict.STRETCH
        return Verdict.MET if sign * self.value <= sign * self.must else Verdict.MISSED

    def document(self) -> dict[str, object]:
        """JSON-ready."""
        return {
            "name": self.name,
            "value": self.value,
            "must": self.must,
            "stretch": self.stretch,
            "verdict": self.verdict.value,
        }
