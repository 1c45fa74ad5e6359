from prometheus_client.parser import text_string_to_metric_families

from tokenbooth.core.delta import Usage
from tokenbooth.core.receipt import Outcome, Receipt
from tokenbooth.telemetry.metrics import OTHER, SERIES_MAX, Gauge, Metrics


def ended(metrics: Metrics, model: str = "m", *, first_output_us: int | None = 150_000) -> None:
    used = Usage(input_tokens=10, output_tokens=4, cached_input_tokens=3)
    metrics.call_ended(
        model, receipt(used, 2_500), first_output_us=first_output_us, duration_us=900_000
    )


def receipt(
    usage: Usage, cost_nano: int, currency: str = "USD", outcome: Outcome = Outcome.COMPLETED
) -> Receipt:
    return Receipt("req_1", outcome, "", usage, cost_nano, "price_1", (), currency)


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Values by name and sorted labels; times of creation are left out."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_a_settled_call_is_counted_with_its_tokens_its_cost_and_its_times() -> None:
    metrics = Metrics()
    ended(metrics)
    ended(metrics, first_output_us=None)
    seen = samples(metrics)
    model = ("model", "m")
    assert seen["tokenbooth_calls_total", (model, ("outcome", "completed"))] == 2
    assert seen["tokenbooth_tokens_total", (("kind", "input"), model)] == 14
    assert seen["tokenbooth_tokens_total", (("kind", "cached_input"), model)] == 6
    assert seen["tokenbooth_tokens_total", (("kind", "output"), model)] == 8
    assert seen["tokenbooth_cost_nano_total", (("currency", "USD"), model)] == 5_000
    assert seen["tokenbooth_call_seconds_count", (model,)] == 2
    assert seen["tokenbooth_call_seconds_sum", (model,)] == 1.8
    assert seen["tokenbooth_first_output_seconds_count", (model,)] == 1
    assert seen["tokenbooth_first_output_seconds_bucket", (("le", "0.2"), model)] == 1
    assert seen["tokenbooth_first_output_seconds_bucket", (("le", "0.1"), model)] == 0


def test_an_engine_that_does_not_tell_cached_tokens_counts_none() -> None:
    metrics = Metrics()
    gone = receipt(Usage(10, 0), 0, outcome=Outcome.CLIENT_GONE)
    metrics.call_ended("m", gone, first_output_us=None, duration_us=1)
    seen = samples(metrics)
    assert seen["tokenbooth_calls_total", (("model", "m"), ("outcome", "client_gone"))] == 1
    assert seen["tokenbooth_tokens_total", (("kind", "input"), ("model", "m"))] == 10
    assert seen["tokenbooth_tokens_total", (("kind", "cached_input"), ("model", "m"))] == 0


def test_an_impossible_usage_never_breaks_serving() -> None:
    metrics = Metrics()
    odd = receipt(Usage(1, -5, cached_input_tokens=9), -1, "EUR")
    metrics.call_ended("m", odd, first_output_us=None, duration_us=1)
    seen = samples(metrics)
    assert seen["tokenbooth_tokens_total", (("kind", "input"), ("model", "m"))] == 0
    assert seen["tokenbooth_tokens_total", (("kind", "output"), ("model", "m"))] == 0
    assert seen["tokenbooth_cost_nano_total", (("currency", "EUR"), ("model", "m"))] == 0


def test_refusals_are_counted_by_code() -> None:
    metrics = Metrics()
    metrics.call_refused("rate_limit_exceeded")
    assert samples(metrics)["tokenbooth_refusals_total", (("code", "rate_limit_exceeded"),)] == 1


def test_states_are_read_at_rendering() -> None:
    metrics = Metrics()
    depth = {"b": 2, "a": 1}
    running = [5]
    metrics.watch(Gauge.QUEUED, lambda: depth)
    metrics.watch(Gauge.IN_FLIGHT, lambda: running[0])
    assert samples(metrics)["tokenbooth_queued", (("deployment", "b"),)] == 2
    depth["b"] = 7
    running[0] = 0
    seen = samples(metrics)
    assert seen["tokenbooth_queued", (("deployment", "b"),)] == 7
    assert seen["tokenbooth_queued", (("deployment", "a"),)] == 1
    assert seen["tokenbooth_in_flight", ()] == 0


def test_watching_a_state_again_replaces_its_reading() -> None:
    metrics = Metrics()
    metrics.watch(Gauge.LATE_SETTLEMENTS, lambda: 1)
    metrics.watch(Gauge.LATE_SETTLEMENTS, lambda: 2)
    assert samples(metrics)["tokenbooth_late_settlements", ()] == 2


def test_the_number_of_series_is_bounded() -> None:
    metrics = Metrics()
    for number in range(SERIES_MAX + 50):
        ended(metrics, f"model-{number}")
    ended(metrics, "model-0")
    metrics.watch(Gauge.QUEUED, lambda: {str(number): 1 for number in range(SERIES_MAX + 50)})
    seen = samples(metrics)
    costs = {labels: value for (name, labels), value in seen.items() if name.endswith("nano_total")}
    assert len(costs) == SERIES_MAX + 1
    assert costs[("currency", "USD"), ("model", OTHER)] == 50 * 2_500
    assert costs[("currency", "USD"), ("model", "model-0")] == 2 * 2_500
    assert sum(name == "tokenbooth_queued" for name, _ in seen) == SERIES_MAX


def test_two_instances_do_not_meet() -> None:
    one, two = Metrics(), Metrics()
    ended(one)
    assert ("tokenbooth_cost_nano_total", (("currency", "USD"), ("model", "m"))) not in samples(two)


def test_label_values_are_escaped() -> None:
    metrics = Metrics()
    ended(metrics, 'a"b\\c\nd')
    labels = (("currency", "USD"), ("model", 'a"b\\c\nd'))
    assert samples(metrics)["tokenbooth_cost_nano_total", labels] == 2_500
