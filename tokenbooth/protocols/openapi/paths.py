"""Every path, with its parameters and each status it can answer with."""

from typing import Any

from tokenbooth.core.codes import Kind
from tokenbooth.protocols.openapi.files import file_paths
from tokenbooth.protocols.openapi.operations import (
    ACCOUNT,
    FOUND,
    ID,
    KEYED,
    errors,
    get,
    in_path,
    in_query,
    inference,
    open_get,
    told_answer,
)
from tokenbooth.protocols.openapi.schemas import Json, ref
from tokenbooth.protocols.problems import ANTHROPIC, OWN


def _chat() -> Json:
    ends = "A stream ends with `data: [DONE]`, or with one `data` event that holds an `error`."
    told = ("Answer a chat, streamed or in one body.", ends)
    return inference("createChatCompletion", told, "ChatRequest", "ChatCompletion")


def _completions() -> Json:
    ends = "A stream ends with `data: [DONE]`, or with one `data` event that holds an `error`."
    told = ("Complete a raw text, streamed or in one body.", ends)
    return inference("createCompletion", told, "CompletionRequest", "Completion")


def _embeddings() -> Json:
    told = ("A vector for each text; only input is charged.", "The answer is one body.")
    made = inference("createEmbedding", told, "EmbeddingRequest", "Embeddings")
    del made["post"]["responses"]["200"]["content"]["text/event-stream"]
    return made


def _messages() -> Json:
    ends = "A stream ends with `message_stop`, or with one `error` event."
    told = ("Answer messages, streamed or in one body.", ends)
    return inference("createMessage", told, "MessagesRequest", "Message", ANTHROPIC)


def _count() -> Json:
    kinds = [kind for kind in Kind if kind not in (Kind.PAYMENT_REQUIRED, Kind.CONFLICT)]
    return {
        "post": {
            "operationId": "countMessageTokens",
            "summary": "How many input tokens this body has. Free.",
            "security": KEYED,
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": ref("MessagesRequest")}},
            },
            "responses": {
                "200": told_answer("The count.", {"application/json": ref("TokenCount")}),
                **errors(kinds, ANTHROPIC),
            },
        }
    }


def _response() -> Json:
    ends = (
        "A stream ends with one of `response.completed`, `response.incomplete` and "
        "`response.failed`."
    )
    told = ("Answer an input, streamed or in one body.", ends)
    return inference("createResponse", told, "ResponseRequest", "Response")


_DAY = {"type": "string", "format": "date"}
_MODELS_LIMIT = {"type": "integer", "minimum": 1, "maximum": 1000}
_PRICED = (*FOUND, Kind.UNSUPPORTED)
_MODEL = told_answer("The model.", {"application/json": ref("Model")})
_ALIVE = told_answer("It lives.", {"application/json": ref("Health")})
_READY = told_answer("At least one model is ready.", {"application/json": ref("Readiness")})
_AWAY = told_answer(
    "No model is ready, the store is away, or the server is stopping or full.",
    {"application/json": {"anyOf": [ref("Readiness"), ref("Error")]}},
)


def paths() -> dict[str, Any]:
    """The ``paths`` object."""
    return {
        "/v1/chat/completions": _chat(),
        "/v1/completions": _completions(),
        "/v1/embeddings": _embeddings(),
        "/v1/responses": _response(),
        "/v1/messages": _messages(),
        "/v1/messages/count_tokens": _count(),
        "/v1/quote": _quote(),
        **_models(),
        **_account(),
        **file_paths(),
        **_receipts(),
        **_open(),
    }


def _quote() -> Json:
    """Everything that a call is refused for, but want of money."""
    kinds = [kind for kind in Kind if kind not in (Kind.PAYMENT_REQUIRED, Kind.CONFLICT)]
    bodies = ("ChatRequest", "CompletionRequest", "ResponseRequest", "MessagesRequest")
    asked = {"anyOf": [ref(name) for name in bodies]}
    return {
        "post": {
            "operationId": "createQuote",
            "summary": "What this body would cost, and whether each limit can bear it. Free.",
            "description": "Nothing is run, held or kept. The worst case is that of the whole "
            "output limit; `hold` is what a call would hold now.",
            "security": KEYED,
            "parameters": [
                in_query(
                    "dialect",
                    "Whose body it is: `openai_chat`, the default, `openai_completions`, "
                    "`openai_responses` or `anthropic_messages`.",
                    {"type": "string"},
                )
            ],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": asked}},
            },
            "responses": {
                "200": told_answer("The quote.", {"application/json": ref("Quote")}),
                **errors(kinds, OWN),
            },
        }
    }


def _models() -> Json:
    return {
        "/v1/models": get(
            "listModels",
            "The models that this key may use.",
            told_answer("The models.", {"application/json": ref("ModelList")}),
            ACCOUNT,
            [
                in_query("limit", "Rows; all of them unless a page is asked for.", _MODELS_LIMIT),
                in_query("after_id", "`last_id` of the page before.", {"type": "string"}),
                in_query("before_id", "`first_id` of the page after.", {"type": "string"}),
                in_query(
                    "format",
                    "The list as models.dev or as OpenRouter has it, whole.",
                    {"enum": ["models.dev", "openrouter"]},
                ),
            ],
        ),
        "/v1/models/{model}": get(
            "getModel",
            "One model.",
            _MODEL,
            _PRICED,
            [in_path("model")],
        ),
        "/v1/models/{owner}/{model}": get(
            "getOwnedModel",
            "One model whose name holds a slash.",
            _MODEL,
            _PRICED,
            [in_path("owner"), in_path("model")],
        ),
    }


def _account() -> Json:
    return {
        "/v1/balance": get(
            "getBalance",
            "What is left at each level of spending.",
            told_answer("The limits.", {"application/json": ref("Balance")}),
        ),
        "/v1/usage": get(
            "getUsage",
            "Tokens and cost by UTC day and model.",
            told_answer("The lines.", {"application/json": ref("UsageReport")}),
            ACCOUNT,
            [
                in_query("since", "First UTC day.", _DAY),
                in_query("until", "Last UTC day, inclusive.", _DAY),
            ],
        ),
        "/v1/requests": get(
            "listRequests",
            "Calls, newest first, running ones included.",
            told_answer("One page.", {"application/json": ref("CallPage")}),
            ACCOUNT,
            [
                in_query("limit", "Rows.", {"type": "integer", "minimum": 1, "maximum": 100}),
                in_query("after", "`next_after` of the page before.", ID),
                in_query("project_id", "Only this project.", ID),
                in_query("key_id", "Only this key.", ID),
            ],
        ),
        "/v1/events": get(
            "listEvents",
            "Spend alerts and other events of the organization, newest first.",
            told_answer("One page.", {"application/json": ref("EventPage")}),
            ACCOUNT,
            [
                in_query("limit", "Rows.", {"type": "integer", "minimum": 1, "maximum": 100}),
                in_query("after", "`next_after` of the page before.", ID),
            ],
        ),
        "/v1/reconciliation": get(
            "getReconciliation",
            "The balance as it was last added up from the postings, beside the one in use.",
            told_answer("The newest look.", {"application/json": ref("Reconciliation")}),
        ),
        "/v1/requests/{request_id}": get(
            "getRequest",
            "Status, usage and cost of one call, also of an interrupted one.",
            told_answer("The call.", {"application/json": ref("Call")}),
            FOUND,
            [in_path("request_id")],
        ),
    }


def _receipts() -> Json:
    keys = told_answer("The keys.", {"application/json": ref("ReceiptKeys")})
    lines = {"application/x-ndjson": ref("StatementLine"), "text/csv": {"type": "string"}}
    return {
        "/v1/requests/{request_id}/receipt": get(
            "getReceipt",
            "The signed receipt of one call that has ended.",
            told_answer("The receipt.", {"application/json": ref("Receipt")}),
            (*FOUND, Kind.CONFLICT),
            [in_path("request_id")],
        ),
        "/v1/receipts/keys": open_get(
            "listReceiptKeys", "Every public key that receipts were signed with.", {"200": keys}
        ),
        "/v1/statement": get(
            "getStatement",
            "Every charge that was booked on these days, and their sum on the last line.",
            told_answer("One line for each.", lines),
            ACCOUNT,
            [
                in_query("since", "First UTC day.", _DAY),
                in_query("until", "Last UTC day, inclusive.", _DAY),
                in_query("format", "Receipts, or a table.", {"enum": ["json", "csv"]}),
            ],
        ),
    }


def _open() -> Json:
    return {
        "/healthz": open_get("healthz", "Whether the process lives.", {"200": _ALIVE}),
        "/readyz": open_get("readyz", "Whether calls are served.", {"200": _READY, "503": _AWAY}),
        "/openapi.json": open_get(
            "openapi",
            "This document.",
            {"200": told_answer("The document.", {"application/json": {"type": "object"}})},
        ),
        "/metrics": open_get(
            "metrics",
            "Prometheus metrics; from this machine only, unless the operator opened them.",
            {
                "200": told_answer("The metrics.", {"text/plain": {"type": "string"}}),
                **errors((Kind.NOT_FOUND,), OWN),
            },
        ),
    }
