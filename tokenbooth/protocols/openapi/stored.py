"""The paths of stored responses, and their schemas."""

from collections.abc import Mapping
from typing import Any

from tokenbooth.core.codes import Kind
from tokenbooth.protocols.openai_responses.compaction import BODY as COMPACTION_BODY
from tokenbooth.protocols.openapi.operations import (
    FOUND,
    KEYED,
    errors,
    in_path,
    in_query,
    inference,
    told_answer,
)
from tokenbooth.protocols.openapi.schemas import COUNT, TEXT, Json, array, record, ref
from tokenbooth.protocols.problems import OPENAI

_ONE = "/v1/responses/{response_id}"
_ITEM: Json = {
    "type": "object",
    "properties": {"id": TEXT, "type": TEXT},
    "required": ["id", "type"],
}

STORED_SCHEMAS: Mapping[str, Json] = {
    "ResponseTokenCount": record(
        {
            "object": {"const": "response.input_tokens"},
            "input_tokens": COUNT,
            "input_tokens_exact": {"type": "boolean"},
        }
    ),
    "CompactionRequest": COMPACTION_BODY.schema(),
    "Compaction": record(
        {
            "id": TEXT,
            "object": {"const": "response.compaction"},
            "created_at": COUNT,
            "output": array(_ITEM),
            "usage": {"type": "object"},
        }
    ),
    "ResponseDeleted": record(
        {"id": TEXT, "object": {"const": "response"}, "deleted": {"const": True}}
    ),
    "ResponseItems": record(
        {
            "object": {"const": "list"},
            "data": array(_ITEM),
            "first_id": TEXT,
            "last_id": TEXT,
            "has_more": {"type": "boolean"},
        }
    ),
}


def stored_paths() -> dict[str, Any]:
    """What can be asked of responses that are there already."""
    pages = [
        in_query("limit", "1 to 100.", {"type": "integer", "minimum": 1, "maximum": 100}),
        in_query("order", "Newest first, unless asc.", {"enum": ["asc", "desc"]}),
        in_query("after", "The last id of the page before.", TEXT),
    ]
    again = [
        in_query("stream", "Follow a background response.", {"type": "boolean"}),
        in_query("starting_after", "The last event that is known.", COUNT),
    ]
    return {
        "/v1/responses/input_tokens": {"post": _count()},
        "/v1/responses/compact": inference(
            "compactConversation",
            ("What users said, and a sealed summary of the rest, by the model.", "One body."),
            "CompactionRequest",
            "Compaction",
        ),
        _ONE: {
            "get": _operation("getResponse", "A stored response. Free.", "Response", *again),
            "delete": _operation("deleteResponse", "Delete it, and its input.", "ResponseDeleted"),
        },
        f"{_ONE}/cancel": {
            "post": _operation("cancelResponse", "End a background response. Free.", "Response")
        },
        f"{_ONE}/input_items": {
            "get": _operation(
                "listInputItems",
                "The items that a response was made from, its conversation included. Free.",
                "ResponseItems",
                *pages,
            )
        },
    }


def _count() -> Json:
    kinds = [kind for kind in Kind if kind is not Kind.PAYMENT_REQUIRED]
    return {
        "operationId": "countResponseTokens",
        "summary": "How many input tokens this body has, its conversation included. Free.",
        "security": KEYED,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": ref("ResponseRequest")}},
        },
        "responses": {
            "200": told_answer("The count.", {"application/json": ref("ResponseTokenCount")}),
            **errors(kinds, OPENAI),
        },
    }


def _operation(name: str, summary: str, answered: str, *parameters: Json) -> Json:
    content: dict[str, Json] = {"application/json": ref(answered)}
    if any(parameter["name"] == "stream" for parameter in parameters):
        content["text/event-stream"] = TEXT
    return {
        "operationId": name,
        "summary": summary,
        "security": KEYED,
        "parameters": [in_path("response_id"), *parameters],
        "responses": {
            "200": told_answer("It.", content),
            **errors(FOUND, OPENAI),
        },
    }
