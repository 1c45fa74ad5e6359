"""What the embedded engine tells its child, and what it says it can do."""

import json

import pytest

from tokenbooth.core.codes import Code
from tokenbooth.core.features import Feature
from tokenbooth.core.problem import Problem
from tokenbooth.engines.embedded import engine as module
from tokenbooth.engines.embedded.engine import FEATURES, EmbeddedEngine
from tokenbooth.engines.embedded.values import EmbeddedOptions
from tokenbooth.engines.options import options_from


def test_options_are_read_from_a_deployments_texts() -> None:
    texts = {"step_tokens_max": "128", "prefix_cache": "false", "temperature": "0.2"}
    options = options_from(EmbeddedOptions, texts, gguf_path="/w/a.gguf")
    assert options == EmbeddedOptions(
        "/w/a.gguf", step_tokens_max=128, prefix_cache=False, temperature=0.2
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("step_tokens_max", "15"),
        ("step_tokens_max", "70000"),
        ("cache_gib", "0"),
        ("temperature", "2.1"),
        ("temperature", "-1"),
        ("ready_timeout_s", "0"),
        ("hang_after_s", "0"),
        ("backoff_first_s", "-1"),
        ("backoff_max_s", "4000"),
        ("prefix_cache", "perhaps"),
    ],
)
def test_absurd_options_are_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(Problem) as caught:
        options_from(EmbeddedOptions, {name: text}, gguf_path="/w/a.gguf")
    assert caught.value.code is Code.INVALID_VALUE
    assert name in caught.value.public


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(Problem) as caught:
        options_from(EmbeddedOptions, {"speed": "9"}, gguf_path="/w/a.gguf")
    assert caught.value.code is Code.UNKNOWN_FIELD


def test_what_the_engine_does_not_tell_is_no_feature() -> None:
    engine = EmbeddedEngine(EmbeddedOptions("/w/a.gguf"))
    assert engine.capabilities.features == FEATURES
    never = {Feature.TOP_LOGPROBS, Feature.CACHED_TOKENS, Feature.LOGIT_BIAS}
    assert not never & FEATURES


def test_the_child_gets_every_option_and_the_policy_its_times() -> None:
    options = EmbeddedOptions(
        "/w/a.gguf", hang_after_s=7, ready_timeout_s=8, backoff_first_s=0.25, backoff_max_s=9
    )
    plan = EmbeddedEngine(options)._kind.plan
    assert plan.module == module.WORKER
    told = json.loads(plan.options_json)
    assert told["gguf_path"] == "/w/a.gguf"
    assert told["step_tokens_max"] == 256
    policy = plan.policy
    assert (policy.hang_after_s, policy.ready_timeout_s) == (7, 8)
    assert (policy.backoff_first_s, policy.backoff_max_s) == (0.25, 9)
