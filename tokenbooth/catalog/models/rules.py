"""What a model and its deployments may be."""

import re
from urllib.parse import urlsplit

from tokenbooth.catalog.models.values import DeploymentAsk, EngineKind, ModelAsk
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

NAME_CHARACTERS_MAX = 64
DEPLOYMENTS_MAX = 16
TOKENS_MAX = 2**31 - 1
CONCURRENCY_MAX = 4096
QUEUE_MAX = 65_536
QUEUE_WAIT_MAX_S = 3600
OPTIONS_MAX = 64
TEXT_CHARACTERS_MAX = 4096
SEALED_BYTES_MAX = 8192

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*(/[A-Za-z0-9][A-Za-z0-9._:-]*)?")
_OPTION = re.compile(r"[a-z][a-z0-9_]{0,63}")
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")
_WEIGHED = frozenset({EngineKind.EMBEDDED, EngineKind.LLAMACPP, EngineKind.STATIC})


def checked_name(name: str) -> str:
    """The name itself, or Problem INVALID_VALUE.

    1 to 64 of letters, digits and ``- _ . :``, with at most one slash for an owner; each part
    begins with a letter or digit, so that ``GET /v1/models/{owner}/{model}`` finds every name.
    """
    if not is_name(name):
        raise _invalid(
            "name",
            f"must be 1 to {NAME_CHARACTERS_MAX} letters, digits or - _ . : with at most one / and "
            "begin, after the slash too, with a letter or digit",
        )
    return name


def is_name(name: str) -> bool:
    """Whether a model can have this name; of any other text there is nothing to look up."""
    return len(name) <= NAME_CHARACTERS_MAX and _NAME.fullmatch(name) is not None


def checked_ask(ask: ModelAsk) -> ModelAsk:
    """The wish itself, or Problem INVALID_VALUE, MISSING_FIELD or UNKNOWN_FIELD with ``param``."""
    checked_name(ask.name)
    if ask.context_tokens is not None:
        _check_range("context_tokens", ask.context_tokens, 1, TOKENS_MAX)
    if ask.output_tokens_max is not None:
        _check_range("output_tokens_max", ask.output_tokens_max, 1, TOKENS_MAX)
    if not 1 <= len(ask.deployments) <= DEPLOYMENTS_MAX:
        raise _invalid("deployments", f"must be 1 to {DEPLOYMENTS_MAX}")
    for deployment in ask.deployments:
        _check_deployment(deployment)
    return ask


def _check_deployment(ask: DeploymentAsk) -> None:
    _check_range("concurrency_max", ask.concurrency_max, 1, CONCURRENCY_MAX)
    _check_range("queue_max", ask.queue_max, 0, QUEUE_MAX)
    _check_range("queue_wait_max_s", ask.queue_wait_max_s, 0, QUEUE_WAIT_MAX_S)
    _check_fields(ask)
    if ask.gguf_path is not None:
        _check_text("gguf_path", ask.gguf_path)
    if ask.upstream_url is not None:
        _check_url(ask.upstream_url)
    if ask.upstream_model is not None:
        _check_text("upstream_model", ask.upstream_model)
    if ask.upstream_key_sealed is not None:
        _check_range("upstream_key", len(ask.upstream_key_sealed), 1, SEALED_BYTES_MAX)
    if len(ask.options) > OPTIONS_MAX:
        raise _invalid("options", f"must be at most {OPTIONS_MAX}")
    for name, value in ask.options.items():
        if not _OPTION.fullmatch(name):
            raise _invalid("options", "has a name that is not of a-z, 0-9 and _")
        if value:
            _check_text(f"options.{name}", value)


def _check_fields(ask: DeploymentAsk) -> None:
    """Each engine has the fields it needs and none of another's."""
    fields = {
        "gguf_path": ask.gguf_path,
        "upstream_url": ask.upstream_url,
        "upstream_model": ask.upstream_model,
        "upstream_key": ask.upstream_key_sealed,
    }
    needed: str | None = None
    allowed: frozenset[str] = frozenset()
    if ask.engine in _WEIGHED:
        needed, allowed = "gguf_path", frozenset({"gguf_path"})
    elif ask.engine is EngineKind.UPSTREAM:
        needed, allowed = "upstream_url", frozenset(fields) - {"gguf_path"}
    if needed is not None and fields[needed] is None:
        raise Problem(
            Code.MISSING_FIELD, f"The {ask.engine.value} engine needs {needed}.", param=needed
        )
    for param, value in fields.items():
        if value is not None and param not in allowed:
            raise Problem(
                Code.UNKNOWN_FIELD, f"The {ask.engine.value} engine has no {param}.", param=param
            )


def _check_url(url: str) -> None:
    """An http or https address with a host; nothing secret or changing in it."""
    _check_text("upstream_url", url)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _invalid("upstream_url", "must be a well-formed address") from error
    if parts.scheme not in {"http", "https"} or not _HOST.fullmatch(parts.hostname or ""):
        raise _invalid("upstream_url", "must begin with http:// or https:// and a host")
    if "@" in parts.netloc or parts.query or parts.fragment or port == 0:
        raise _invalid("upstream_url", "must have no credentials, query, fragment or port 0")


def _check_range(param: str, value: int, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise _invalid(param, f"must be a whole number from {low} to {high}")


def _check_text(param: str, text: str) -> None:
    if not 1 <= len(text) <= TEXT_CHARACTERS_MAX:
        raise _invalid(param, f"must have 1 to {TEXT_CHARACTERS_MAX} characters")
    if not text.isprintable():
        raise _invalid(param, "must have no control characters")


def _invalid(param: str, must: str) -> Problem:
    return Problem(Code.INVALID_VALUE, f"{param} {must}.", param=param)
