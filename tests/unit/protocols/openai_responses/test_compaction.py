"""Compacting a conversation: what is asked of the model, what comes back, and how it goes on."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, FinishReason, RunEnd, Usage
from tokenbooth.core.features import Feature
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome, Receipt
from tokenbooth.core.terms import ServiceTier
from tokenbooth.core.turn import AudioPart, Message, Role, TextPart
from tokenbooth.protocols.dialect import AnswerFrame, Parsed
from tokenbooth.protocols.openai_responses.compaction import ASK, OPENAI_COMPACTION, PARAMETERS
from tokenbooth.protocols.openai_responses.memory import SUMMARY_HEAD, completed, kept_items
from tokenbooth.protocols.openai_responses.parse import parse as parse_response

FRAME = AnswerFrame("req_0f", 5, "m")
IMAGE = "data:image/png;base64,AA=="
TALK: list[Any] = [
    {"role": "user", "content": "My name is Ada."},
    {"role": "assistant", "content": "Hello."},
    {
        "role": "user",
        "content": [
            {"type": "input_text", "text": "See:"},
            {"type": "input_image", "image_url": IMAGE},
        ],
    },
]
COMPACTED = {"type": "compaction", "id": "cmp_0e_0", "encrypted_content": "sealed"}


def parse(**fields: Any) -> Parsed:
    return OPENAI_COMPACTION.parse(json.dumps({"model": "m", **fields}).encode())


def refused(**fields: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        parse(**fields)
    return caught.value


def sealing(parsed: Parsed) -> Parsed:
    """As the gateway hands it on."""
    assert parsed.memory is not None
    assert parsed.memory.seals
    return replace(parsed, memory=replace(parsed.memory, seal=lambda text: f"<{text}>"))


def said(text: str, role: Role = Role.USER) -> Message:
    return Message(role, (TextPart(text),))


def test_the_model_is_asked_for_a_summary_at_the_end() -> None:
    parsed = parse(input=TALK, instructions="Be kind.")
    assert parsed.turn.messages[0] == said("Be kind.", Role.SYSTEM)
    assert parsed.turn.messages[1:3] == (
        said("My name is Ada."),
        said("Hello.", Role.ASSISTANT),
    )
    assert parsed.turn.messages[-1] == said(ASK)
    assert not parsed.stream
    assert parsed.memory is not None
    assert not parsed.memory.store
    assert parsed.turn.output_tokens_max is None
    assert parse(input="hi").turn.messages == (said("hi"), said(ASK))


def test_what_else_a_body_may_say() -> None:
    parsed = parse(
        input="hi",
        max_output_tokens=64,
        service_tier="flex",
        prompt_cache_key="k",
        prompt_cache_retention="24h",
        no_such_field=1,
    )
    assert parsed.turn.output_tokens_max == 64
    assert parsed.turn.service_tier is ServiceTier.FLEX
    assert parsed.turn.hints == {"prompt_cache_key": "k"}
    assert {note.param for note in parsed.notes} == {"prompt_cache_retention", "no_such_field"}
    assert (refused().code, refused().param) == (Code.MISSING_FIELD, "input")
    assert refused(input="hi", stream=True).code is Code.UNSUPPORTED_FEATURE
    assert refused(input=[{"role": "critic", "content": "a"}]).param == "input[0].role"
    assert len({row.name for row in PARAMETERS}) == len(PARAMETERS)


def test_a_conversation_that_is_stored_is_read_before_it_is_compacted() -> None:
    parsed = parse(previous_response_id="resp_1", instructions="Be kind.")
    assert parsed.turn.messages == ()
    whole = completed(parsed, TALK[:2], {})
    assert whole.turn.messages == (
        said("Be kind.", Role.SYSTEM),
        said("My name is Ada."),
        said("Hello.", Role.ASSISTANT),
        said(ASK),
    )


def test_an_answer_has_what_users_said_and_one_sealed_summary() -> None:
    writer = OPENAI_COMPACTION.writer(sealing(parse(input=TALK)), FRAME)
    assert writer.content_type == "application/json"
    assert writer.delta(Delta(text="Ada ")) == b""
    assert writer.delta(Delta(text="waits.", finish=FinishReason.STOP)) == b""
    assert writer.heartbeat() == b""
    usage = Usage(7, 3)
    receipt = Receipt("req_0f", Outcome.CAP_REACHED, "", usage, 5, "price_1", ())
    document = json.loads(writer.closing(RunEnd(usage), receipt))
    assert document.pop("usage")["total_tokens"] == 10
    assert document == {
        "id": "resp_0f",
        "object": "response.compaction",
        "created_at": 5,
        "model": "m",
        "output": [
            {
                "id": "msg_0f_0",
                "type": "message",
                "status": "completed",
                "role": "user",
                "content": [{"type": "input_text", "text": "My name is Ada."}],
            },
            {
                "id": "msg_0f_1",
                "type": "message",
                "status": "completed",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "See:"},
                    {"type": "input_image", "image_url": IMAGE, "detail": "auto"},
                ],
            },
            {
                "id": "cmp_0f_0",
                "type": "compaction",
                "encrypted_content": "<Ada waits.>",
                "created_by": None,
            },
        ],
        "image": None,
        "stopped": "cap_reached",
    }
    assert writer.closing(RunEnd(usage), receipt) == writer.delta(Delta(text="x")) == b""
    assert writer.problem(Problem(Code.INTERNAL, "late")) == b""


@pytest.mark.parametrize(("kind", "form"), [("wav", "wav"), ("mpeg", "mp3")])
def test_what_users_said_aloud_is_given_back(kind: str, form: str) -> None:
    parsed = sealing(parse(input="Hear:"))
    heard = Message(Role.USER, (AudioPart(f"data:audio/{kind};base64,AAAA"),))
    turn = replace(parsed.turn, messages=(heard, *parsed.turn.messages))
    writer = OPENAI_COMPACTION.writer(replace(parsed, turn=turn), FRAME)
    document = json.loads(writer.closing(RunEnd(Usage(7, 3)), None))
    assert document["output"][0]["content"] == [
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": form}}
    ]


def test_a_failure_is_an_error() -> None:
    writer = OPENAI_COMPACTION.writer(sealing(parse(input="hi")), FRAME)
    problem = Problem(Code.INVALID_VALUE, "no", param="messages")
    assert json.loads(writer.problem(problem))["error"]["param"] == "input"
    assert writer.problem(problem) == b""
    unpaid = OPENAI_COMPACTION.writer(sealing(parse(input="hi")), FRAME)
    assert "stopped" not in json.loads(unpaid.closing(RunEnd(None), None))
    answer = OPENAI_COMPACTION.refusal(problem, "req_0f")
    assert (answer.status, json.loads(answer.body)["error"]["param"]) == (400, "input")
    assert OPENAI_COMPACTION.param_of(Feature.IMAGES) == "input"


def test_a_response_goes_on_from_a_summary() -> None:
    body = {"model": "m", "input": [COMPACTED, {"role": "user", "content": "Go on."}]}
    parsed = parse_response(json.dumps(body).encode())
    assert parsed.memory is not None
    assert parsed.memory.recalls
    assert parsed.memory.thoughts == ("sealed",)
    whole = completed(parsed, (), {}, {"sealed": "Ada waits."})
    assert whole.turn.messages == (
        said(SUMMARY_HEAD + "Ada waits.", Role.ASSISTANT),
        said("Go on."),
    )
    assert whole.memory is not None
    assert b"Ada" not in kept_items(whole.memory, "req_0f")
    listed = json.loads(kept_items(whole.memory, "req_0f"))
    assert listed[0] == {**COMPACTED, "created_by": None}


def test_a_summary_in_what_is_stored_is_opened_again() -> None:
    body = {"model": "m", "input": "Go on.", "previous_response_id": "resp_1"}
    parsed = parse_response(json.dumps(body).encode())
    whole = completed(parsed, [{**COMPACTED, "created_by": None}], {}, {"sealed": "Ada waits."})
    assert whole.turn.messages[0] == said(SUMMARY_HEAD + "Ada waits.", Role.ASSISTANT)


def test_a_summary_that_cannot_be_opened_is_never_left_out() -> None:
    body = {"model": "m", "input": [{"role": "user", "content": "Hi."}, COMPACTED]}
    parsed = parse_response(json.dumps(body).encode())
    with pytest.raises(Problem) as caught:
        completed(parsed, (), {}, {})
    assert caught.value.code is Code.INVALID_VALUE
    assert caught.value.param == "input[1].encrypted_content"
