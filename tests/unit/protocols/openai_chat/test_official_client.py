"""The official client against the dialect, in one interpreter: what it sends is read as meant, what
is written it reads back, and what is refused becomes its own error class."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel

from tokenbooth.core.codes import Code
from tokenbooth.core.delta import (
    Delta,
    FinishReason,
    RunEnd,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope, LimitState, Outcome, Receipt
from tokenbooth.core.turn import FormatKind, Role, ToolChoice, ToolMode, Turn
from tokenbooth.protocols.dialect import AnswerFrame
from tokenbooth.protocols.openai_chat import OPENAI_CHAT

HI: Any = [{"role": "user", "content": "hi"}]
USAGE = Usage(12, 3, cached_input_tokens=8, reasoning_tokens=1)
LIMITS = (LimitState(LimitScope.BALANCE, "org_1", 1000, 21, 0),)
RECEIPT = Receipt("req_1", Outcome.COMPLETED, "stop", USAGE, 21, "price_1", LIMITS)
STOPPED = Delta(finish=FinishReason.STOP)
CALLING = [
    Delta(tool_call=ToolCallDelta(0, "", "call_a", "weather")),
    Delta(tool_call=ToolCallDelta(0, '{"city":')),
    Delta(tool_call=ToolCallDelta(1, '{"city":"Rome"}', "call_b", "weather")),
    Delta(tool_call=ToolCallDelta(0, '"Oslo"}'), finish=FinishReason.TOOL_CALLS),
]


class Booth:
    """Answers each call with ``deltas``, or refuses it with ``problem``; keeps every turn."""

    def __init__(
        self,
        deltas: list[Delta] | None = None,
        *,
        problem: Problem | None = None,
        broken_after: Problem | None = None,
    ) -> None:
        self.deltas = deltas if deltas is not None else [Delta(text="hello"), STOPPED]
        self.problem = problem
        self.broken_after = broken_after
        self.turns: list[Turn] = []
        self.calls = 0

    def answer(self, call: httpx2.Request) -> httpx2.Response:
        self.calls += 1
        try:
            parsed = OPENAI_CHAT.parse(call.content)
            self.turns.append(parsed.turn)
            if self.problem is not None:
                raise self.problem
        except Problem as problem:
            refusal = OPENAI_CHAT.refusal(problem, "req_1")
            return httpx2.Response(refusal.status, headers=refusal.headers, content=refusal.body)
        writer = OPENAI_CHAT.writer(parsed, AnswerFrame("req_1", 1_700_000_000, "m"))
        body = b"".join(map(writer.delta, self.deltas)) + writer.heartbeat()
        if self.broken_after is not None:
            body += writer.problem(self.broken_after)
        else:
            body += writer.closing(RunEnd(USAGE, fingerprint="fp_1"), RECEIPT)
        return httpx2.Response(200, headers={"content-type": writer.content_type}, content=body)


def client_of(booth: Booth, **options: Any) -> OpenAI:
    return OpenAI(
        api_key="k",
        base_url="http://booth/v1",
        http_client=httpx2.Client(transport=httpx2.MockTransport(booth.answer)),
        **{"max_retries": 0, **options},
    )


@pytest.fixture
def asked() -> Iterator[Callable[..., Turn]]:
    """Sends one call with the official client; returns the turn that it became."""
    booth = Booth()
    with client_of(booth) as client:

        def ask(**fields: Any) -> Turn:
            client.chat.completions.create(**{"model": "m", "messages": HI, **fields})
            return booth.turns[-1]

        yield ask


def test_a_plain_answer() -> None:
    with client_of(Booth()) as client:
        made = client.chat.completions.create(model="m", messages=HI)
    assert made.id == "chatcmpl-req_1"
    assert made.system_fingerprint == "fp_1"
    assert made.choices[0].message.content == "hello"
    assert made.choices[0].finish_reason == "stop"
    assert made.usage is not None
    assert (made.usage.prompt_tokens, made.usage.completion_tokens) == (12, 3)
    assert made.usage.prompt_tokens_details is not None
    assert made.usage.prompt_tokens_details.cached_tokens == 8
    assert made.usage.completion_tokens_details is not None
    assert made.usage.completion_tokens_details.reasoning_tokens == 1
    extra = made.usage.model_extra or {}
    assert extra["cost"]["amount"] == "0.000000021"
    assert extra["limits"][0]["remaining"]["amount_nano"] == 979


def test_a_streamed_answer() -> None:
    booth = Booth([Delta(text="hel"), Delta(text="lo"), STOPPED])
    with client_of(booth) as client:
        chunks = list(client.chat.completions.create(model="m", messages=HI, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "hello"
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, None, "stop"]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert all(chunk.usage is None for chunk in chunks)


def test_usage_of_a_stream_comes_last_when_asked() -> None:
    with client_of(Booth()) as client:
        chunks = list(
            client.chat.completions.create(
                model="m", messages=HI, stream=True, stream_options={"include_usage": True}
            )
        )
    assert [chunk.usage is not None for chunk in chunks] == [False, False, True]
    last = chunks[-1]
    assert last.choices == []
    assert last.system_fingerprint == "fp_1"
    assert last.usage is not None
    assert last.usage.total_tokens == 15
    assert (last.usage.model_extra or {})["cost"]["price_version"] == "price_1"


@pytest.mark.parametrize("stream", [True, False])
def test_tool_calls(stream: bool) -> None:
    with client_of(Booth(CALLING)) as client:
        if stream:
            with client.chat.completions.stream(model="m", messages=HI) as events:
                made = events.get_final_completion().choices[0]
        else:
            made = client.chat.completions.create(model="m", messages=HI).choices[0]  # type: ignore[assignment]
    calls = made.message.tool_calls or []
    assert made.finish_reason == "tool_calls"
    assert made.message.content is None
    assert [call.id for call in calls] == ["call_a", "call_b"]
    assert [json.loads(call.function.arguments)["city"] for call in calls] == ["Oslo", "Rome"]


def test_several_choices_are_put_together() -> None:
    deltas = [
        Delta(choice=1, text="b"),
        Delta(choice=0, text="a"),
        Delta(choice=1, text="B", finish=FinishReason.STOP),
        Delta(choice=0, text="A", finish=FinishReason.STOP),
    ]
    with (
        client_of(Booth(deltas)) as client,
        client.chat.completions.stream(model="m", messages=HI, n=2) as events,
    ):
        made = events.get_final_completion()
    by_index = {choice.index: choice for choice in made.choices}
    assert {index: choice.message.content for index, choice in by_index.items()} == {
        0: "aA",
        1: "bB",
    }


def test_a_choice_cut_by_length_is_told_by_the_stream_helper() -> None:
    booth = Booth([Delta(text="ab", finish=FinishReason.LENGTH)])
    with (
        client_of(booth) as client,
        client.chat.completions.stream(model="m", messages=HI) as events,
        pytest.raises(openai.LengthFinishReasonError) as caught,
    ):
        events.get_final_completion()
    assert caught.value.completion.choices[0].message.content == "ab"


@pytest.mark.parametrize("stream", [True, False])
def test_logprobs(stream: bool) -> None:
    first = TokenLogprob("he", -0.25, (("he", -0.25), ("ho", -2.0)))
    deltas = [
        Delta(text="he", logprobs=(first,)),
        Delta(text="llo", logprobs=(TokenLogprob("llo", -0.5),), finish=FinishReason.STOP),
    ]
    asked: Any = {"model": "m", "messages": HI, "logprobs": True, "top_logprobs": 2}
    with client_of(Booth(deltas)) as client:
        if stream:
            with client.chat.completions.stream(**asked) as events:
                choice: Any = events.get_final_completion().choices[0]
        else:
            choice = client.chat.completions.create(**asked).choices[0]
    places = choice.logprobs.content
    assert [place.token for place in places] == ["he", "llo"]
    assert [place.logprob for place in places] == [-0.25, -0.5]
    assert [one.token for one in places[0].top_logprobs] == ["he", "ho"]
    assert places[1].bytes == list(b"llo")


def test_reasoning_arrives_beside_the_text() -> None:
    deltas = [Delta(reasoning="think"), Delta(reasoning="ing"), Delta(text="done"), STOPPED]
    with client_of(Booth(deltas)) as client:
        whole = client.chat.completions.create(model="m", messages=HI).choices[0].message
        chunks = list(client.chat.completions.create(model="m", messages=HI, stream=True))
    assert (whole.content, (whole.model_extra or {})["reasoning_content"]) == ("done", "thinking")
    extras = [(chunk.choices[0].delta.model_extra or {}) for chunk in chunks]
    assert "".join(extra.get("reasoning_content") or "" for extra in extras) == "thinking"


def test_refusals_arrive() -> None:
    with client_of(Booth([Delta(refusal="no"), STOPPED])) as client:
        whole = client.chat.completions.create(model="m", messages=HI).choices[0].message
        with client.chat.completions.stream(model="m", messages=HI) as events:
            streamed = events.get_final_completion().choices[0].message
    assert whole.refusal == streamed.refusal == "no"


class Person(BaseModel):
    name: str
    age: int


@pytest.mark.parametrize("stream", [True, False])
def test_structured_output(stream: bool) -> None:
    booth = Booth([Delta(text='{"name":"Ada",'), Delta(text='"age":36}'), STOPPED])
    asked: Any = {"model": "m", "messages": HI, "response_format": Person}
    with client_of(booth) as client:
        if stream:
            with client.chat.completions.stream(**asked) as events:
                made: Any = events.get_final_completion()
        else:
            made = client.chat.completions.parse(**asked)
    assert made.choices[0].message.parsed == Person(name="Ada", age=36)
    wanted = booth.turns[0].output_format
    assert (wanted.kind, wanted.name, wanted.strict) == (FormatKind.JSON_SCHEMA, "Person", True)
    assert json.loads(wanted.schema_json or "")["required"] == ["name", "age"]


def test_pydantic_tools_are_read(asked: Callable[..., Turn]) -> None:
    turn = asked(tools=[openai.pydantic_function_tool(Person, name="save")], tool_choice="required")
    assert turn.tool_choice == ToolChoice(ToolMode.REQUIRED)
    assert (turn.tools[0].name, turn.tools[0].strict) == ("save", True)
    assert json.loads(turn.tools[0].schema_json)["additionalProperties"] is False


def test_what_the_client_sends_is_what_is_meant(asked: Callable[..., Turn]) -> None:
    turn = asked(
        temperature=0.2,
        top_p=0.9,
        max_completion_tokens=64,
        n=2,
        stop=["\n"],
        seed=7,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        logit_bias={"42": 5},
        reasoning_effort="low",
        verbosity="high",
        safety_identifier="customer-1",
        parallel_tool_calls=False,
    )
    sampling = turn.sampling
    assert (sampling.temperature, sampling.top_p, sampling.seed) == (0.2, 0.9, 7)
    assert (sampling.presence_penalty, sampling.frequency_penalty) == (0.5, -0.5)
    assert (sampling.stop, sampling.logit_bias) == (("\n",), ((42, 5.0),))
    assert (turn.output_tokens_max, turn.choices, turn.reasoning_effort) == (64, 2, "low")
    assert (turn.end_customer, turn.parallel_tool_calls) == ("customer-1", False)
    assert turn.hints == {"verbosity": "high"}


def test_an_answer_can_be_sent_back(asked: Callable[..., Turn]) -> None:
    """The whole message, with its nulls and extra fields, as agents do between tool turns."""
    with client_of(Booth(CALLING)) as client:
        message = client.chat.completions.create(model="m", messages=HI).choices[0].message
    turn = asked(
        messages=[
            *HI,
            message,
            {"role": "tool", "tool_call_id": "call_a", "content": "cold"},
            {"role": "tool", "tool_call_id": "call_b", "content": "warm"},
        ]
    )
    said = turn.messages[1]
    assert said.role is Role.ASSISTANT
    assert [call.id for call in said.tool_calls] == ["call_a", "call_b"]
    assert [message.tool_call_id for message in turn.messages[2:]] == ["call_a", "call_b"]


REFUSALS: list[tuple[Code, type[openai.APIStatusError]]] = [
    (Code.INVALID_VALUE, openai.BadRequestError),
    (Code.CONTEXT_LENGTH_EXCEEDED, openai.BadRequestError),
    (Code.UNSUPPORTED_FEATURE, openai.BadRequestError),
    (Code.CONTENT_BLOCKED, openai.BadRequestError),
    (Code.INVALID_KEY, openai.AuthenticationError),
    (Code.SCOPE_MISSING, openai.PermissionDeniedError),
    (Code.MODEL_NOT_FOUND, openai.NotFoundError),
    (Code.STATE_CONFLICT, openai.ConflictError),
    (Code.BALANCE_EXHAUSTED, openai.RateLimitError),
    (Code.CAP_REACHED, openai.RateLimitError),
    (Code.RATE_LIMITED, openai.RateLimitError),
    (Code.ENGINE_BUSY, openai.InternalServerError),
    (Code.ENGINE_FAILED, openai.InternalServerError),
    (Code.RUN_TIMEOUT, openai.InternalServerError),
]


@pytest.mark.parametrize(("code", "error"), REFUSALS)
def test_refusals_are_the_clients_own_errors(
    code: Code, error: type[openai.APIStatusError]
) -> None:
    booth = Booth(problem=Problem(code, "Because.", param="model"))
    with client_of(booth) as client, pytest.raises(error) as caught:
        client.chat.completions.create(model="m", messages=HI)
    assert caught.value.code == code.text
    assert caught.value.param == "model"
    assert "Because." in str(caught.value)


@pytest.mark.parametrize(
    "code",
    [
        Code.BALANCE_EXHAUSTED,
        Code.CAP_REACHED,
        Code.OUTPUT_UNAFFORDABLE,
        Code.STATE_CONFLICT,
        Code.RUN_TIMEOUT,
        Code.UPSTREAM_REJECTED,
        Code.INVALID_VALUE,
    ],
)
def test_what_cannot_succeed_is_not_tried_again(code: Code) -> None:
    booth = Booth(problem=Problem(code, "Because."))
    with (
        client_of(booth, max_retries=2) as client,
        pytest.raises(openai.APIStatusError),
    ):
        client.chat.completions.create(model="m", messages=HI)
    assert booth.calls == 1


def test_money_that_running_calls_hold_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    booth = Booth(problem=Problem(Code.BALANCE_EXHAUSTED, "Held.", retry_after_s=1))
    pauses: list[int] = []
    with client_of(booth, max_retries=2) as client:
        monkeypatch.setattr(client, "_sleep_for_retry", lambda **_: pauses.append(1))
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(model="m", messages=HI)
    assert (booth.calls, len(pauses)) == (3, 2)
    assert caught.value.code == "insufficient_quota"
    assert caught.value.response.headers["retry-after"] == "1"


def test_a_late_failure_is_an_error_of_the_stream() -> None:
    booth = Booth([Delta(text="hel")], broken_after=Problem(Code.ENGINE_FAILED, "It broke."))
    texts: list[str] = []
    with client_of(booth) as client:
        stream = client.chat.completions.create(model="m", messages=HI, stream=True)
        with pytest.raises(openai.APIError, match="It broke") as caught:
            texts.extend(chunk.choices[0].delta.content or "" for chunk in stream)
    assert caught.value.code == "engine_failed"
    assert texts == ["hel"] or texts == []


def test_a_mistake_names_its_place() -> None:
    bad: Any = [{"role": "user", "content": [{"type": "text", "text": 5}]}]
    with client_of(Booth()) as client, pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="m", messages=bad)
    assert caught.value.param == "messages[0].content[0].text"
