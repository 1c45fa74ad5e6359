from tokenbooth.telemetry.metrics import Gauge, Metrics
from tokenbooth.telemetry.summed import summed


def counted(refusals: int, ready: int, seen_s: int) -> bytes:
    metrics = Metrics()
    for _ in range(refusals):
        metrics.call_refused("not_found")
    metrics.watch(Gauge.IN_FLIGHT, lambda: refusals)
    metrics.watch(Gauge.ENGINE_READY, lambda: {"d": ready})
    metrics.watch(Gauge.RECONCILED_AT_S, lambda: seen_s)
    return metrics.render()


def values(text: bytes) -> dict[str, float]:
    lines = [line.rpartition(" ") for line in text.decode().splitlines() if line[0] != "#"]
    return {name: float(value) for name, _, value in lines}


def test_one_text_stays_as_it_is():
    assert summed([counted(1, 1, 7)]) == counted(1, 1, 7)


def test_counts_are_added_and_states_are_judged():
    found = values(summed([counted(2, 1, 100), counted(3, 0, 90), Metrics().render()]))
    assert found['tokenbooth_refusals_total{code="not_found"}'] == 5
    assert found["tokenbooth_in_flight"] == 5
    assert found['tokenbooth_engine_ready{deployment="d"}'] == 0
    assert found["tokenbooth_reconciled_at_s"] == 100


def test_each_family_is_explained_once_and_its_series_follow():
    text = summed([counted(2, 1, 100), counted(3, 0, 90)]).decode()
    lines = text.splitlines()
    assert len(lines) == len(set(lines))
    place = lines.index("# TYPE tokenbooth_in_flight gauge")
    assert lines[place + 1] == "tokenbooth_in_flight 5.0"
