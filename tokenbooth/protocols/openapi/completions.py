"""The schemas of text completions and embeddings, as JSON Schema 2020-12."""

from collections.abc import Mapping

from tokenbooth.core.receipt import Outcome
from tokenbooth.protocols.openai_completions.parameters import BODY
from tokenbooth.protocols.openai_embeddings.parameters import BODY as EMBEDDING_BODY
from tokenbooth.protocols.openapi.schemas import COUNT, TEXT, Json, array, maybe, record, ref

_NUMBER: Json = {"type": "number"}
_LOGPROBS = record(
    {
        "tokens": array(TEXT),
        "token_logprobs": array(_NUMBER),
        "top_logprobs": maybe(array({"type": "object", "additionalProperties": _NUMBER})),
        "text_offset": array(COUNT),
    }
)
_CHOICE = record(
    {
        "text": TEXT,
        "index": COUNT,
        "logprobs": maybe(_LOGPROBS),
        "finish_reason": {"enum": ["stop", "length", "content_filter"]},
    }
)
_EMBEDDING = record(
    {
        "object": {"const": "embedding"},
        "index": COUNT,
        "embedding": {"anyOf": [array(_NUMBER), TEXT]},
    }
)

COMPLETION_SCHEMAS: Mapping[str, Json] = {
    "EmbeddingRequest": EMBEDDING_BODY.schema(),
    "Embeddings": record(
        {"object": {"const": "list"}, "model": TEXT, "data": array(_EMBEDDING)},
        {"usage": ref("Usage")},
    ),
    "CompletionRequest": BODY.schema(),
    "Completion": record(
        {
            "id": TEXT,
            "object": {"const": "text_completion"},
            "created": COUNT,
            "model": TEXT,
            "choices": array(_CHOICE),
        },
        {
            "usage": ref("Usage"),
            "system_fingerprint": TEXT,
            "stopped": {"const": Outcome.CAP_REACHED.value},
        },
    ),
}
