"""What an upstream's error answer means for our caller.

The upstream's own words are shown only where they are about the caller's turn, shortened, and
without the upstream's address, key or model name.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.engines.upstream.values import UNREADABLE, UpstreamOptions, target_of

MESSAGE_CHARACTERS_MAX = 300
RETRY_AFTER_S_MAX = 3600
_TURN_STATUSES = (400, 404, 413, 422)
_BUSY_STATUSES = (429, 503, 529)
# Fields that we add or replace; when an upstream dislikes them the operator must act.
_OUR_PARAMS = frozenset({"model", "stream", "stream_options"})
_PARAM = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}")
_URL = re.compile(r"\b[a-z]{2,6}://\S+", re.IGNORECASE)
_CONTEXT = re.compile(r"context (length|size|window)|maximum context|prompt is too long", re.I)
_CONTEXT_CODES = ("context_length_exceeded", "exceed_context_size_error")


def refusal(
    status: int, headers: Mapping[str, str], raw: bytes, options: UpstreamOptions, public: str
) -> Problem:
    """The problem behind a status other than 200; ``public`` is the model name callers know."""
    error = _error_of(raw)
    return _problem(status, headers.get("retry-after", ""), error, options, public)


def in_stream(error: object, options: UpstreamOptions, public: str) -> Problem:
    """The problem behind an error object inside a stream."""
    fields = error if isinstance(error, dict) else {}
    status = fields.get("code")
    if not isinstance(status, int) or not 400 <= status <= 599:
        about_turn = fields.get("type") == "invalid_request_error" or _is_context(fields)
        status = 400 if about_turn else 500
    return _problem(status, "", fields, options, public)


def _problem(
    status: int, retry_after: str, error: Mapping[str, Any], options: UpstreamOptions, public: str
) -> Problem:
    detail = f"upstream status {status}"
    if status in _BUSY_STATUSES and error.get("code") != "insufficient_quota":
        return Problem(
            Code.ENGINE_BUSY,
            "The model's server is overloaded.",
            detail=detail,
            retry_after_s=_seconds(retry_after),
        )
    if status in _TURN_STATUSES and (problem := _about_turn(status, error, options, public)):
        return problem
    if 300 <= status < 500:
        return Problem(
            Code.UPSTREAM_REJECTED, "The model's server refused the operator's call.", detail=detail
        )
    return Problem(Code.ENGINE_FAILED, "The model's server failed.", detail=detail)


def _about_turn(
    status: int, error: Mapping[str, Any], options: UpstreamOptions, public: str
) -> Problem | None:
    param = error.get("param")
    if not isinstance(param, str) or not _PARAM.fullmatch(param):
        param = None
    if param in _OUR_PARAMS or (status == 404 and param is None):
        return None
    message = _shown(error.get("message"), options, public)
    if _is_context(error):
        # Servers name a field of their own here, vLLM for one ``input_tokens``.
        place = param if param is not None and param.startswith("messages") else "messages"
        return Problem(
            Code.CONTEXT_LENGTH_EXCEEDED,
            message or "The prompt does not fit the model's context window.",
            param=place,
            detail=f"upstream status {status}",
            facts=_context_facts(error),
        )
    return Problem(
        Code.INVALID_VALUE,
        message or "The model's server refused the call.",
        param=param,
        detail=f"upstream status {status}",
    )


def _is_context(error: Mapping[str, Any]) -> bool:
    if error.get("code") in _CONTEXT_CODES or error.get("type") in _CONTEXT_CODES:
        return True
    return bool(_CONTEXT.search(str(error.get("message", ""))))


def _context_facts(error: Mapping[str, Any]) -> dict[str, str | int]:
    """Both numbers, where the server tells them as fields: llama.cpp does, and so do we."""
    facts: dict[str, str | int] = {}
    for ours, theirs in (("input_tokens", "n_prompt_tokens"), ("context_tokens", "n_ctx")):
        for name in (ours, theirs):
            if type(error.get(name)) is int:
                facts[ours] = error[name]
    return facts


def _error_of(raw: bytes) -> Mapping[str, Any]:
    """The error object of the usual shapes: ``{"error": {…}}``, ``{"message"}``, ``{"detail"}``."""
    try:
        answer = msgspec.json.decode(raw)
    except UNREADABLE:
        return {}
    if not isinstance(answer, dict):
        return {}
    error = answer.get("error", answer)
    if isinstance(error, str):
        return {"message": error}
    if not isinstance(error, dict):
        return {}
    if "message" not in error and isinstance(error.get("detail"), str):
        return {**error, "message": error["detail"]}
    return error


def _shown(message: object, options: UpstreamOptions, public: str) -> str:
    if not isinstance(message, str):
        return ""
    text = message[: MESSAGE_CHARACTERS_MAX * 8]
    if options.key is not None and len(options.key) > 2:
        text = text.replace(options.key, "…")
    text = _URL.sub("…", text)
    if len(options.model) > 2:
        text = text.replace(options.model, public)
    target = target_of(options.base_url)
    for place in (target.authority, target.host):
        text = re.sub(rf"(?<![\w.-]){re.escape(place)}(?![\w-])", "…", text, flags=re.IGNORECASE)
    text = "".join(character if character.isprintable() else " " for character in text)
    text = " ".join(text.split())
    if len(text) > MESSAGE_CHARACTERS_MAX:
        text = text[: MESSAGE_CHARACTERS_MAX - 1] + "…"
    return text


def _seconds(retry_after: str) -> int:
    if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 10:
        return min(max(int(retry_after), 1), RETRY_AFTER_S_MAX)
    return 1
