"""Answers of real servers, byte for byte as they came.

``vllm-0.26.0`` and ``transformers-5.17.0`` were recorded on 2026-11-20 in front of SmolLM2 135M on
one NVIDIA H200; docs/engines-verified.md tells how.
"""

import json
from pathlib import Path

import pytest

from tests.support.turns import Recorder, turn_of
from tests.support.upstream import code_of, played
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import FinishReason, Usage
from tokenbooth.engines.upstream.counters import counters_from

RECORDED = Path(__file__).parent / "recorded"
VLLM = RECORDED / "vllm-0.26.0"
TRANSFORMERS = RECORDED / "transformers-5.17.0"
STOP, LENGTH, CALLS = FinishReason.STOP, FinishReason.LENGTH, FinishReason.TOOL_CALLS


def heard(folder: Path, name: str, choices: int = 1) -> Recorder:
    return played((folder / f"{name}.http").read_bytes(), turn=turn_of(choices=choices))


@pytest.mark.parametrize(
    ("folder", "name", "finish", "usage", "begins", "ends"),
    [
        (VLLM, "text", LENGTH, Usage(37, 40, 0, cache_write_tokens=32), "The rainbow", "visible"),
        (VLLM, "cached-prompt", STOP, Usage(432, 1, 416, cache_write_tokens=16), "", ""),
        (VLLM, "own-end", STOP, Usage(34, 3, 16, cache_write_tokens=16), "Hi.", "Hi."),
        (VLLM, "stop-string", STOP, Usage(37, 6, 16, cache_write_tokens=16), "One", "1\n"),
        (VLLM, "json-schema", STOP, Usage(36, 27, 16, cache_write_tokens=16), "{", "}"),
        (VLLM, "tool-none", LENGTH, Usage(31, 8, 16), "Hello!", "today"),
        (VLLM, "tool-cut", LENGTH, Usage(41, 6, 32), "", ""),
        (TRANSFORMERS, "own-end", STOP, Usage(34, 3), "Hi.", "Hi."),
    ],
)
def test_an_answer(
    folder: Path, name: str, finish: FinishReason, usage: Usage, begins: str, ends: str
) -> None:
    recorder = heard(folder, name)
    assert recorder.finishes == [(0, finish)]
    assert recorder.end is not None
    assert recorder.end.usage == usage
    assert recorder.text().startswith(begins)
    assert recorder.text().endswith(ends)
    # What is charged when a call is cut must not be more than what the server would have told.
    assert recorder.output_tokens <= usage.output_tokens


def test_the_stop_string_that_was_met_is_named() -> None:
    (last,) = [delta for delta in heard(VLLM, "stop-string").deltas if delta.finish]
    assert last.stopped_by == "Two"


def test_an_answer_under_a_schema_is_json() -> None:
    assert json.loads(heard(VLLM, "json-schema").text()) == {
        "name": "Luna",
        "age": 10,
        "kind": "cat",
    }


@pytest.mark.parametrize(("name", "finish"), [("tool-named", STOP), ("tool-required", CALLS)])
def test_a_tool_call_comes_in_pieces(name: str, finish: FinishReason) -> None:
    """vLLM says ``stop`` where the caller named the tool, as OpenAI does."""
    recorder = heard(VLLM, name)
    pieces = [delta.tool_call for delta in recorder.deltas if delta.tool_call is not None]
    assert recorder.finishes == [(0, finish)]
    assert [piece.name for piece in pieces if piece.name] == ["get_weather"]
    assert {piece.index for piece in pieces} == {0}
    assert len(pieces) > 2
    assert json.loads("".join(piece.arguments for piece in pieces)) == {"city": "gaben", "days": 3}


def test_log_probabilities() -> None:
    told = [entry for delta in heard(VLLM, "logprobs").deltas for entry in delta.logprobs]
    assert [entry.text for entry in told] == ["The", " rainbow", " is"]
    assert [len(entry.alternatives) for entry in told] == [3, 3, 3]
    assert all(entry.logprob <= 0 for entry in told)


def test_three_choices_share_one_usage() -> None:
    recorder = heard(VLLM, "three-choices", choices=3)
    assert sorted(recorder.finishes) == [(0, LENGTH), (1, LENGTH), (2, LENGTH)]
    assert recorder.end is not None
    assert recorder.end.usage == Usage(37, 36, 32)
    assert all(recorder.text(choice) for choice in range(3))


def test_a_server_that_ignores_the_number_of_choices_fails_the_call() -> None:
    """transformers writes one answer whatever ``n`` says: two would be missing."""
    assert code_of(heard(TRANSFORMERS, "three-choices", choices=3)) is Code.ENGINE_FAILED


def test_a_server_that_ignores_logprobs_tells_none() -> None:
    recorder = heard(TRANSFORMERS, "logprobs")
    assert recorder.text() == "The rainbow is"
    assert not any(delta.logprobs for delta in recorder.deltas)


@pytest.mark.parametrize(
    ("name", "code", "param"),
    [
        ("error-context", Code.CONTEXT_LENGTH_EXCEEDED, "messages"),
        ("error-output-limit", Code.INVALID_VALUE, "max_completion_tokens"),
        ("error-logit-bias", Code.INVALID_VALUE, "logit_bias"),
        ("error-in-stream", Code.INVALID_VALUE, None),
        ("error-model", Code.UPSTREAM_REJECTED, None),
        ("error-key", Code.UPSTREAM_REJECTED, None),
    ],
)
def test_a_refusal(name: str, code: Code, param: str | None) -> None:
    recorder = heard(VLLM, name)
    assert code_of(recorder) is code
    assert recorder.problem is not None
    assert recorder.problem.param == param
    assert not recorder.deltas


def test_the_counters_of_a_running_server() -> None:
    told = counters_from({}, (VLLM / "metrics.txt").read_bytes(), "smol")
    assert told is not None
    assert (told.input_tokens, told.output_tokens) == (2729, 1932)
    assert told.generation == "1.79518432221e+09/1.7951843886100166e+09"
    assert told.shared
    assert told.with_cached
