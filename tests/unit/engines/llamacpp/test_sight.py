"""The engine's own call, put into the form of the package's callbacks."""

from typing import Any

import pytest

from tokenbooth.engines.child.prompt import IMAGE_MARK
from tokenbooth.engines.llamacpp.sight import Sight, heard, native

MARKER = "<__media_x__>"
BODY = {"prompt": f"a{MARKER}b", "max_tokens": 3, "logprobs": 2, "seed": 1}


def test_an_image_in_a_text_is_marked_for_the_engine_and_left_out_of_a_count() -> None:
    sight = Sight(MARKER)
    assert sight.marked(f"a{IMAGE_MARK}b{IMAGE_MARK}") == f"a{MARKER}b{MARKER}"
    assert sight.unmarked(f"a{MARKER}b{MARKER}") == "ab"


def test_the_call_is_made_in_the_engine_s_words() -> None:
    assert native(BODY, ()) == {"prompt": f"a{MARKER}b", "n_predict": 3, "n_probs": 2, "seed": 1}
    prompt = {"prompt_string": f"a{MARKER}b", "multimodal_data": ["QQ=="]}
    assert native(BODY, ("QQ==",))["prompt"] == prompt


PLACE = {"token": "a", "logprob": -0.5, "top_logprobs": []}


@pytest.mark.parametrize(
    ("chunk", "choices", "usage"),
    [
        ({"stop": False, "content": ""}, None, None),
        (
            {"stop": False, "content": "a", "completion_probabilities": [PLACE]},
            [{"text": "a", "finish_reason": None, "logprobs": {"content": [PLACE]}}],
            None,
        ),
        (
            {"stop": True, "content": "", "stop_type": "limit", "tokens_predicted": 4},
            [{"text": "", "finish_reason": "length", "logprobs": {"content": []}}],
            {"completion_tokens": 4},
        ),
        (
            {"stop": True, "content": "", "stop_type": "eos", "tokens_predicted": 4},
            [{"text": "", "finish_reason": "stop", "logprobs": {"content": []}}],
            {"completion_tokens": 4},
        ),
    ],
)
def test_a_chunk_is_heard_as_a_callback_would_tell_it(
    chunk: dict[str, Any], choices: Any, usage: Any
) -> None:
    told = heard({**chunk, "tokens_evaluated": 9, "timings": {"predicted_n": 1}})
    assert told["prompt_tokens"] == 9
    assert told["timings"] == {"predicted_n": 1}
    assert told.get("choices") == choices
    assert told.get("usage") == usage


def test_an_error_is_passed_on_as_it_is() -> None:
    assert heard({"error": {"code": 400}}) == {"error": {"code": 400}}
