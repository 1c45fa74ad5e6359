"""Problems on the wire: one table per audience maps a kind to its status and error type.

Calls to a model answer in the convention of the OpenAI dialect, where an empty balance is 429 with
type ``insufficient_quota``; the account's own endpoints say 402.
"""

import json
from collections.abc import Mapping
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

# Clients retry these statuses by themselves; here that could only repeat the failure.
_NEVER_RETRY_KINDS = frozenset({Kind.PAYMENT_REQUIRED, Kind.CONFLICT, Kind.TIMEOUT})
_NEVER_RETRY_CODES = frozenset({Code.UPSTREAM_REJECTED})


def status_of(code: Code, table: WireTable = OPENAI) -> int:
    """The HTTP status of ``code``; an unknown method is 405 though its kind is not_found."""
    if code is Code.METHOD_NOT_ALLOWED:
        return 405
    return table[code.kind].status


def retryable(code: Code) -> bool:
    """False where a client that repeats the same call can only fail again, or pay twice."""
    return code.kind not in _NEVER_RETRY_KINDS and code not in _NEVER_RETRY_CODES


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
    extras = {name: fact for name, fact in problem.facts.items() if name not in fields}
    return json.dumps({"error": fields | extras}, separators=(",", ":")).encode("ascii")


def refusal(problem: Problem, request_id: str, table: WireTable = OPENAI) -> Answer:
    """The whole answer to a call that failed before its answer began."""
    headers = [("content-type", "application/json")]
    if problem.retry_after_s is not None:
        headers.append(("retry-after", str(problem.retry_after_s)))
    if not retryable(problem.code):
        headers.append(("x-should-retry", "false"))
    if problem.kind is Kind.UNAUTHENTICATED:
        headers.append(("www-authenticate", "Bearer"))
    if problem.code is Code.METHOD_NOT_ALLOWED and "allow" in problem.facts:
        headers.append(("allow", str(problem.facts["allow"])))
    body = error_body(problem, request_id, table)
    return Answer(status_of(problem.code, table), tuple(headers), body)


def openai_refusal(problem: Problem, request_id: str) -> Answer:
    """The answer of an inference endpoint."""
    return refusal(problem, request_id, OPENAI)


def own_refusal(problem: Problem, request_id: str) -> Answer:
    """The answer of the account's own endpoints, and of unknown paths and methods."""
    return refusal(problem, request_id, OWN)
