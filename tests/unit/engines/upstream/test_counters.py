"""Token counters out of other servers' metrics."""

import pytest

from tokenbooth.engines.port import EngineCounters
from tokenbooth.engines.upstream.counters import COUNT_MAX, counters_from

VLLM = """\
# HELP process_start_time_seconds Start time of the process since unix epoch in seconds.
# TYPE process_start_time_seconds gauge
process_start_time_seconds 1.76358e+09
# HELP vllm:prompt_tokens_total Number of prefill tokens processed.
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{engine="0",model_name="big/model"} 1.2345678e+07
vllm:prompt_tokens_created{engine="0",model_name="big/model"} 1.7e+09
vllm:generation_tokens_total{engine="0",model_name="big/model"} 4321.0
vllm:request_prompt_tokens_bucket{engine="0",le="1.0",model_name="big/model"} 7.0
"""
LLAMACPP = """\
# HELP llamacpp:prompt_tokens_total Number of prompt tokens processed.
# TYPE llamacpp:prompt_tokens_total counter
llamacpp:prompt_tokens_total 1500
llamacpp:prompt_seconds_total 3.25
llamacpp:tokens_predicted_total 90
llamacpp:requests_processing 0
"""


def read(text: str, model: str = "big/model", **headers: str) -> EngineCounters | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return counters_from(named, text.encode(), model)


def test_vllm() -> None:
    found = read(VLLM)
    assert found == EngineCounters("1.76358e+09/1.7e+09", 12_345_678, 4321, shared=True)


def test_llamacpp() -> None:
    found = read(LLAMACPP, process_start_time_unix="77")
    assert found == EngineCounters("77", 1500, 90, shared=True, with_cached=False)
    unnamed = read(LLAMACPP)
    assert unnamed is not None
    assert unnamed.generation == ""


@pytest.mark.parametrize(
    ("text", "rounding"), [("999999", 0), ("1e+06", 10), ("3.21457e+06", 10), ("1.5e+09", 10_000)]
)
def test_llamacpp_rounds_what_has_more_than_six_digits(text: str, rounding: int) -> None:
    found = read(LLAMACPP.replace("total 1500", f"total {text}"))
    assert found is not None
    assert found.input_tokens == int(float(text))
    assert found.rounding_tokens == rounding


def test_engines_that_share_a_model_are_added_up() -> None:
    more = VLLM + (
        'vllm:prompt_tokens_total{engine="1",model_name="big/model"} 2.0\n'
        'vllm:generation_tokens_total{engine="1",model_name="big/model"} 3.0\n'
    )
    found = read(more)
    assert found is not None
    assert (found.input_tokens, found.output_tokens) == (12_345_680, 4324)


def test_of_several_models_only_the_own_one_counts() -> None:
    more = VLLM + (
        'vllm:prompt_tokens_total{engine="0",model_name="other"} 5.0\n'
        'vllm:generation_tokens_total{engine="0",model_name="other"} 6.0\n'
    )
    found, other = read(more), read(more, "other")
    assert found is not None
    assert found.input_tokens == 12_345_678
    assert other is not None
    assert (other.input_tokens, other.output_tokens) == (5, 6)
    assert read(more, "third") is None


def test_a_single_model_counts_under_whatever_name() -> None:
    found = read(VLLM, "called differently here")
    assert found is not None
    assert found.output_tokens == 4321


def test_a_restart_is_another_generation() -> None:
    before, after = read(VLLM), read(VLLM.replace("1.76358e+09", "1.76359e+09"))
    assert before is not None
    assert after is not None
    assert before.generation != after.generation


def test_labels_are_read_as_written() -> None:
    odd = 'vllm:prompt_tokens_total{x="model_name=\\"no\\"",model_name="a\\"b\\\\c\\nd"} 1\n'
    odd += 'vllm:generation_tokens_total{model_name="a\\"b\\\\c\\nd"} 2 1700000000\n'
    found = read(odd + VLLM, 'a"b\\c\nd')
    assert found is not None
    assert (found.input_tokens, found.output_tokens) == (1, 2)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "{}",
        '{"error":{"code":501,"message":"no metrics"}}',
        VLLM.replace("4321.0", "NaN"),
        VLLM.replace("4321.0", "+Inf"),
        VLLM.replace("4321.0", "-1"),
        VLLM.replace("4321.0", "0.5"),
        VLLM.replace("4321.0", "many"),
        VLLM.replace("4321.0", str(COUNT_MAX * 2)),
        VLLM.replace("vllm:generation", "vllm:other"),
        LLAMACPP.replace("tokens_predicted", "other"),
    ],
)
def test_what_is_not_understood_tells_nothing(text: str) -> None:
    assert read(text) is None


def test_bytes_that_are_no_text_are_read_as_far_as_they_are() -> None:
    found = counters_from({}, b"\xff\xfe junk\n" + VLLM.encode(), "big/model")
    assert found is not None
    assert found.output_tokens == 4321


def test_a_long_line_is_read_in_no_time_to_speak_of() -> None:
    long_line = "vllm:prompt_tokens_total{" + 'a="}",' * 200_000 + "\n"
    found = read(long_line + VLLM)
    assert found is not None
