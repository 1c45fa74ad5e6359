"""Embeddings: texts become a turn without output, and vectors one body."""

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse

from checks.parameters_page import render
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, FinishReason, RunEnd, Usage
from tokenbooth.core.features import Feature
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope, LimitState, Outcome, Receipt
from tokenbooth.core.turn import EmbeddingAsk
from tokenbooth.protocols.dialect import AnswerFrame, Parsed, Writer
from tokenbooth.protocols.openai_embeddings import OPENAI_EMBEDDINGS
from tokenbooth.protocols.openai_embeddings.parameters import PARAMETERS
from tokenbooth.protocols.openai_embeddings.write import packed

FRAME = AnswerFrame("req_1", 1_700_000_000, "m")
USAGE = Usage(3, 0)
LIMITS = (LimitState(LimitScope.BALANCE, "org_1", 100, 7, 0),)
RECEIPT = Receipt("req_1", Outcome.COMPLETED, "stop", USAGE, 7, "p1", LIMITS)


def parse(**fields: Any) -> Parsed:
    return OPENAI_EMBEDDINGS.parse(json.dumps({"model": "m", "input": "hi", **fields}).encode())


def writer_of(**fields: Any) -> Writer:
    return OPENAI_EMBEDDINGS.writer(parse(**fields), FRAME)


def test_texts_are_a_turn_that_writes_nothing() -> None:
    turn = parse(input=["a", "b"], dimensions=8, user="ann").turn
    assert [message.text for message in turn.messages] == ["a", "b"]
    assert (turn.raw, turn.output_tokens_max, turn.choices) == (True, 0, 2)
    assert (turn.embedding, turn.end_customer) == (EmbeddingAsk(8), "ann")
    plain = parse()
    assert plain.turn.embedding == EmbeddingAsk()
    assert (plain.stream, plain.notes, plain.echo) == (False, (), {})
    assert [note.param for note in parse(stream=True).notes] == ["stream"]


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"input": [1, 2]}, "input", Code.UNSUPPORTED_FEATURE),
        ({"input": [[1]]}, "input", Code.UNSUPPORTED_FEATURE),
        ({"input": ""}, "input", Code.INVALID_VALUE),
        ({"input": []}, "input", Code.INVALID_VALUE),
        ({"input": ["a", ""]}, "input[1]", Code.INVALID_VALUE),
        ({"input": ["a"] * 2049}, "input", Code.INVALID_VALUE),
        ({"input": 7}, "input", Code.WRONG_TYPE),
        ({"dimensions": 0}, "dimensions", Code.INVALID_VALUE),
        ({"encoding_format": "int8"}, "encoding_format", Code.INVALID_VALUE),
    ],
)
def test_what_cannot_be_is_refused_by_name(fields: Any, param: str, code: Code) -> None:
    with pytest.raises(Problem) as caught:
        parse(**fields)
    assert (caught.value.param, caught.value.code) == (param, code)


def test_one_body_with_every_vector_in_order() -> None:
    writer = writer_of(input=["a", "b"])
    assert writer.content_type == "application/json"
    said = Delta(vectors=((0.5, -0.5), (1.0, 0.0)), finish=FinishReason.STOP)
    assert (writer.delta(said), writer.heartbeat()) == (b"", b"")
    body = json.loads(writer.closing(RunEnd(USAGE), RECEIPT))
    assert body["model"] == "m"
    assert [row["embedding"] for row in body["data"]] == [[0.5, -0.5], [1.0, 0.0]]
    assert [row["index"] for row in body["data"]] == [0, 1]
    assert body["usage"]["cost"]["amount_nano"] == 7
    assert CreateEmbeddingResponse.model_validate(body).usage.total_tokens == 3
    assert writer.closing(RunEnd(USAGE), RECEIPT) == b""
    assert writer.problem(Problem(Code.INTERNAL, "x")) == b""


def test_without_a_receipt_the_engines_count_is_told_or_nothing() -> None:
    body = json.loads(writer_of().closing(RunEnd(USAGE), None))
    assert body["usage"]["prompt_tokens"] == 3
    assert "usage" not in json.loads(writer_of().closing(RunEnd(None), None))


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=8).map(tuple))
def test_packed_numbers_are_the_same_numbers(vector: tuple[float, ...]) -> None:
    raw = base64.b64decode(packed(vector))
    assert struct.unpack(f"<{len(vector)}f", raw) == vector
    writer = writer_of(encoding_format="base64")
    writer.delta(Delta(vectors=(vector,)))
    (row,) = json.loads(writer.closing(RunEnd(USAGE), RECEIPT))["data"]
    assert row["embedding"] == packed(vector)


def test_a_big_machine_packs_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = base64.b64decode(packed((0.5, 2.0)))
    monkeypatch.setattr("tokenbooth.protocols.openai_embeddings.write.byteorder", "big")
    turned = base64.b64decode(packed((0.5, 2.0)))
    assert struct.unpack(">2f", turned) == struct.unpack("<2f", plain)


def test_a_failure_is_an_error_body() -> None:
    error = json.loads(writer_of().problem(Problem(Code.ENGINE_FAILED, "broke")))["error"]
    assert error["code"] == "engine_failed"


def test_refusals_name_the_fields_of_this_dialect() -> None:
    for said, named in (("messages", "input"), ("dimensions", "dimensions")):
        problem = Problem(Code.INVALID_VALUE, "x", param=said)
        body = json.loads(OPENAI_EMBEDDINGS.refusal(problem, "req_1").body)
        assert body["error"]["param"] == named
    assert OPENAI_EMBEDDINGS.param_of(Feature.EMBEDDINGS) == "model"
    assert OPENAI_EMBEDDINGS.param_of(Feature.CHOICES) == "input"
    assert (OPENAI_EMBEDDINGS.name, OPENAI_EMBEDDINGS.output_limit_param) == (
        "openai_embeddings",
        "input",
    )


def test_the_page_tells_every_parameter() -> None:
    page = render().partition("## `POST /v1/embeddings`")[2].partition("\n## ")[0]
    assert all(f"| `{row.name}` |" in page for row in PARAMETERS)
