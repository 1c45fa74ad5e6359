"""How the reports of GuideLLM (schema 2) and AIPerf (schema 1) are read."""

import math
from collections.abc import Iterator

from tokenbooth.verify.imports.values import Imported, ImportedFigure

RUNS_MAX = 256
AIPERF_METRICS = (
    "request_throughput",
    "goodput",
    "time_to_first_token",
    "inter_token_latency",
    "request_latency",
    "output_token_throughput",
    "request_count",
    "error_request_count",
)
AIPERF_STATISTICS = ("avg", "p50", "p95", "p99")
GUIDELLM_METRICS = {
    "requests_per_second": "1/s",
    "request_concurrency": "calls",
    "time_to_first_token_ms": "ms",
    "inter_token_latency_ms": "ms",
    "request_latency": "s",
}


class UnknownReport(ValueError):
    """The file is of no tool that is known here, or of another form; the message says which."""


def imported(document: object, digest: str) -> Imported:
    """Raises UnknownReport."""
    if not isinstance(document, dict):
        raise UnknownReport("a report is a JSON object")
    if "aiperf_version" in document or "input_config" in document:
        figures = tuple(_aiperf(document))
        tool, version = "aiperf", str(document.get("aiperf_version", "unknown"))
    elif isinstance(metadata := document.get("metadata"), dict) and "guidellm_version" in metadata:
        figures = tuple(_guidellm(document))
        tool, version = "guidellm", str(metadata["guidellm_version"])
    else:
        raise UnknownReport("it is a report neither of GuideLLM nor of AIPerf")
    if not figures:
        raise UnknownReport("it holds no figure that is known here")
    return Imported(tool, version[:64], digest, figures)


def _aiperf(document: dict[str, object]) -> Iterator[ImportedFigure]:
    for metric in AIPERF_METRICS:
        found = document.get(metric)
        if isinstance(found, dict):
            unit = str(found.get("unit", ""))[:32]
            for statistic in AIPERF_STATISTICS:
                yield from _figure(f"{metric} {statistic}", found.get(statistic), unit)


def _guidellm(document: dict[str, object]) -> Iterator[ImportedFigure]:
    """One group of figures for each benchmark, then what its profiles concluded."""
    for number, run in enumerate(_listed(document.get("benchmarks"))):
        metrics = run.get("metrics")
        for metric, unit in GUIDELLM_METRICS.items():
            found = _member(_member(metrics, metric), "successful")
            name = f"run {number + 1} {metric}"
            yield from _figure(f"{name} mean", _member(found, "mean"), unit)
            for percentile in ("p50", "p95", "p99"):
                value = _member(_member(found, "percentiles"), percentile)
                yield from _figure(f"{name} {percentile}", value, unit)
    for number, concluded in enumerate(_listed(document.get("conclusions"))):
        for name, value in concluded.items():
            yield from _figure(f"conclusion {number + 1} {name[:64]}", value, "")


def _listed(found: object) -> list[dict[str, object]]:
    if not isinstance(found, list):
        return []
    return [each for each in found[:RUNS_MAX] if isinstance(each, dict)]


def _member(found: object, name: str) -> object:
    return found.get(name) if isinstance(found, dict) else None


def _figure(name: str, value: object, unit: str) -> Iterator[ImportedFigure]:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        yield ImportedFigure(name, round(value * 1000), unit)
