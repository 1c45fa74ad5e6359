"""Stream chunks as deltas, and usage only when it can be true."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, FinishReason, TokenLogprob, ToolCallDelta, Usage
from tokenbooth.core.problem import Problem
from tokenbooth.engines.upstream.chunks import TOOL_CALLS_MAX, AnswerFold, StreamError, usage_from


def chunk(delta: Any = None, index: int = 0, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": finish, **more}
    return json.dumps({"choices": [choice]}).encode()


def tool(index: int | None, name: str | None = None, **more: Any) -> dict[str, Any]:
    piece: dict[str, Any] = {"function": {"name": name, "arguments": more.pop("arguments", "")}}
    if index is not None:
        piece["index"] = index
    return piece | more


def deltas(*data: bytes, choices: int = 1) -> list[Delta]:
    fold = AnswerFold(choices)
    return [delta for one in data for delta in fold.feed(one)]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"content": "hi"}, [Delta(text="hi", output_tokens=1)]),
        ({"reasoning_content": "hm"}, [Delta(reasoning="hm", output_tokens=1)]),
        ({"reasoning": "hm"}, [Delta(reasoning="hm", output_tokens=1)]),
        ({"refusal": "no"}, [Delta(refusal="no", output_tokens=1)]),
        ({"content": "a", "reasoning": "b"}, [Delta(text="a", reasoning="b", output_tokens=1)]),
        ({"role": "assistant", "content": ""}, []),
        ({"role": "assistant", "content": None}, []),
        ({}, []),
        (None, []),
        ({"audio": {"x": 1}, "annotations": []}, []),
    ],
)
def test_what_a_chunk_says(said: object, expected: list[Delta]) -> None:
    assert deltas(chunk(said)) == expected


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("max_tokens", FinishReason.LENGTH),
        ("tool_calls", FinishReason.TOOL_CALLS),
        ("function_call", FinishReason.TOOL_CALLS),
        ("content_filter", FinishReason.CONTENT_FILTER),
        ("eos_token", FinishReason.STOP),
    ],
)
def test_finish_reasons(reason: str, finish: FinishReason) -> None:
    assert deltas(chunk({}, finish=reason)) == [Delta(finish=finish)]
    together = deltas(chunk({"content": "x"}, finish=reason))
    assert together == [Delta(text="x", output_tokens=1, finish=finish)]


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_an_aborted_answer_is_a_failure(reason: str) -> None:
    with pytest.raises(Problem) as caught:
        deltas(chunk({}, finish=reason))
    assert caught.value.code is Code.ENGINE_FAILED


@pytest.mark.parametrize(
    ("reason", "told", "stopped_by"),
    [
        ("stop", "END", "END"),
        ("stop", 151645, None),
        ("stop", None, None),
        ("stop", {"odd": 1}, None),
        ("length", "END", None),
    ],
)
def test_a_stop_string_is_heard_where_the_server_names_it(
    reason: str, told: Any, stopped_by: str | None
) -> None:
    (found,) = deltas(chunk({}, finish=reason, stop_reason=told))
    assert found.stopped_by == stopped_by


def test_nothing_is_heard_of_a_choice_after_its_finish() -> None:
    found = deltas(chunk({"content": "a"}, finish="stop"), chunk({"content": "b"}, finish="stop"))
    assert [delta.text for delta in found] == ["a"]


def test_several_choices_in_one_chunk() -> None:
    body = {"choices": [{"index": 1, "delta": {"content": "b"}}, {"delta": {"content": "a"}}]}
    found = deltas(json.dumps(body).encode(), choices=2)
    assert [(delta.choice, delta.text) for delta in found] == [(1, "b"), (0, "a")]


@pytest.mark.parametrize("index", [-1, 1, 10**9])
def test_a_choice_that_was_not_asked_for_is_a_failure(index: int) -> None:
    with pytest.raises(Problem) as caught:
        deltas(chunk({"content": "x"}, index=index))
    assert caught.value.code is Code.ENGINE_FAILED


def test_a_tool_call_in_pieces() -> None:
    found = deltas(
        chunk({"tool_calls": [tool(0, "f", id="c1")]}),
        chunk({"tool_calls": [tool(0, arguments='{"a"')]}),
        chunk({"tool_calls": [tool(0, arguments=":1}")]}, finish="tool_calls"),
    )
    assert [delta.tool_call for delta in found] == [
        ToolCallDelta(0, "", "c1", "f"),
        ToolCallDelta(0, '{"a"'),
        ToolCallDelta(0, ":1}"),
    ]
    assert [delta.output_tokens for delta in found] == [1, 1, 1]
    assert found[-1].finish is FinishReason.TOOL_CALLS


def test_a_repeated_id_and_name_are_told_once() -> None:
    piece = chunk({"tool_calls": [tool(0, "f", id="c1", arguments="x")]})
    first, second = deltas(piece, piece)
    assert first.tool_call == ToolCallDelta(0, "x", "c1", "f")
    assert second.tool_call == ToolCallDelta(0, "x")


def test_calls_without_an_index_are_told_apart_by_place() -> None:
    found = deltas(chunk({"tool_calls": [tool(None, "f", id="a"), tool(None, "g", id="b")]}))
    assert [d.tool_call and d.tool_call.index for d in found] == [0, 1]
    assert [delta.output_tokens for delta in found] == [1, 0]


def test_the_same_index_in_two_choices_is_two_calls() -> None:
    one, two = deltas(
        chunk({"tool_calls": [tool(0, "f", id="a")]}),
        chunk({"tool_calls": [tool(0, "f", id="b")]}, index=1),
        choices=2,
    )
    assert (one.tool_call, two.tool_call) == (
        ToolCallDelta(0, "", "a", "f"),
        ToolCallDelta(0, "", "b", "f"),
    )


def test_a_call_without_an_id_gets_one_and_arguments_may_be_an_object() -> None:
    (found,) = deltas(chunk({"tool_calls": [tool(2, "f", arguments={"a": 1})]}))
    assert found.tool_call == ToolCallDelta(2, '{"a":1}', "call_0_2", "f")


@pytest.mark.parametrize(
    "piece", [tool(0), tool(0, ""), tool(-1, "f"), tool(TOOL_CALLS_MAX, "f"), {"index": 0}]
)
def test_a_call_that_cannot_be_is_a_failure(piece: dict[str, Any]) -> None:
    with pytest.raises(Problem) as caught:
        deltas(chunk({"tool_calls": [piece]}))
    assert caught.value.code is Code.ENGINE_FAILED


def test_text_and_a_call_in_one_chunk_are_two_steps_of_one_token() -> None:
    text, call = deltas(chunk({"content": "x", "tool_calls": [tool(0, "f", id="c")]}))
    assert (text.text, text.output_tokens) == ("x", 1)
    assert (call.tool_call is not None, call.output_tokens) == (True, 0)


def test_logprobs_count_the_tokens() -> None:
    entries = [
        {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []},
        {"token": "b", "logprob": -1, "top_logprobs": [{"token": "c", "logprob": -2.5}]},
        {"token": "d", "logprob": -9999.0, "top_logprobs": None},
    ]
    (found,) = deltas(chunk({"content": "abd"}, logprobs={"content": entries}))
    assert found.output_tokens == 3
    assert found.logprobs == (
        TokenLogprob("a", -0.5),
        TokenLogprob("b", -1, (("c", -2.5),)),
        TokenLogprob("d", -9999.0),
    )


@pytest.mark.parametrize("logprobs", [None, {}, {"content": None}, {"content": []}])
def test_no_logprobs(logprobs: object) -> None:
    (found,) = deltas(chunk({"content": "x"}, logprobs=logprobs))
    assert found.logprobs == ()
    assert found.output_tokens == 1


def test_logprobs_of_a_chunk_without_text_are_kept() -> None:
    entries = {"content": [{"token": "", "logprob": -1.0}]}
    (found,) = deltas(chunk({"content": ""}, logprobs=entries))
    assert found.output_tokens == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"5",
        b'{"choices": 5}',
        b'{"choices": [5]}',
        b'{"choices": [{"index": "0"}]}',
        b'{"choices": [{"index": true}]}',
        b'{"choices": [{"delta": {"content": 5}}]}',
        b'{"choices": [{"delta": {"tool_calls": {}}}]}',
        b'{"choices": [{"finish_reason": 1}]}',
        b'{"choices": [{"logprobs": {"content": [{"token": "a"}]}}]}',
        b'{"choices": [{"delta": {"content": "\xff"}}]}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_what_is_no_chunk_is_a_failure(data: bytes) -> None:
    with pytest.raises(Problem) as caught:
        deltas(data)
    assert caught.value.code is Code.ENGINE_FAILED


@given(st.binary(max_size=60))
def test_noise_is_a_failure_or_nothing(noise: bytes) -> None:
    fold = AnswerFold(1)
    try:
        fold.feed(noise)
    except Problem as problem:
        found = problem.code
    else:
        found = Code.ENGINE_FAILED
    assert found is Code.ENGINE_FAILED


def test_chunks_without_choices_say_nothing() -> None:
    assert deltas(b'{"choices": []}', b'{"choices": null}', b"{}", b'{"object": "ping"}') == []


@pytest.mark.parametrize("error", [{"message": "x", "code": 400}, "text", ["x"], 5])
def test_an_error_object_is_raised_as_it_is(error: object) -> None:
    with pytest.raises(StreamError) as caught:
        deltas(json.dumps({"error": error}).encode())
    assert caught.value.error == error


def test_a_null_error_is_none() -> None:
    assert deltas(b'{"error": null, "choices": []}') == []


def usage(**fields: Any) -> dict[str, Any]:
    return {"prompt_tokens": 10, "completion_tokens": 5} | fields


def read(body: object) -> Usage | None:
    return usage_from(json.dumps(body).encode())


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (usage(), Usage(10, 5)),
        (usage(total_tokens=99), Usage(10, 5)),
        (usage(prompt_tokens_details={"cached_tokens": 10}), Usage(10, 5, 10)),
        (usage(prompt_tokens_details={"cached_tokens": 0}), Usage(10, 5, 0)),
        (usage(prompt_tokens_details={"cached_tokens": None}), Usage(10, 5)),
        (usage(prompt_tokens_details=None), Usage(10, 5)),
        (
            usage(prompt_tokens_details={"cached_tokens": 4, "cache_write_tokens": 6}),
            Usage(10, 5, 4, cache_write_tokens=6),
        ),
        (
            usage(prompt_tokens_details={"cache_write_tokens": 10}),
            Usage(10, 5, cache_write_tokens=10),
        ),
        (
            usage(prompt_tokens_details={"cached_tokens": 4, "created_cache_tokens": 6}),
            Usage(10, 5, 4, cache_write_tokens=6),
        ),
        (
            usage(prompt_tokens_details={"cache_write_tokens": 3, "created_cache_tokens": 6}),
            Usage(10, 5, cache_write_tokens=3),
        ),
        (usage(completion_tokens_details={"reasoning_tokens": 5}), Usage(10, 5, None, 5)),
        (usage(completion_tokens_details={"reasoning_tokens": None}), Usage(10, 5)),
        ({"prompt_tokens": 0}, Usage(0, 0)),
    ],
)
def test_sound_usage(body: object, expected: Usage) -> None:
    assert read(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        None,
        5,
        [],
        {},
        usage(prompt_tokens=-1),
        usage(completion_tokens=-1),
        usage(prompt_tokens=1.5),
        usage(prompt_tokens="10"),
        usage(prompt_tokens=True),
        usage(prompt_tokens=None),
        usage(completion_tokens=2**70),
        usage(prompt_tokens_details={"cached_tokens": 11}),
        usage(prompt_tokens_details={"cached_tokens": -1}),
        usage(prompt_tokens_details={"cache_write_tokens": -1}),
        usage(prompt_tokens_details={"cached_tokens": 5, "cache_write_tokens": 6}),
        usage(prompt_tokens_details={"cached_tokens": 5, "created_cache_tokens": 6}),
        usage(completion_tokens_details={"reasoning_tokens": 6}),
        usage(completion_tokens_details={"reasoning_tokens": -1}),
        usage(completion_tokens_details=5),
    ],
)
def test_usage_that_cannot_be_true_is_missing(body: object) -> None:
    assert read(body) is None


@given(
    st.integers(-5, 50),
    st.integers(-5, 50),
    st.none() | st.integers(-5, 60),
    st.none() | st.integers(-5, 60),
    st.none() | st.integers(-5, 60),
)
def test_usage_is_taken_exactly_when_it_is_sound(
    prompt: int,
    completion: int,
    cached: int | None,
    written: int | None,
    reasoning: int | None,
) -> None:
    found = read(
        {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        }
    )
    parts = (cached or 0, written or 0)
    sound = min(parts) >= 0 and sum(parts) <= prompt and 0 <= (reasoning or 0) <= completion
    expected = Usage(prompt, completion, cached, reasoning or 0, cache_write_tokens=written or 0)
    assert found == (expected if sound else None)


def counted(**fields: Any) -> bytes:
    return json.dumps({"choices": [], "usage": usage(**fields)}).encode()


def test_the_last_sound_usage_counts() -> None:
    fold = AnswerFold(1)
    fold.feed(counted(completion_tokens=1))
    assert fold.usage == Usage(10, 1)
    fold.feed(counted())
    fold.feed(counted(completion_tokens=-1))
    fold.feed(chunk({"content": "x"}, finish="stop"))
    _, end = fold.end()
    assert end.usage == Usage(10, 5)


def test_the_fingerprint_is_kept() -> None:
    fold = AnswerFold(1)
    fold.feed(b'{"system_fingerprint": "fp_1"}')
    fold.feed(chunk({"content": "x"}, finish="stop"))
    assert fold.end()[1].fingerprint == "fp_1"


@pytest.mark.parametrize("done", [b"[DONE]", b" [DONE]", b"[DONE]\r"])
def test_done_is_heard(done: bytes) -> None:
    fold = AnswerFold(1)
    assert fold.feed(done) == []
    assert fold.done


def test_an_end_without_done_is_fine_when_every_choice_is_finished() -> None:
    fold = AnswerFold(2)
    for index in (0, 1):
        fold.feed(chunk({"content": "x"}, index=index, finish="stop"))
    assert not fold.done
    last, end = fold.end()
    assert last == []
    assert end.usage is None
    assert not end.cancelled


def test_done_without_a_reason_is_a_stop() -> None:
    fold = AnswerFold(2)
    fold.feed(chunk({"content": "x"}, finish="length"))
    fold.feed(b"[DONE]")
    last, _ = fold.end()
    assert last == [Delta(choice=1, finish=FinishReason.STOP)]


@pytest.mark.parametrize(
    "data",
    [
        [],
        [b"[DONE]"],
        [b'{"choices": []}', b"[DONE]"],
        [chunk({"content": "x"})],
    ],
)
def test_a_cut_or_empty_stream_is_a_failure(data: list[bytes]) -> None:
    fold = AnswerFold(1)
    for one in data:
        fold.feed(one)
    with pytest.raises(Problem) as caught:
        fold.end()
    assert caught.value.code is Code.ENGINE_FAILED


def test_a_chunk_of_a_text_completion() -> None:
    logprobs = {
        "tokens": ["a", "b"],
        "token_logprobs": [None, -1.5],
        "top_logprobs": [{"a": -0.5, "c": -0.1}],
        "text_offset": [0, 1],
    }
    said = chunk(None, text="ab", logprobs=logprobs)
    places = (TokenLogprob("a", 0.0, (("c", -0.1), ("a", -0.5))), TokenLogprob("b", -1.5))
    assert deltas(said) == [Delta(text="ab", logprobs=places, output_tokens=2)]
    assert deltas(chunk(None, text="x")) == [Delta(text="x", output_tokens=1)]
    last = deltas(chunk(None, text="", finish="length"))
    assert last == [Delta(finish=FinishReason.LENGTH)]
