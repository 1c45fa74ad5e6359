"""What the operations of the document are made of."""

from collections.abc import Collection, Iterable, Mapping

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
        ("x-tokenbooth-prefix", "How much of the prompt is as before, and why no more."),
        ("x-tokenbooth-structured", "How the form of the answer was kept."),
        ("x-tokenbooth-tool-arguments", "Whether arguments follow their schemas."),
        ("x-ratelimit-remaining-requests", "Calls left in this minute; -limit- and -reset- too."),
        ("x-ratelimit-remaining-tokens", "Tokens left in this minute; -limit- and -reset- too."),
        ("anthropic-ratelimit-requests-remaining", "Messages: the same; a reset is a moment."),
        ("anthropic-ratelimit-tokens-remaining", "Messages: the same; a reset is a moment."),
    )
}
ANYWHERE = (Kind.INVALID_REQUEST, Kind.OVERLOADED, Kind.INTERNAL)
ACCOUNT = (Kind.UNAUTHENTICATED, Kind.FORBIDDEN, *ANYWHERE)
# Answered to other methods, and to calls that a key can make only once.
_ELSEWHERE = frozenset({Code.METHOD_NOT_ALLOWED, Code.IDEMPOTENCY_MISMATCH})
FOUND = (*ACCOUNT, Kind.NOT_FOUND)
ID = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,200}$"}
KEYED: list[Json] = [{"bearer": []}, {"x_api_key": []}]


def told_answer(description: str, content: Mapping[str, Json]) -> Json:
    return {
        "description": description,
        "headers": _REQUEST_ID,
        "content": {kind: {"schema": schema} for kind, schema in content.items()},
    }


def errors(kinds: Iterable[Kind], table: WireTable, but: Collection[Code] = _ELSEWHERE) -> Json:
    """One response for each status, listing the codes that have it."""
    schema = ref("MessagesError" if table is ANTHROPIC else "Error")
    codes: dict[int, list[str]] = {}
    wanted = frozenset(kinds)
    for code in Code:
        if code.kind in wanted and code not in but:
            codes.setdefault(status_of(code, table), []).append(code.text)
    made = {}
    for status, texts in sorted(codes.items()):
        answer = told_answer(f"One of: {', '.join(texts)}.", {"application/json": schema})
        if status in (409, 429, 503, 529):
            answer["headers"] = _REQUEST_ID | _RETRY_AFTER
        made[str(status)] = answer
    return made


def get(
    name: str,
    summary: str,
    answer: Json,
    kinds: Iterable[Kind] = ACCOUNT,
    parameters: Iterable[Json] = (),
) -> Json:
    """A free account read."""
    return {
        "get": {
            "operationId": name,
            "summary": summary,
            "security": KEYED,
            "parameters": list(parameters),
            "responses": {"200": answer, **errors(kinds, OWN)},
        }
    }


def open_get(name: str, summary: str, answers: Json) -> Json:
    """A read that needs no key."""
    responses = {**errors(ANYWHERE, OWN), **answers}
    return {
        "get": {"operationId": name, "summary": summary, "security": [], "responses": responses}
    }


def in_query(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def in_path(name: str) -> Json:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string", "minLength": 1},
    }


def inference(
    name: str, told: tuple[str, str], asked: str, answered: str, table: WireTable = OPENAI
) -> Json:
    """A paid call to a model; ``told`` are its summary and how its stream ends."""
    answer = told_answer(
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
            "security": KEYED,
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
                **errors(Kind, table, but={Code.METHOD_NOT_ALLOWED}),
            },
        }
    }
