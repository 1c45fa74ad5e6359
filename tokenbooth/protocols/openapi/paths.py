"""Every path, with its parameters and each status it can answer with."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from tokenbooth.core.codes import Code, Kind
from tokenbooth.protocols.openapi.schemas import Json, ref
from tokenbooth.protocols.problems import ANTHROPIC, OPENAI, OWN, WireTable, status_of

_REQUEST_ID = {
    "x-request-id": {
        "description": "The id of this call.",
        "required": True,
        "schema": {"type": "string"},
    }
}
_RETRY_AFTER = {
    "retry-after": {
        "description": "Seconds after which to try again.",
        "schema": {"type": "integer", "minimum": 0},
    }
}
_PRICED_ANSWER = {
    name: {"description": told, "schema": {"type": "string"}}
    for name, told in (
        ("x-tokenbooth-held", "Streamed: what is held for the call."),
        ("x-tokenbooth-output-tokens-max", "Streamed: output tokens of a choice, paid for."),
        ("x-tokenbooth-output-lowered", "The money buys less output: the limit, and who set it."),
        ("x-tokenbooth-cost", "Not streamed: the exact cost."),
        ("x-tokenbooth-price-version", "Not streamed: the price that it was computed with."),
        ("x-tokenbooth-remaining-balance", "What is left of the prepaid balance."),
        ("x-tokenbooth-replayed", "The id of the call whose answer this is; nothing is charged."),
        ("x-tokenbooth-notes", "Parameters that were translated or ignored."),
        ("x-tokenbooth-structured", "How the form of the answer was kept."),
        ("x-tokenbooth-tool-arguments", "Whether arguments follow their schemas."),
        ("x-ratelimit-remaining-requests", "Calls left in this minute; -limit- and -reset- too."),
        ("x-ratelimit-remaining-tokens", "Tokens left in this minute; -limit- and -reset- too."),
    )
}
_ANYWHERE = (Kind.INVALID_REQUEST, Kind.OVERLOADED, Kind.INTERNAL)
_ACCOUNT = (Kind.UNAUTHENTICATED, Kind.FORBIDDEN, *_ANYWHERE)
# Answered to other methods, and to calls that a key can make only once.
_ELSEWHERE = frozenset({Code.METHOD_NOT_ALLOWED, Code.IDEMPOTENCY_MISMATCH})
_KEYED: list[Json] = [{"bearer": []}, {"x_api_key": []}]


def _answer(description: str, content: Mapping[str, Json]) -> Json:
    return {
        "description": description,
        "headers": _REQUEST_ID,
        "content": {kind: {"schema": schema} for kind, schema in content.items()},
    }


def _errors(kinds: Iterable[Kind], table: WireTable, but: Collection[Code] = _ELSEWHERE) -> Json:
    """One response for each status, listing the codes that have it."""
    schema = ref("MessagesError" if table is ANTHROPIC else "Error")
    codes: dict[int, list[str]] = {}
    wanted = frozenset(kinds)
    for code in Code:
        if code.kind in wanted and code not in but:
            codes.setdefault(status_of(code, table), []).append(code.text)
    made = {}
    for status, texts in sorted(codes.items()):
        answer = _answer(f"One of: {', '.join(texts)}.", {"application/json": schema})
        if status in (409, 429, 503, 529):
            answer["headers"] = _REQUEST_ID | _RETRY_AFTER
        made[str(status)] = answer
    return made


def _get(
    name: str,
    summary: str,
    answer: Json,
    kinds: Iterable[Kind] = _ACCOUNT,
    parameters: Iterable[Json] = (),
) -> Json:
    """A free account read."""
    return {
        "get": {
            "operationId": name,
            "summary": summary,
            "security": _KEYED,
            "parameters": list(parameters),
            "responses": {"200": answer, **_errors(kinds, OWN)},
        }
    }


def _open_get(name: str, summary: str, answers: Json) -> Json:
    """A read that needs no key."""
    responses = {**_errors(_ANYWHERE, OWN), **answers}
    return {
        "get": {"operationId": name, "summary": summary, "security": [], "responses": responses}
    }


def _query(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _in_path(name: str) -> Json:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string", "minLength": 1},
    }


def _inference(
    name: str, told: tuple[str, str], asked: str, answered: str, table: WireTable = OPENAI
) -> Json:
    """A paid call to a model; ``told`` are its summary and how its stream ends."""
    answer = _answer(
        "The answer.",
        {"application/json": ref(answered), "text/event-stream": {"type": "string"}},
    )
    answer["headers"] = _REQUEST_ID | _PRICED_ANSWER
    return {
        "post": {
            "operationId": name,
            "summary": told[0],
            "description": f"{told[1]} Parameters that are translated or ignored are named in the "
            "header `x-tokenbooth-notes`.",
            "security": _KEYED,
            "parameters": [
                {
                    "name": "Idempotency-Key",
                    "in": "header",
                    "description": "Makes the call once: its answer is given again for a day.",
                    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
                }
            ],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": ref(asked)}},
            },
            "responses": {
                "200": answer,
                **_errors(Kind, table, but={Code.METHOD_NOT_ALLOWED}),
            },
        }
    }


def _chat() -> Json:
    ends = "A stream ends with `data: [DONE]`, or with one `data` event that holds an `error`."
    told = ("Answer a chat, streamed or in one body.", ends)
    return _inference("createChatCompletion", told, "ChatRequest", "ChatCompletion")


def _messages() -> Json:
    ends = "A stream ends with `message_stop`, or with one `error` event."
    told = ("Answer messages, streamed or in one body.", ends)
    return _inference("createMessage", told, "MessagesRequest", "Message", ANTHROPIC)


def _count() -> Json:
    kinds = [kind for kind in Kind if kind not in (Kind.PAYMENT_REQUIRED, Kind.CONFLICT)]
    return {
        "post": {
            "operationId": "countMessageTokens",
            "summary": "How many input tokens this body has. Free.",
            "security": _KEYED,
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": ref("MessagesRequest")}},
            },
            "responses": {
                "200": _answer("The count.", {"application/json": ref("TokenCount")}),
                **_errors(kinds, ANTHROPIC),
            },
        }
    }


def _response() -> Json:
    ends = (
        "A stream ends with one of `response.completed`, `response.incomplete` and "
        "`response.failed`. Nothing is stored."
    )
    told = ("Answer an input, streamed or in one body.", ends)
    return _inference("createResponse", told, "ResponseRequest", "Response")


_ID = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,200}$"}
_DAY = {"type": "string", "format": "date"}
_FOUND = (*_ACCOUNT, Kind.NOT_FOUND)
_PRICED = (*_FOUND, Kind.UNSUPPORTED)
_MODEL = _answer("The model.", {"application/json": ref("Model")})
_ALIVE = _answer("It lives.", {"application/json": ref("Health")})
_READY = _answer("At least one model is ready.", {"application/json": ref("Readiness")})
_AWAY = _answer(
    "No model is ready, the store is away, or the server is stopping or full.",
    {"application/json": {"anyOf": [ref("Readiness"), ref("Error")]}},
)


def paths() -> dict[str, Any]:
    """The ``paths`` object."""
    return {
        "/v1/chat/completions": _chat(),
        "/v1/responses": _response(),
        "/v1/messages": _messages(),
        "/v1/messages/count_tokens": _count(),
        "/v1/quote": _quote(),
        **_models(),
        **_account(),
        **_receipts(),
        **_open(),
    }


def _quote() -> Json:
    """Everything that a call is refused for, but want of money."""
    kinds = [kind for kind in Kind if kind not in (Kind.PAYMENT_REQUIRED, Kind.CONFLICT)]
    bodies = ("ChatRequest", "ResponseRequest", "MessagesRequest")
    asked = {"anyOf": [ref(name) for name in bodies]}
    return {
        "post": {
            "operationId": "createQuote",
            "summary": "What this body would cost, and whether each limit can bear it. Free.",
            "description": "Nothing is run, held or kept. The worst case is that of the whole "
            "output limit; `hold` is what a call would hold now.",
            "security": _KEYED,
            "parameters": [
                _query(
                    "dialect",
                    "Whose body it is: `openai_chat`, the default, `openai_responses` or "
                    "`anthropic_messages`.",
                    {"type": "string"},
                )
            ],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": asked}},
            },
            "responses": {
                "200": _answer("The quote.", {"application/json": ref("Quote")}),
                **_errors(kinds, OWN),
            },
        }
    }


def _models() -> Json:
    return {
        "/v1/models": _get(
            "listModels",
            "The models that this key may use.",
            _answer("The models.", {"application/json": ref("ModelList")}),
        ),
        "/v1/models/{model}": _get(
            "getModel",
            "One model.",
            _MODEL,
            _PRICED,
            [_in_path("model")],
        ),
        "/v1/models/{owner}/{model}": _get(
            "getOwnedModel",
            "One model whose name holds a slash.",
            _MODEL,
            _PRICED,
            [_in_path("owner"), _in_path("model")],
        ),
    }


def _account() -> Json:
    return {
        "/v1/balance": _get(
            "getBalance",
            "What is left at each level of spending.",
            _answer("The limits.", {"application/json": ref("Balance")}),
        ),
        "/v1/usage": _get(
            "getUsage",
            "Tokens and cost by UTC day and model.",
            _answer("The lines.", {"application/json": ref("UsageReport")}),
            _ACCOUNT,
            [
                _query("since", "First UTC day.", _DAY),
                _query("until", "Last UTC day, inclusive.", _DAY),
            ],
        ),
        "/v1/requests": _get(
            "listRequests",
            "Calls, newest first, running ones included.",
            _answer("One page.", {"application/json": ref("CallPage")}),
            _ACCOUNT,
            [
                _query("limit", "Rows.", {"type": "integer", "minimum": 1, "maximum": 100}),
                _query("after", "`next_after` of the page before.", _ID),
                _query("project_id", "Only this project.", _ID),
                _query("key_id", "Only this key.", _ID),
            ],
        ),
        "/v1/events": _get(
            "listEvents",
            "Spend alerts and other events of the organization, newest first.",
            _answer("One page.", {"application/json": ref("EventPage")}),
            _ACCOUNT,
            [
                _query("limit", "Rows.", {"type": "integer", "minimum": 1, "maximum": 100}),
                _query("after", "`next_after` of the page before.", _ID),
            ],
        ),
        "/v1/reconciliation": _get(
            "getReconciliation",
            "The balance as it was last added up from the postings, beside the one in use.",
            _answer("The newest look.", {"application/json": ref("Reconciliation")}),
        ),
        "/v1/requests/{request_id}": _get(
            "getRequest",
            "Status, usage and cost of one call, also of an interrupted one.",
            _answer("The call.", {"application/json": ref("Call")}),
            _FOUND,
            [_in_path("request_id")],
        ),
    }


def _receipts() -> Json:
    keys = _answer("The keys.", {"application/json": ref("ReceiptKeys")})
    lines = {"application/x-ndjson": ref("StatementLine"), "text/csv": {"type": "string"}}
    return {
        "/v1/requests/{request_id}/receipt": _get(
            "getReceipt",
            "The signed receipt of one call that has ended.",
            _answer("The receipt.", {"application/json": ref("Receipt")}),
            (*_FOUND, Kind.CONFLICT),
            [_in_path("request_id")],
        ),
        "/v1/receipts/keys": _open_get(
            "listReceiptKeys", "Every public key that receipts were signed with.", {"200": keys}
        ),
        "/v1/statement": _get(
            "getStatement",
            "Every charge that was booked on these days, and their sum on the last line.",
            _answer("One line for each.", lines),
            _ACCOUNT,
            [
                _query("since", "First UTC day.", _DAY),
                _query("until", "Last UTC day, inclusive.", _DAY),
                _query("format", "Receipts, or a table.", {"enum": ["json", "csv"]}),
            ],
        ),
    }


def _open() -> Json:
    return {
        "/healthz": _open_get("healthz", "Whether the process lives.", {"200": _ALIVE}),
        "/readyz": _open_get("readyz", "Whether calls are served.", {"200": _READY, "503": _AWAY}),
        "/openapi.json": _open_get(
            "openapi",
            "This document.",
            {"200": _answer("The document.", {"application/json": {"type": "object"}})},
        ),
        "/metrics": _open_get(
            "metrics",
            "Prometheus metrics; from this machine only, unless the operator opened them.",
            {
                "200": _answer("The metrics.", {"text/plain": {"type": "string"}}),
                **_errors((Kind.NOT_FOUND,), OWN),
            },
        ),
    }
