"""Reports of other tools are read for what they say, and for no more."""

import pytest

from tokenbooth.verify.imports.service import UnknownReport, imported, imported_json

AIPERF = {
    "schema_version": "1.4",
    "aiperf_version": "0.13.0",
    "request_throughput": {"unit": "requests/sec", "avg": 4.5},
    "time_to_first_token": {"unit": "ms", "avg": 12.25, "p50": 11.0, "p99": 40.0, "min": 1},
    "goodput": None,
    "input_config": {},
}
GUIDELLM = {
    "metadata": {"version": 2, "guidellm_version": "0.8.1"},
    "benchmarks": [
        {
            "metrics": {
                "requests_per_second": {"successful": {"mean": 3.0, "percentiles": {"p95": 4.0}}},
                "time_to_first_token_ms": {"successful": {"mean": float("nan")}},
                "request_latency": 7,
            }
        },
        "not a run",
    ],
    "conclusions": [{"max_concurrency": 11, "reason": "converged", "resolved": True}],
}


def test_aiperf_is_read() -> None:
    found = imported(AIPERF, "ab")
    assert (found.tool, found.version, found.digest) == ("aiperf", "0.13.0", "ab")
    assert [(each.name, each.figure, each.unit) for each in found.figures] == [
        ("request_throughput avg", "4.500", "requests/sec"),
        ("time_to_first_token avg", "12.250", "ms"),
        ("time_to_first_token p50", "11.000", "ms"),
        ("time_to_first_token p99", "40.000", "ms"),
    ]


def test_guidellm_is_read() -> None:
    found = imported_json(imported(GUIDELLM, "cd"))
    assert (found["tool"], found["version"], found["measured_here"]) == ("guidellm", "0.8.1", False)
    assert found["figures"] == [
        {"name": "run 1 requests_per_second mean", "value": "3.000", "unit": "1/s"},
        {"name": "run 1 requests_per_second p95", "value": "4.000", "unit": "1/s"},
        {"name": "conclusion 1 max_concurrency", "value": "11.000", "unit": ""},
    ]


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ([], "is a JSON object"),
        ({}, "neither of GuideLLM nor of AIPerf"),
        ({"metadata": {}}, "neither of GuideLLM nor of AIPerf"),
        ({"aiperf_version": "1"}, "no figure"),
        ({"metadata": {"guidellm_version": "1"}, "benchmarks": 7}, "no figure"),
    ],
)
def test_anything_else_is_refused(document: object, why: str) -> None:
    with pytest.raises(UnknownReport, match=why):
        imported(document, "")
