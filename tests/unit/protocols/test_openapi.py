"""The document says what the tables say, resolves in itself, and fits what is really sent."""

import json
from typing import Any

import jsonschema_rs
import pytest

from tests.support.messages_answer import both, call
from tests.support.signed import KEY, booked, signed
from tokenbooth.core.codes import Code, Kind
from tokenbooth.core.delta import Delta, FinishReason, RunEnd, TokenLogprob, ToolCallDelta, Usage
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope, LimitState, Outcome, Receipt
from tokenbooth.core.turn import LogprobsAsk, Turn
from tokenbooth.money.receipts.statements import Tally, statement_json
from tokenbooth.money.receipts.values import Span
from tokenbooth.protocols.dialect import AnswerFrame, Parsed
from tokenbooth.protocols.openai_chat import OPENAI_CHAT
from tokenbooth.protocols.openai_chat.parameters import PARAMETERS
from tokenbooth.protocols.openai_responses import OPENAI_RESPONSES
from tokenbooth.protocols.openai_responses.parameters import PARAMETERS as RESPONSE_PARAMETERS
from tokenbooth.protocols.openapi import openapi_bytes, openapi_document
from tokenbooth.protocols.parameters import Parameter
from tokenbooth.protocols.problems import (
    ANTHROPIC,
    OPENAI,
    anthropic_refusal,
    openai_refusal,
    own_refusal,
    status_of,
)

DOCUMENT = openapi_document("1.2.3")
STORED = "/v1/responses/{response_id}"
COUNTS = ("/v1/messages/count_tokens", "/v1/responses/input_tokens")
PAID = (
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/responses/compact",
    "/v1/messages",
    "/v1/completions",
    "/v1/embeddings",
)
POSTS = [DOCUMENT["paths"][path]["post"] for path in PAID]
CHAT, RESPONSES, COMPACTION, MESSAGES, COMPLETIONS, EMBEDDINGS = POSTS
READS = {path: item["get"] for path, item in DOCUMENT["paths"].items() if "get" in item}


def fits(name: str, value: object) -> bool:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    return jsonschema_rs.Draft202012Validator(schema).is_valid(value)


def test_bytes_are_the_document() -> None:
    assert json.loads(openapi_bytes("1.2.3")) == DOCUMENT
    assert DOCUMENT["openapi"] == "3.1.0"
    assert DOCUMENT["info"]["version"] == "1.2.3"


def test_every_path_of_the_api_is_there() -> None:
    assert set(DOCUMENT["paths"]) == {
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/responses",
        STORED,
        f"{STORED}/input_items",
        f"{STORED}/cancel",
        "/v1/responses/input_tokens",
        "/v1/responses/compact",
        "/v1/messages",
        "/v1/messages/count_tokens",
        "/v1/quote",
        "/v1/events",
        "/v1/reconciliation",
        "/v1/models",
        "/v1/models/{model}",
        "/v1/models/{owner}/{model}",
        "/v1/files",
        "/v1/files/{file_id}",
        "/v1/files/{file_id}/content",
        "/v1/balance",
        "/v1/usage",
        "/v1/requests",
        "/v1/requests/{request_id}",
        "/v1/requests/{request_id}/receipt",
        "/v1/receipts/keys",
        "/v1/statement",
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/metrics",
    }


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set()
        return own.union(*map(references, value.values()))
    if isinstance(value, list):
        return set().union(*map(references, value))
    return set()


def test_every_reference_resolves_and_every_schema_is_used() -> None:
    prefix = "#/components/schemas/"
    named = {ref.removeprefix(prefix) for ref in references(DOCUMENT)}
    assert named == set(DOCUMENT["components"]["schemas"])


def test_every_schema_is_a_schema() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        assert jsonschema_rs.meta.is_valid(schema)


def test_operations_are_named_apart() -> None:
    verbs = [verb for item in DOCUMENT["paths"].values() for verb in item.values()]
    names = [verb["operationId"] for verb in verbs]
    assert len(set(names)) == len(names)


def test_only_a_call_to_a_model_is_made_once_by_its_key() -> None:
    """Every other verb reads, but for the files: two uploads are two files."""
    changing = {path: verbs["post"] for path, verbs in DOCUMENT["paths"].items() if "post" in verbs}
    assert set(changing) == {*PAID, "/v1/quote", *COUNTS, "/v1/files", f"{STORED}/cancel"}
    for path, post in changing.items():
        keyed = any(p["name"] == "Idempotency-Key" for p in post.get("parameters", []))
        assert keyed is ("422" in post["responses"]) is (path in PAID)
    deleting = {path for path, verbs in DOCUMENT["paths"].items() if "delete" in verbs}
    assert deleting == {"/v1/files/{file_id}", STORED}
    assert all(set(verbs) <= {"get", "post", "delete"} for verbs in DOCUMENT["paths"].values())


def test_path_parameters_are_declared() -> None:
    for path, read in READS.items():
        declared = {p["name"] for p in read.get("parameters", []) if p["in"] == "path"}
        assert declared == {part[1:-1] for part in path.split("/") if part.startswith("{")}


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.METHOD_NOT_ALLOWED])
@pytest.mark.parametrize("operation", [CHAT, RESPONSES, COMPACTION, COMPLETIONS, EMBEDDINGS])
def test_every_code_stands_at_its_status_of_a_paid_call(operation: Any, code: Code) -> None:
    response = operation["responses"][str(status_of(code, OPENAI))]
    assert code.text in response["description"]


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.METHOD_NOT_ALLOWED])
def test_every_code_stands_at_its_status_of_messages(code: Code) -> None:
    response = MESSAGES["responses"][str(status_of(code, ANTHROPIC))]
    assert code.text in response["description"]
    schema = response["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/MessagesError"}


def test_errors_say_when_to_retry_and_carry_an_id() -> None:
    assert "retry-after" in CHAT["responses"]["429"]["headers"]
    assert "retry-after" not in CHAT["responses"]["400"]["headers"]
    for operation in (CHAT, *READS.values()):
        for response in operation["responses"].values():
            assert response["headers"]["x-request-id"]["required"] is True


def test_account_reads_need_a_key_and_the_others_none() -> None:
    for path, read in READS.items():
        keyed = path.startswith("/v1/") and path != "/v1/receipts/keys"
        assert bool(read["security"]) == keyed
        assert ("401" in read["responses"]) == keyed
        assert {"200", "400", "500", "503"} <= set(read["responses"])
    assert "404" in READS["/v1/requests/{request_id}"]["responses"]
    assert "404" in READS["/metrics"]["responses"]


@pytest.mark.parametrize(
    ("name", "rows"), [("ChatRequest", PARAMETERS), ("ResponseRequest", RESPONSE_PARAMETERS)]
)
def test_request_schema_has_every_parameter_with_its_text(
    name: str, rows: tuple[Parameter, ...]
) -> None:
    properties = DOCUMENT["components"]["schemas"][name]["properties"]
    assert list(properties) == [row.name for row in rows]
    assert all(properties[row.name]["description"] == row.text for row in rows)


@pytest.mark.parametrize("kind", list(Kind))
def test_refusals_fit_the_error_schema(kind: Kind) -> None:
    code = next((code for code in Code if code.kind is kind), None)
    assert code is not None
    problem = Problem(code, "Why.", param="x", facts={"limit_nano": 1})
    for answer in (openai_refusal(problem, "req_1"), own_refusal(problem, "req_1")):
        assert fits("Error", json.loads(answer.body))
        assert not fits("MessagesError", json.loads(answer.body))
    assert fits("MessagesError", json.loads(anthropic_refusal(problem, "req_1").body))
    assert not fits("Error", {"error": {"message": "x"}})


def test_whole_bodies_fit_the_completion_schema() -> None:
    turn = Turn(model="m", messages=(), choices=2, logprobs=LogprobsAsk(1))
    writer = OPENAI_CHAT.writer(Parsed(turn, False, False), AnswerFrame("req_1", 1, "m"))
    writer.delta(Delta(text="a", reasoning="r", logprobs=(TokenLogprob("a", -1.0, (("a", -1),)),)))
    writer.delta(Delta(choice=1, tool_call=ToolCallDelta(0, "{}", "c", "f")))
    writer.delta(Delta(choice=1, refusal="no", finish=FinishReason.TOOL_CALLS))
    limits = (
        LimitState(LimitScope.BALANCE, "org_1", 10, 1, 0),
        LimitState(LimitScope.KEY, "key_1", None, 1, 0),
    )
    receipt = Receipt("req_1", Outcome.COMPLETED, "", Usage(1, 2, 0, 1), 1, "p1", limits)
    body = json.loads(writer.closing(RunEnd(None, fingerprint="fp"), receipt))
    assert fits("ChatCompletion", body)
    body["choices"][0]["finish_reason"] = None
    assert not fits("ChatCompletion", body)


RESPONSE_ASKS: dict[str, dict[str, Any]] = {
    "plain": {},
    "full": {
        "instructions": "Be kind.",
        "metadata": {"a": "b"},
        "temperature": 1,
        "top_p": 0.5,
        "top_logprobs": 1,
        "max_output_tokens": 9,
        "reasoning": {"effort": "low", "summary": "auto"},
        "service_tier": "flex",
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}, "verbosity": "low"},
        "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "p"}],
        "tool_choice": {"type": "function", "name": "f"},
    },
}
SAID = [
    Delta(reasoning="r"),
    Delta(text="a", logprobs=(TokenLogprob("a", -1.0, (("a", -1),)),)),
    Delta(refusal="no"),
    Delta(tool_call=ToolCallDelta(0, "{}", "c", "f")),
    Delta(tool_call=ToolCallDelta(1, "{}", "d", "p")),
]


@pytest.mark.parametrize("asked", RESPONSE_ASKS.values(), ids=RESPONSE_ASKS)
@pytest.mark.parametrize("finish", [None, *FinishReason])
@pytest.mark.parametrize("settled", [True, False])
def test_whole_bodies_fit_the_response_schema(
    asked: dict[str, Any], finish: FinishReason | None, settled: bool
) -> None:
    parsed = OPENAI_RESPONSES.parse(json.dumps({"model": "m", "input": "hi", **asked}).encode())
    writer = OPENAI_RESPONSES.writer(parsed, AnswerFrame("req_1", 1, "m"))
    for delta in [*SAID, Delta(finish=finish)]:
        writer.delta(delta)
    limits = (LimitState(LimitScope.BALANCE, "org_1", 10, 1, 0),)
    receipt = Receipt("req_1", Outcome.CAP_REACHED, "", Usage(1, 2, images=1), 1, "p1", limits)
    body = json.loads(writer.closing(RunEnd(None), receipt if settled else None))
    assert fits("Response", body)
    assert not fits("Response", {**body, "output": [{"type": "message"}]})
    for name in DOCUMENT["components"]["schemas"]["Response"]["required"]:
        assert not fits("Response", {key: body[key] for key in body if key != name})


def test_whole_messages_fit_their_schema() -> None:
    deltas = [Delta(reasoning="r", text="a"), call(0, "{}", "c", "f"), call(1, "{", "d", "g")]
    body = both(deltas)
    assert fits("Message", body)
    assert not fits("Message", {**body, "stop_reason": None})
    refusal = both([Delta(refusal="no", finish=FinishReason.CONTENT_FILTER)])
    assert fits("Message", refusal)


def test_messages_requests_fit_their_schema() -> None:
    hello = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    assert fits("MessagesRequest", {**hello, "novel": 1, "thinking": {"type": "novel"}})
    assert not fits("MessagesRequest", {**hello, "max_tokens": "9"})
    assert not fits("MessagesRequest", {**hello, "messages": [{"role": "user"}]})


def test_chat_requests_fit_their_schema() -> None:
    hello = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    assert fits("ChatRequest", {**hello, "top_logprobs": 2, "logprobs": True, "unknown": 1})
    assert not fits("ChatRequest", {**hello, "top_logprobs": 2})
    assert not fits("ChatRequest", {**hello, "messages": [{"role": "assistant"}]})
    assert fits("ChatRequest", {**hello, "messages": [{"role": "assistant", "refusal": "no"}]})


def test_the_headers_that_tell_the_price_are_described() -> None:
    post = openapi_document("1")["paths"]["/v1/chat/completions"]["post"]
    told = post["responses"]["200"]["headers"]
    assert {"x-request-id", "x-tokenbooth-cost", "x-tokenbooth-held"} <= set(told)
    assert all(name == name.lower() for name in told)


def test_receipts_and_statements_fit_their_schemas() -> None:
    for document in signed([booked(1), booked(2, state="void", end_customer=None)]):
        assert fits("Receipt", document)
        assert fits("StatementLine", document)
        assert not fits("Receipt", {**document, "amount_nano": -1})
    end = statement_json(Tally(), Span("org_1", 0, 1), 2, KEY)
    assert fits("Statement", end)
    assert fits("StatementLine", end)
    assert not fits("StatementLine", {**end, "object": "other"})
