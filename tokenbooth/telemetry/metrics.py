"""Counters and histograms of one instance, in the Prometheus text format.

Amounts are floats here, as that format asks: exact up to 2**53 nano (about 9 million USD), for
graphs and alarms only. The ledger is the truth.
"""

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
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
    ENGINE_READY = "1 when the deployment's engine is ready."
    ENGINE_RESTARTS = "Starts of the deployment's engine after its first."
    LATE_SETTLEMENTS = "Ended calls whose settlement waits for the database."
    LOG_LINES_LOST = "Log lines that could not be written."
    LEDGER_DIFFERENCE_NANO = "What the last proof of the ledger found too much or too little."
    ENGINE_DIFFERENCE_TOKENS = "Tokens that the engine's counters and its calls differ by."
    RECONCILED_AT_S = "Unix time of the last look at all charges; 0 before the first."


Reading = Callable[[], int | Mapping[str, int]]


class Metrics:
    """Its registry is its own, so two instances in one process do not meet."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._models: set[str] = set()
        self._calls = self._counter("calls", "Calls by how they ended.", "model", "outcome")
        self._refusals = self._counter("refusals", "Calls refused before they ran.", "code")
        self._tokens = self._counter("tokens", "Tokens of settled calls.", "model", "kind")
        self._cost = self._counter("cost_nano", "Billionths charged.", "model", "currency")
        self._first_output = Histogram(
            "tokenbooth_first_output_seconds",
            "From the start of the run to its first output.",
            ["model"],
            buckets=FIRST_OUTPUT_BUCKETS_S,
            registry=self._registry,
        )
        self._duration = Histogram(
            "tokenbooth_call_seconds",
            "From the start of the run to its settlement.",
            ["model"],
            buckets=CALL_BUCKETS_S,
            registry=self._registry,
        )
        self._states = _States()
        self._registry.register(self._states)

    def call_ended(
        self, model: str, receipt: Receipt, *, first_output_us: int | None, duration_us: int
    ) -> None:
        """Count one settled call; both times are spans in microseconds."""
        model, usage = self._series(model), receipt.usage
        self._calls.labels(model, receipt.outcome.value).inc()
        cached = usage.cached_input_tokens or 0
        self._tokens.labels(model, "input").inc(max(0, usage.input_tokens - cached))
        self._tokens.labels(model, "cached_input").inc(max(0, cached))
        self._tokens.labels(model, "output").inc(max(0, usage.output_tokens))
        self._cost.labels(model, receipt.currency).inc(max(0, receipt.cost_nano))
        self._duration.labels(model).observe(duration_us / MICRO_PER_SECOND)
        if first_output_us is not None:
            self._first_output.labels(model).observe(first_output_us / MICRO_PER_SECOND)

    def call_refused(self, code: str) -> None:
        """Count a call that was refused; ``code`` is the stable text of a Code."""
        self._refusals.labels(code).inc()

    def watch(self, gauge: Gauge, reading: Reading) -> None:
        """Ask ``reading`` each time metrics are rendered: one number, or numbers by deployment."""
        self._states.readings[gauge] = reading

    def render(self) -> bytes:
        """The text exposition format, version 0.0.4."""
        return generate_latest(self._registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"tokenbooth_{name}", text, labels, registry=self._registry)

    def _series(self, model: str) -> str:
        if model not in self._models:
            if len(self._models) >= SERIES_MAX:
                return OTHER
            self._models.add(model)
        return model


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
