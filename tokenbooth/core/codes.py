"""The closed list of error kinds, and the catalogue of every error code with its cure.

``docs/errors.md`` is generated from this table; a code is part of the public contract and is never
renamed or reused.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum


class Kind(StrEnum):
    """What sort of answer a problem is; the 14 kinds are closed."""

    INVALID_REQUEST = "invalid_request"
    UNAUTHENTICATED = "unauthenticated"
    PAYMENT_REQUIRED = "payment_required"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    RATE_LIMITED = "rate_limited"
    BLOCKED = "blocked"
    OVERLOADED = "overloaded"
    UPSTREAM_FAILED = "upstream_failed"
    TIMEOUT = "timeout"
    UNSUPPORTED = "unsupported"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class CodeEntry:
    """``text`` is the stable wire code, ``cure`` tells the caller what to change."""

    text: str
    kind: Kind
    meaning: str
    cure: str


class Code(Enum):
    """Every code the product can answer with."""

    MALFORMED_HTTP = CodeEntry(
        "malformed_http",
        Kind.INVALID_REQUEST,
        "What was sent is not an HTTP/1.1 request.",
        "Speak HTTP/1.1 to this port; TLS and HTTP/2 end at a proxy before it.",
    )
    HEAD_TIMEOUT = CodeEntry(
        "head_timeout",
        Kind.INVALID_REQUEST,
        "The request line and headers did not arrive in time.",
        "Send them without long pauses.",
    )
    MALFORMED_JSON = CodeEntry(
        "malformed_json",
        Kind.INVALID_REQUEST,
        "The body is not one well-formed JSON object.",
        "Send UTF-8 JSON without duplicate keys, NUL characters or more than 64 nested levels.",
    )
    MISSING_FIELD = CodeEntry(
        "missing_required_parameter",
        Kind.INVALID_REQUEST,
        "A required field is absent.",
        "Add the field named in `param`.",
    )
    WRONG_TYPE = CodeEntry(
        "invalid_type",
        Kind.INVALID_REQUEST,
        "A field has the wrong JSON type.",
        "Send the type that the message names.",
    )
    INVALID_VALUE = CodeEntry(
        "invalid_value",
        Kind.INVALID_REQUEST,
        "A field has the right type and an impossible value.",
        "Send a value inside the range that the message names.",
    )
    UNKNOWN_FIELD = CodeEntry(
        "unknown_parameter",
        Kind.INVALID_REQUEST,
        "A query parameter or option is not known here.",
        "Remove it, or correct its spelling.",
    )
    CONTEXT_LENGTH_EXCEEDED = CodeEntry(
        "context_length_exceeded",
        Kind.INVALID_REQUEST,
        "The prompt does not fit the model's context window.",
        "Shorten the prompt; the message names its length and the window.",
    )
    STREAM_ID_INVALID = CodeEntry(
        "invalid_stream_id",
        Kind.INVALID_REQUEST,
        "The `stream_id` of a message on a WebSocket is not one.",
        "Send 1 to 256 letters, digits, `_`, `-` and `.`, or leave it out.",
    )
    STREAM_LIMIT_REACHED = CodeEntry(
        "websocket_stream_limit_reached",
        Kind.INVALID_REQUEST,
        "A WebSocket has as many named streams as it may have.",
        "Use one of its streams again, or open another connection.",
    )
    SOCKET_LIMIT_REACHED = CodeEntry(
        "websocket_connection_limit_reached",
        Kind.INVALID_REQUEST,
        "A WebSocket is as old as it may become.",
        "Open another one; what was not stored is sent again as items.",
    )
    AMBIGUOUS_CREDENTIALS = CodeEntry(
        "ambiguous_credentials",
        Kind.INVALID_REQUEST,
        "Two different keys were sent in one call.",
        "Send one key: in `Authorization: Bearer`, in `x-api-key`, or the same in both.",
    )
    MISSING_KEY = CodeEntry(
        "missing_api_key",
        Kind.UNAUTHENTICATED,
        "The call carries no API key.",
        "Send `Authorization: Bearer tb_live_…`.",
    )
    INVALID_KEY = CodeEntry(
        "invalid_api_key",
        Kind.UNAUTHENTICATED,
        "The key is malformed, mistyped or unknown.",
        "Check the key; `tokenbooth key create` makes a new one.",
    )
    REVOKED_KEY = CodeEntry(
        "revoked_api_key",
        Kind.UNAUTHENTICATED,
        "The key was revoked.",
        "Use another key.",
    )
    EXPIRED_KEY = CodeEntry(
        "expired_api_key",
        Kind.UNAUTHENTICATED,
        "The key is past its expiry.",
        "Create or rotate a key.",
    )
    SCOPE_MISSING = CodeEntry(
        "insufficient_scope",
        Kind.FORBIDDEN,
        "The key does not carry the scope that this endpoint asks for.",
        "Use a key with the scope that the message names.",
    )
    MODEL_NOT_ALLOWED = CodeEntry(
        "model_not_allowed",
        Kind.FORBIDDEN,
        "The key's allow-list does not contain this model.",
        "Use an allowed model, or a key without an allow-list.",
    )
    FILES_FULL = CodeEntry(
        "files_full",
        Kind.FORBIDDEN,
        "The project has as many files, or as many bytes of them, as it may have.",
        "Delete files that are no longer needed, or let them expire sooner with `expires_after`.",
    )
    BALANCE_EXHAUSTED = CodeEntry(
        "insufficient_quota",
        Kind.PAYMENT_REQUIRED,
        "The prepaid balance cannot start this call.",
        "Add credit, shorten the prompt or lower the output limit.",
    )
    CAP_REACHED = CodeEntry(
        "spend_limit_reached",
        Kind.PAYMENT_REQUIRED,
        "A hard cap on the organization, project or key cannot start this call.",
        "Raise the cap that the message names, or use another key.",
    )
    OUTPUT_UNAFFORDABLE = CodeEntry(
        "output_limit_unaffordable",
        Kind.PAYMENT_REQUIRED,
        "With `x-tokenbooth-strict: 1` the call wants an output limit that the money cannot bear.",
        "Lower the output limit to `affordable_output_tokens`, or leave the header out.",
    )
    PRICE_UNKNOWN = CodeEntry(
        "price_unknown",
        Kind.UNSUPPORTED,
        "The model has no published price, so no call can be charged.",
        "Ask the operator to run `tokenbooth price set`.",
    )
    PRICE_NOT_OFFERED = CodeEntry(
        "price_not_offered",
        Kind.UNSUPPORTED,
        "The model has a price, but none for this service tier under the project's data terms.",
        "Ask for a tier that the message names, or ask the operator about the data terms.",
    )
    MODEL_NOT_FOUND = CodeEntry(
        "model_not_found",
        Kind.NOT_FOUND,
        "No model of that name is offered here.",
        "List the models at `GET /v1/models`.",
    )
    MODEL_NOT_OPEN = CodeEntry(
        "model_not_open",
        Kind.FORBIDDEN,
        "The model or a capability of it is in a stage that lets only invited organizations in.",
        "Ask the operator for an invitation; the message names the stage.",
    )
    MODEL_RETIRED = CodeEntry(
        "model_retired",
        Kind.NOT_FOUND,
        "The model is no longer offered to anybody.",
        "Use the model that the message names, or one of `GET /v1/models`.",
    )
    RECORD_NOT_FOUND = CodeEntry(
        "request_not_found",
        Kind.NOT_FOUND,
        "No call with that id belongs to this organization.",
        "Check the id against the `x-request-id` header of the call.",
    )
    FILE_NOT_FOUND = CodeEntry(
        "file_not_found",
        Kind.NOT_FOUND,
        "No file with that id belongs to this project, or it has expired.",
        "List the files at `GET /v1/files`; every file says when it expires.",
    )
    RESPONSE_NOT_FOUND = CodeEntry(
        "response_not_found",
        Kind.NOT_FOUND,
        "No response with that id is stored for this project.",
        "Check the id; what was sent with `store: false`, is deleted or expired is not there.",
    )
    PREVIOUS_RESPONSE_NOT_FOUND = CodeEntry(
        "previous_response_not_found",
        Kind.NOT_FOUND,
        "The response to go on from, or one before it, is not stored for this project.",
        "Send the items of the conversation instead of its id.",
    )
    RECEIPT_NOT_READY = CodeEntry(
        "receipt_not_ready",
        Kind.CONFLICT,
        "The call still runs, so there is no receipt of it yet.",
        "Ask again after the seconds in `retry-after`.",
    )
    PATH_NOT_FOUND = CodeEntry(
        "path_not_found",
        Kind.NOT_FOUND,
        "Nothing is served at that path.",
        "See `/openapi.json` for the paths.",
    )
    METHOD_NOT_ALLOWED = CodeEntry(
        "method_not_allowed",
        Kind.NOT_FOUND,
        "The path exists, the method does not.",
        "Use a method named in the `allow` header.",
    )
    ALREADY_EXISTS = CodeEntry(
        "already_exists",
        Kind.CONFLICT,
        "A thing of that name exists.",
        "Choose another name, or change the existing one.",
    )
    NAME_NOT_FOUND = CodeEntry(
        "not_found",
        Kind.NOT_FOUND,
        "No thing of that name exists.",
        "List what exists and correct the name.",
    )
    STATE_CONFLICT = CodeEntry(
        "state_conflict",
        Kind.CONFLICT,
        "The thing is in a state in which this cannot be done.",
        "Read the message; it names the state.",
    )
    IDEMPOTENCY_RUNNING = CodeEntry(
        "idempotency_key_in_use",
        Kind.CONFLICT,
        "The call that has this idempotency key is not over yet.",
        "Retry after the seconds in `retry-after`, with the same key and body.",
    )
    IDEMPOTENCY_MISMATCH = CodeEntry(
        "idempotency_key_reused",
        Kind.INVALID_REQUEST,
        "The idempotency key was used with another body.",
        "Send the first body again, or use a new key.",
    )
    REPLAY_UNAVAILABLE = CodeEntry(
        "idempotency_replay_unavailable",
        Kind.CONFLICT,
        "The call that has this idempotency key is over, and its answer cannot be given again.",
        "Look the call up at `GET /v1/requests/{id}`; use a new key to ask, and pay, anew.",
    )
    HEAD_TOO_LARGE = CodeEntry(
        "head_too_large",
        Kind.TOO_LARGE,
        "The request line and headers are over the size limit.",
        "Send shorter or fewer headers.",
    )
    BODY_TOO_LARGE = CodeEntry(
        "payload_too_large",
        Kind.TOO_LARGE,
        "The body is over the size limit.",
        "Send fewer bytes than the limit in the message.",
    )
    RATE_LIMITED = CodeEntry(
        "rate_limit_exceeded",
        Kind.RATE_LIMITED,
        "A requests-per-minute, tokens-per-minute or parallel-calls limit is reached.",
        "Wait for the seconds in `retry-after`.",
    )
    CONTENT_BLOCKED = CodeEntry(
        "content_policy_violation",
        Kind.BLOCKED,
        "The operator's screening policy refuses this content.",
        "Change the content.",
    )
    ENGINE_BUSY = CodeEntry(
        "engine_overloaded",
        Kind.OVERLOADED,
        "The model's queue is full, or its deadline passed while waiting.",
        "Retry after the seconds in `retry-after`.",
    )
    ENGINE_NOT_READY = CodeEntry(
        "engine_not_ready",
        Kind.OVERLOADED,
        "The engine is starting or restarting.",
        "Retry after the seconds in `retry-after`.",
    )
    SHUTTING_DOWN = CodeEntry(
        "server_shutting_down",
        Kind.OVERLOADED,
        "The server is draining and takes no new calls.",
        "Retry; another replica or the restarted server will answer.",
    )
    ENGINE_NOT_INSTALLED = CodeEntry(
        "engine_not_installed",
        Kind.UNSUPPORTED,
        "The package of the model's engine is not installed on the server.",
        "Run the install command that the message names, on the server.",
    )
    WEIGHTS_UNAVAILABLE = CodeEntry(
        "weights_unavailable",
        Kind.UPSTREAM_FAILED,
        "A model's weights could not be fetched or are not the pinned ones.",
        "Read the message; run the same command again once its cause is gone.",
    )
    LEDGER_UNAVAILABLE = CodeEntry(
        "billing_unavailable",
        Kind.OVERLOADED,
        "The ledger cannot be reached; unmetered serving is refused.",
        "Retry after the seconds in `retry-after`.",
    )
    REPLICA_FENCED = CodeEntry(
        "replica_fenced",
        Kind.OVERLOADED,
        "Another process took over the name of this gateway process, or its leases were forfeited.",
        "Call another replica; the operator must give each one a name of its own and restart it.",
    )
    ENGINE_FAILED = CodeEntry(
        "engine_failed",
        Kind.UPSTREAM_FAILED,
        "The engine failed while it worked on the call; nothing is charged.",
        "Retry the call.",
    )
    UPSTREAM_REJECTED = CodeEntry(
        "upstream_rejected",
        Kind.UPSTREAM_FAILED,
        "The upstream refused the operator's call (its key or its configuration).",
        "Tell the operator the request id.",
    )
    RUN_TIMEOUT = CodeEntry(
        "run_timeout",
        Kind.TIMEOUT,
        "The call ran longer than the server allows; only a reader that stalled is charged.",
        "Stream, or lower the output limit.",
    )
    BODY_TIMEOUT = CodeEntry(
        "body_timeout",
        Kind.INVALID_REQUEST,
        "The body did not arrive in time.",
        "Send the body without long pauses.",
    )
    UNSUPPORTED_FEATURE = CodeEntry(
        "unsupported_feature",
        Kind.UNSUPPORTED,
        "The model's engine cannot do what `param` asks.",
        "Remove the parameter, or choose a model whose capabilities name it.",
    )
    MEDIA_UNREACHABLE = CodeEntry(
        "media_unreachable",
        Kind.INVALID_REQUEST,
        "The URL of an image, a document, a video or a sound could not be fetched.",
        "Send a public http or https URL that answers without a login, or send the bytes.",
    )
    MEDIA_UNREADABLE = CodeEntry(
        "media_unreadable",
        Kind.INVALID_REQUEST,
        "The bytes of an image, a document, a video or a sound are not what they should be.",
        "Send one of the formats that the message names.",
    )
    MEDIA_TOO_LARGE = CodeEntry(
        "media_too_large",
        Kind.TOO_LARGE,
        "An image, a document, a video or a sound is over a limit of size, pixels or length.",
        "Send a smaller or shorter one, or fewer; the message names the limit.",
    )
    INTERNAL = CodeEntry(
        "internal_error",
        Kind.INTERNAL,
        "A fault of the server; nothing is charged.",
        "Retry; tell the operator the request id if it stays.",
    )

    @property
    def text(self) -> str:
        return self.value.text

    @property
    def kind(self) -> Kind:
        return self.value.kind
