"""The official client against the dialect, in one interpreter: what it sends is read as meant, what
is written it reads back, and what it got it can send again."""

import json
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI
from openai.types.responses import Response
from pydantic import BaseModel

from tests.support.responses import FRAME, RECEIPT, USAGE
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, FinishReason, RunEnd, ToolCallDelta
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import FormatKind, Role, ToolChoice, ToolMode, Turn
from tokenbooth.protocols.dialect import Parsed
from tokenbooth.protocols.openai_responses import OPENAI_RESPONSES

STOPPED = Delta(finish=FinishReason.STOP)
WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}
PATCH: Any = {"type": "custom", "name": "patch"}
CALLING = [
    Delta(reasoning="I should look."),
    Delta(text="Let me look."),
    Delta(tool_call=ToolCallDelta(0, "", "call_a", "weather")),
    Delta(tool_call=ToolCallDelta(0, '{"city":')),
    Delta(tool_call=ToolCallDelta(1, '{"input":"*** Begin"}', "call_b", "patch")),
    Delta(tool_call=ToolCallDelta(0, '"Oslo"}'), finish=FinishReason.TOOL_CALLS),
]


class Booth:
    """Answers each call with ``deltas``, or refuses it with ``problem``; keeps what it read."""

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
        self.read: list[Parsed] = []

    @property
    def turn(self) -> Turn:
        return self.read[-1].turn

    def answer(self, call: httpx2.Request) -> httpx2.Response:
        assert call.url.path == "/v1/responses"
        try:
            parsed = OPENAI_RESPONSES.parse(call.content)
            self.read.append(parsed)
            if self.problem is not None:
                raise self.problem
        except Problem as problem:
            refusal = OPENAI_RESPONSES.refusal(problem, FRAME.request_id)
            return httpx2.Response(refusal.status, headers=refusal.headers, content=refusal.body)
        writer = OPENAI_RESPONSES.writer(parsed, FRAME)
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


def asked(booth: Booth, *, stream: bool, **fields: Any) -> Response:
    """One answer, whole or put together by the client's own stream helper."""
    sent: Any = {"model": "m", "input": "hi", **fields}
    with client_of(booth) as client:
        if not stream:
            whole: Response = client.responses.create(**sent)
            return whole
        with client.responses.stream(**sent) as events:
            events.until_done()
            final: Response = events.get_final_response()
            return final


BOTH = pytest.mark.parametrize("stream", [False, True])


@BOTH
def test_a_plain_answer(stream: bool) -> None:
    made = asked(Booth(), stream=stream)
    assert made.id == "resp_1f"
    assert made.output_text == "hello"
    assert made.status == "completed"
    assert made.usage is not None
    assert (made.usage.input_tokens, made.usage.output_tokens) == (3, 4)
    assert made.usage.input_tokens_details.cached_tokens == 1
    assert made.usage.output_tokens_details.reasoning_tokens == 2
    assert (made.usage.model_extra or {})["cost"]["amount"] == "0.000000007"
    assert (made.model_extra or {})["system_fingerprint"] == "fp_1"


@BOTH
def test_calls_of_tools(stream: bool) -> None:
    made = asked(Booth(CALLING), stream=stream, tools=[WEATHER, PATCH])
    thought, said, weather, patch = made.output
    assert thought.type == "reasoning"
    assert thought.content is not None
    assert thought.content[0].text == "I should look."
    assert said.type == "message"
    assert made.output_text == "Let me look."
    assert weather.type == "function_call"
    assert (weather.call_id, json.loads(weather.arguments)) == ("call_a", {"city": "Oslo"})
    assert patch.type == "custom_tool_call"
    assert (patch.call_id, patch.input) == ("call_b", "*** Begin")


@BOTH
def test_what_came_back_can_be_sent_again(stream: bool) -> None:
    booth = Booth(CALLING)
    made = asked(booth, stream=stream, tools=[WEATHER, PATCH])
    returned: list[Any] = [
        {"role": "user", "content": "hi"},
        *(item.model_dump() for item in made.output),
        {"type": "function_call_output", "call_id": "call_a", "output": "sunny"},
        {"type": "custom_tool_call_output", "call_id": "call_b", "output": "done"},
    ]
    asked(booth, stream=stream, input=returned, tools=[WEATHER, PATCH])
    user, assistant, first, second = booth.turn.messages
    assert user.role is Role.USER
    assert assistant.text == "Let me look."
    assert assistant.reasoning == "I should look."
    assert [call.id for call in assistant.tool_calls] == ["call_a", "call_b"]
    assert json.loads(assistant.tool_calls[1].arguments) == {"input": "*** Begin"}
    assert (first.tool_call_id, second.tool_call_id) == ("call_a", "call_b")
    assert {note.param for note in booth.read[-1].notes} <= {
        "input[].type=reasoning",
        "tools[].type=custom",
    }


@BOTH
def test_structured_output(stream: bool) -> None:
    class Place(BaseModel):
        name: str

    booth = Booth([Delta(text='{"name":'), Delta(text='"Oslo"}'), STOPPED])
    with client_of(booth) as client:
        if stream:
            with client.responses.stream(model="m", input="hi", text_format=Place) as events:
                events.until_done()
                found = events.get_final_response().output_parsed
        else:
            found = client.responses.parse(model="m", input="hi", text_format=Place).output_parsed
    assert found == Place(name="Oslo")
    assert booth.turn.output_format.kind is FormatKind.JSON_SCHEMA
    assert booth.turn.output_format.strict is True


def test_the_events_of_the_stream_helper() -> None:
    with (
        client_of(Booth([Delta(text="hel"), Delta(text="lo"), STOPPED])) as client,
        client.responses.stream(model="m", input="hi") as stream,
    ):
        snapshots = [e.snapshot for e in stream if e.type == "response.output_text.delta"]
    assert snapshots == ["hel", "hello"]


@BOTH
def test_refusals_and_summaries(stream: bool) -> None:
    deltas = [Delta(reasoning="No."), Delta(refusal="I will not."), STOPPED]
    made = asked(Booth(deltas), stream=stream, reasoning={"summary": "auto"})
    thought, said = made.output
    assert thought.type == "reasoning"
    assert thought.summary[0].text == "No."
    assert said.type == "message"
    assert said.content[0].type == "refusal"
    assert said.content[0].refusal == "I will not."


def test_an_answer_cut_by_length() -> None:
    booth = Booth([Delta(text="ab", finish=FinishReason.LENGTH)])
    made = asked(booth, stream=False, max_output_tokens=2)
    assert made.status == "incomplete"
    assert made.incomplete_details is not None
    assert made.incomplete_details.reason == "max_output_tokens"
    with (
        client_of(booth) as client,
        client.responses.stream(model="m", input="hi") as stream,
    ):
        kinds = [event.type for event in stream]
    assert kinds[-1] == "response.incomplete"


def test_a_failure_inside_a_stream() -> None:
    booth = Booth(broken_after=Problem(Code.ENGINE_FAILED, "It broke."))
    with client_of(booth) as client:
        events = list(client.responses.create(model="m", input="hi", stream=True))
    last = events[-1]
    assert last.type == "response.failed"
    assert last.response.error is not None
    assert last.response.error.code == "server_error"
    assert last.response.error.message == "It broke."
    assert [event.sequence_number for event in events] == list(range(len(events)))


@BOTH
@pytest.mark.parametrize(
    ("code", "raised"),
    [
        (Code.INVALID_KEY, openai.AuthenticationError),
        (Code.BALANCE_EXHAUSTED, openai.RateLimitError),
        (Code.MODEL_NOT_FOUND, openai.NotFoundError),
        (Code.UNSUPPORTED_FEATURE, openai.BadRequestError),
        (Code.ENGINE_FAILED, openai.InternalServerError),
    ],
)
def test_a_refusal_is_the_clients_own_error(
    stream: bool, code: Code, raised: type[openai.APIStatusError]
) -> None:
    booth = Booth(problem=Problem(code, "No.", param="messages"))
    with pytest.raises(raised) as caught:
        asked(booth, stream=stream)
    error: Any = caught.value.body
    assert (error["code"], error["param"]) == (code.text, "input")


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", ToolChoice()),
        ("none", ToolChoice(ToolMode.NONE)),
        ("required", ToolChoice(ToolMode.REQUIRED)),
        ({"type": "function", "name": "weather"}, ToolChoice(ToolMode.NAMED, "weather")),
        ({"type": "custom", "name": "patch"}, ToolChoice(ToolMode.NAMED, "patch")),
    ],
)
def test_every_choice_of_tools(choice: Any, expected: ToolChoice) -> None:
    booth = Booth()
    made = asked(booth, stream=False, tools=[WEATHER, PATCH], tool_choice=choice)
    assert booth.turn.tool_choice == expected
    given = made.tool_choice
    assert (given if isinstance(given, str) else given.model_dump()) == choice


def test_the_answer_gives_back_what_was_asked() -> None:
    sent: dict[str, Any] = {
        "instructions": "Be kind.",
        "metadata": {"a": "b"},
        "max_output_tokens": 9,
        "parallel_tool_calls": False,
        "temperature": 0.5,
        "top_p": 0.9,
        "safety_identifier": "s",
        "prompt_cache_key": "k",
    }
    made = asked(Booth(), stream=False, tools=[WEATHER, PATCH], **sent)
    assert {name: getattr(made, name) for name in sent} == sent
    assert [tool.type for tool in made.tools] == ["function", "custom"]
    assert made.truncation == "disabled"
    assert made.background is False
    assert made.previous_response_id is None


def test_the_answer_of_a_coding_agent() -> None:
    """The fields that a known agent sends with every call: all are taken."""
    booth = Booth(CALLING)
    asked(
        booth,
        stream=True,
        instructions="You are a coding agent.",
        input=[
            {"type": "message", "role": "developer", "content": [_text("rules")]},
            {"type": "message", "role": "user", "content": [_text("fix it")]},
        ],
        tools=[WEATHER, PATCH, {"type": "web_search", "external_web_access": False}],
        tool_choice="auto",
        parallel_tool_calls=False,
        reasoning={"effort": "medium", "summary": "auto"},
        store=False,
        include=["reasoning.encrypted_content"],
        prompt_cache_key="thread-1",
        text={"verbosity": "medium"},
        extra_body={"client_metadata": {"originator": "x"}},
    )
    assert [message.role for message in booth.turn.messages] == [
        Role.SYSTEM,
        Role.DEVELOPER,
        Role.USER,
    ]
    assert [tool.name for tool in booth.turn.tools] == ["weather", "patch"]
    assert booth.turn.reasoning_effort == "medium"
    assert {note.param for note in booth.read[-1].notes} == {
        "text.verbosity",
        "tools[].type=custom",
        "tools[].type=web_search",
        "reasoning.summary",
        "client_metadata",
    }


def _text(said: str) -> dict[str, str]:
    return {"type": "input_text", "text": said}
