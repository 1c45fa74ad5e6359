"""Counters and histograms of one instance, in the Prometheus text format.

What is counted are integers, by every call in a few additions; the format is made when somebody
reads it. There amounts are floats, as it asks: exact up to 2**53 nano (about 9 million USD), for
graphs and alarms only. The ledger is the truth.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from tokenbooth.core.receipt import Receipt

MICRO_PER_SECOND = 10**6
SERIES_MAX = 200
OTHER = "other"
FIRST_OUTPUT_BUCKETS_S = (0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 12, 25, 50, 100)
CALL_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600)


class Gauge(StrEnum):
    """States that are asked for when metrics are read; the text is the help line."""

    IN_FLIGHT = "Calls that hold money now."
    QUEUED = "Calls that wait for a place at the deployment."
    CONCURRENCY_LIMIT = "Calls that may run at the deployment at once now."
    DEMAND_MILLI = "Thousandths of that limit which callers want; above 1000 add servers."
    ENGINE_READY = "1 when the deployment's engine is ready."
    ENGINE_RESTARTS = "Starts of the deployment's engine after its first."
    LATE_SETTLEMENTS = "Ended calls whose settlement waits for the database."
    LOG_LINES_LOST = "Log lines that could not be written."
    LEDGER_DIFFERENCE_NANO = "What the last proof of the ledger found too much or too little."
    ENGINE_DIFFERENCE_TOKENS = "Tokens that the engine's counters and its calls differ by."
    RECONCILED_AT_S = "Unix time of the last look at all charges; 0 before the first."


Reading = Callable[[], int | Mapping[str, int]]


class _Spans:
    """How many spans of time lay within each of some bounds, and their sum."""

    __slots__ = ("_bounds_us", "_counts", "_total_us")

    def __init__(self, bounds_s: tuple[float, ...]) -> None:
        self._bounds_us = [round(bound_s * MICRO_PER_SECOND) for bound_s in bounds_s]
        self._counts = [0] * (len(bounds_s) + 1)
        self._total_us = 0

    def add(self, span_us: int) -> None:
        self._counts[bisect_left(self._bounds_us, span_us)] += 1
        self._total_us += span_us

    @property
    def any(self) -> bool:
        return any(self._counts)

    @property
    def total_s(self) -> float:
        return self._total_us / MICRO_PER_SECOND

    def buckets(self) -> list[tuple[str, float]]:
        """How many were at most as long as each bound, the last of which is none."""
        bounds = [*(str(bound_us / MICRO_PER_SECOND) for bound_us in self._bounds_us), "+Inf"]
        return list(zip(bounds, accumulate(self._counts), strict=True))


class _Series:
    """What the settled calls of one model were."""

    __slots__ = ("calls", "cost_nano", "duration", "first_output", "tokens")

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.tokens = dict.fromkeys(("input", "cached_input", "output"), 0)
        self.cost_nano: Counter[str] = Counter()
        self.first_output = _Spans(FIRST_OUTPUT_BUCKETS_S)
        self.duration = _Spans(CALL_BUCKETS_S)


class Metrics:
    """Its registry is its own, so two instances in one process do not meet. All of it runs on one
    thread."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._models: dict[str, _Series] = {}
        self._refusals: Counter[str] = Counter()
        self._states = _States()
        self._registry.register(_Calls(self._models, self._refusals))
        self._registry.register(self._states)

    def call_ended(
        self, model: str, receipt: Receipt, *, first_output_us: int | None, duration_us: int
    ) -> None:
        """Count one settled call; both times are spans in microseconds."""
        series, usage = self._series(model), receipt.usage
        series.calls[receipt.outcome.value] += 1
        cached = usage.cached_input_tokens or 0
        series.tokens["input"] += max(0, usage.input_tokens - cached)
        series.tokens["cached_input"] += max(0, cached)
        series.tokens["output"] += max(0, usage.output_tokens)
        series.cost_nano[receipt.currency] += max(0, receipt.cost_nano)
        series.duration.add(duration_us)
        if first_output_us is not None:
            series.first_output.add(first_output_us)

    def call_refused(self, code: str) -> None:
        """Count a call that was refused; ``code`` is the stable text of a Code."""
        self._refusals[code] += 1

    def watch(self, gauge: Gauge, reading: Reading) -> None:
        """Ask ``reading`` each time metrics are rendered: one number, or numbers by deployment."""
        self._states.readings[gauge] = reading

    def render(self) -> bytes:
        """The text exposition format, version 0.0.4."""
        return generate_latest(self._registry)

    def _series(self, model: str) -> _Series:
        series = self._models.get(model)
        if series is None:
            model = model if len(self._models) < SERIES_MAX else OTHER
            series = self._models.setdefault(model, _Series())
        return series


class _Calls(Collector):
    """Everything that was counted, as the format wants it."""

    def __init__(self, models: Mapping[str, _Series], refusals: Mapping[str, int]) -> None:
        self._models = models
        self._refusals = refusals

    def describe(self) -> list[Metric]:
        """Nothing is read at registration."""
        return []

    def collect(self) -> Iterator[Metric]:
        calls = _counter("calls", "Calls by how they ended.", "model", "outcome")
        tokens = _counter("tokens", "Tokens of settled calls.", "model", "kind")
        cost = _counter("cost_nano", "Billionths charged.", "model", "currency")
        first = _histogram("first_output", "From the start of the run to its first output.")
        duration = _histogram("call", "From the start of the run to its settlement.")
        for model, series in self._models.items():
            for family, by in ((calls, series.calls), (tokens, series.tokens)):
                for label, count in by.items():
                    family.add_metric([model, label], count)
            for currency, nano in series.cost_nano.items():
                cost.add_metric([model, currency], nano)
            for spans, seen in ((first, series.first_output), (duration, series.duration)):
                if seen.any:
                    spans.add_metric([model], seen.buckets(), seen.total_s)
        refusals = _counter("refusals", "Calls refused before they ran.", "code")
        for code, count in self._refusals.items():
            refusals.add_metric([code], count)
        yield from (calls, refusals, tokens, cost, first, duration)


def _counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"tokenbooth_{name}", text, labels=labels)


def _histogram(name: str, text: str) -> HistogramMetricFamily:
    return HistogramMetricFamily(f"tokenbooth_{name}_seconds", text, labels=["model"])


class _States(Collector):
    def __init__(self) -> None:
        self.readings: dict[Gauge, Reading] = {}

    def describe(self) -> list[Metric]:
        """Nothing is read at registration."""
        return []

    def collect(self) -> Iterator[Metric]:
        for gauge, reading in self.readings.items():
            now = reading()
            name = f"tokenbooth_{gauge.name.lower()}"
            if isinstance(now, int):
                yield GaugeMetricFamily(name, gauge.value, value=now)
                continue
            family = GaugeMetricFamily(name, gauge.value, labels=["deployment"])
            for deployment, value in sorted(now.items())[:SERIES_MAX]:
                family.add_metric([deployment], value)
            yield family
