"""Problems on the wire: one table per audience maps a kind to its status and error type.

Calls to a model answer in the convention of their dialect: an empty balance is 429 with type
``insufficient_quota`` in that of OpenAI, 400 with a message that names the limit in that of
Anthropic. The account's own endpoints say 402.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tokenbooth.core.codes import Code, Kind
from tokenbooth.core.problem import Problem
from tokenbooth.protocols.dialect import Answer


@dataclass(frozen=True, slots=True)
class WireError:
    """The HTTP status and the error ``type`` of one kind."""

    status: int
    type: str


WireTable = Mapping[Kind, WireError]

OPENAI: WireTable = MappingProxyType(
    {
        Kind.INVALID_REQUEST: WireError(400, "invalid_request_error"),
        Kind.UNAUTHENTICATED: WireError(401, "authentication_error"),
        Kind.PAYMENT_REQUIRED: WireError(429, "insufficient_quota"),
        Kind.FORBIDDEN: WireError(403, "permission_error"),
        Kind.NOT_FOUND: WireError(404, "not_found_error"),
        Kind.CONFLICT: WireError(409, "conflict_error"),
        Kind.TOO_LARGE: WireError(413, "invalid_request_error"),
        Kind.RATE_LIMITED: WireError(429, "rate_limit_error"),
        Kind.BLOCKED: WireError(400, "invalid_request_error"),
        Kind.OVERLOADED: WireError(503, "server_error"),
        Kind.UPSTREAM_FAILED: WireError(502, "server_error"),
        Kind.TIMEOUT: WireError(504, "server_error"),
        Kind.UNSUPPORTED: WireError(400, "invalid_request_error"),
        Kind.INTERNAL: WireError(500, "server_error"),
    }
)

OWN: WireTable = MappingProxyType(
    {**OPENAI, Kind.PAYMENT_REQUIRED: WireError(402, "payment_required_error")}
)

# What its clients raise by: 400 reads as "change the call", which is what an empty limit asks for.
ANTHROPIC: WireTable = MappingProxyType(
    {
        **{kind: WireError(wire.status, "invalid_request_error") for kind, wire in OPENAI.items()},
        Kind.UNAUTHENTICATED: WireError(401, "authentication_error"),
        Kind.PAYMENT_REQUIRED: WireError(400, "invalid_request_error"),
        Kind.FORBIDDEN: WireError(403, "permission_error"),
        Kind.NOT_FOUND: WireError(404, "not_found_error"),
        Kind.TOO_LARGE: WireError(413, "request_too_large"),
        Kind.RATE_LIMITED: WireError(429, "rate_limit_error"),
        Kind.OVERLOADED: WireError(529, "overloaded_error"),
        Kind.UPSTREAM_FAILED: WireError(502, "api_error"),
        Kind.TIMEOUT: WireError(504, "timeout_error"),
        Kind.INTERNAL: WireError(500, "api_error"),
    }
)

_OWN_STATUS = MappingProxyType({Code.METHOD_NOT_ALLOWED: 405, Code.IDEMPOTENCY_MISMATCH: 422})

# Clients retry these by themselves, some for minutes; here that could only repeat the failure.
_NEVER_RETRY_KINDS = frozenset({Kind.TIMEOUT, Kind.UNAUTHENTICATED})
# Of these only some are worth a retry, so the answer says which.
_TOLD_TO_RETRY_KINDS = frozenset({Kind.PAYMENT_REQUIRED, Kind.CONFLICT})
_NEVER_RETRY_CODES = frozenset({Code.UPSTREAM_REJECTED})


def status_of(code: Code, table: WireTable = OPENAI) -> int:
    """The HTTP status of ``code``, which in two cases is more exact than that of its kind."""
    return _OWN_STATUS.get(code) or table[code.kind].status


def retryable(problem: Problem) -> bool:
    """False where a client that repeats the same call can only fail again, or pay twice.

    Money that running calls hold comes back, and a call that is in the way ends: that is told by
    ``retry_after_s``.
    """
    if problem.kind in _TOLD_TO_RETRY_KINDS:
        return problem.retry_after_s is not None
    return problem.kind not in _NEVER_RETRY_KINDS and problem.code not in _NEVER_RETRY_CODES


def error_body(problem: Problem, request_id: str, table: WireTable = OPENAI) -> bytes:
    """``{"error": {…}}``; the fixed fields win over facts of the same name.

    Written as ASCII, so that no text of a caller, however broken, can fail to encode.
    """
    fields: dict[str, str | int | None] = {
        "message": problem.public,
        "type": table[problem.kind].type,
        "param": problem.param,
        "code": problem.code.text,
        "request_id": request_id,
    }
    return _json({"error": fields | _extras(problem, fields)})


def anthropic_body(problem: Problem, request_id: str) -> bytes:
    """``{"type": "error", "error": {…}, "request_id": …}``; what that format lacks is added inside
    ``error``, and the remedy to the message, which is all that its clients show."""
    remedy = problem.facts.get("remedy")
    fields: dict[str, str | int | None] = {
        "type": ANTHROPIC[problem.kind].type,
        "message": problem.public if remedy is None else f"{problem.public} {remedy}",
        "param": problem.param,
        "code": problem.code.text,
    }
    error = fields | _extras(problem, fields)
    return _json({"type": "error", "error": error, "request_id": request_id})


def refusal(problem: Problem, request_id: str, table: WireTable = OPENAI) -> Answer:
    """The whole answer to a call that failed before its answer began."""
    body = error_body(problem, request_id, table)
    return Answer(status_of(problem.code, table), _headers(problem), body)


def _headers(problem: Problem) -> tuple[tuple[str, str], ...]:
    headers = [("content-type", "application/json")]
    if problem.retry_after_s is not None:
        headers.append(("retry-after", str(problem.retry_after_s)))
    if not retryable(problem):
        headers.append(("x-should-retry", "false"))
    elif problem.kind in _TOLD_TO_RETRY_KINDS:
        headers.append(("x-should-retry", "true"))
    if problem.kind is Kind.UNAUTHENTICATED:
        headers.append(("www-authenticate", "Bearer"))
    if problem.code is Code.METHOD_NOT_ALLOWED and "allow" in problem.facts:
        headers.append(("allow", str(problem.facts["allow"])))
    return tuple(headers)


def _extras(problem: Problem, fields: Mapping[str, object]) -> dict[str, str | int | None]:
    return {name: fact for name, fact in problem.facts.items() if name not in fields}


def _json(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode("ascii")


def openai_refusal(problem: Problem, request_id: str) -> Answer:
    """The answer of an inference endpoint in the dialect of OpenAI."""
    return refusal(problem, request_id, OPENAI)


def anthropic_refusal(problem: Problem, request_id: str) -> Answer:
    """The answer of an inference endpoint in the dialect of Anthropic."""
    status = status_of(problem.code, ANTHROPIC)
    return Answer(status, _headers(problem), anthropic_body(problem, request_id))


def own_refusal(problem: Problem, request_id: str) -> Answer:
    """The answer of the account's own endpoints, and of unknown paths and methods."""
    return refusal(problem, request_id, OWN)


REFUSALS: Mapping[str, Callable[[Problem, str], Answer]] = MappingProxyType(
    {"openai": openai_refusal, "anthropic": anthropic_refusal, "own": own_refusal}
)
