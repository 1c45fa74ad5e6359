"""Where an upstream is and how it is spoken to."""

from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

import msgspec

from tokenbooth.core.features import Feature

# What msgspec raises for bytes that are not the JSON they should be.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
# What a model must be said to take.
MEDIA_FEATURES = frozenset({Feature.IMAGES, Feature.AUDIO})
UPSTREAM_FEATURES = frozenset(Feature) - MEDIA_FEATURES


class OutputLimitField(StrEnum):
    """The field in which the upstream reads the output limit; older servers know MAX_TOKENS."""

    MAX_COMPLETION_TOKENS = "max_completion_tokens"
    MAX_TOKENS = "max_tokens"


class EndCustomerField(StrEnum):
    """The field that carries the end customer; NONE keeps the id from the upstream."""

    SAFETY_IDENTIFIER = "safety_identifier"
    USER = "user"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Target:
    """``authority`` is the ``host`` header; ``path`` has no slash at its end."""

    host: str
    port: int
    tls: bool
    authority: str
    path: str


@dataclass(frozen=True, slots=True)
class UpstreamOptions:
    """``base_url`` is where ``/chat/completions`` hangs, usually ending in ``/v1``.

    ``pool_max`` bounds open connections, so it also bounds parallel runs. ``first_byte_timeout_ms``
    is the longest silence before the answer's first body byte, ``idle_timeout_ms`` after it.
    ``ca_file`` replaces the system's certificate authorities. ``hints`` names the turn's hints
    that are passed on as fields of the body; with ``reasoning_back`` it also gets what an assistant
    thought before, as ``reasoning_content`` of its message. ``counters_path`` is where the server
    tells its own token counters, from the root of the host; empty where they are not to be asked
    for. ``sees`` and ``hears`` say that the model takes images and audio. Raises ValueError for
    values that cannot be sent.
    """

    base_url: str
    model: str
    key: str | None = field(default=None, repr=False)
    connect_timeout_ms: int = 5_000
    first_byte_timeout_ms: int = 120_000
    idle_timeout_ms: int = 60_000
    health_timeout_ms: int = 3_000
    pool_max: int = 256
    pool_idle_ms: int = 15_000
    answer_bytes_max: int = 64 * 2**20
    event_bytes_max: int = 4 * 2**20
    context_tokens: int | None = None
    features: frozenset[Feature] = UPSTREAM_FEATURES
    sees: bool = False
    hears: bool = False
    output_limit_field: OutputLimitField = OutputLimitField.MAX_COMPLETION_TOKENS
    end_customer_field: EndCustomerField = EndCustomerField.USER
    developer_role: bool = False
    reasoning_back: bool = False
    hints: frozenset[str] = frozenset()
    ca_file: str | None = None
    counters_path: str = "/metrics"

    @property
    def all_features(self) -> frozenset[Feature]:
        """``features`` with what the model sees and hears."""
        media = {Feature.IMAGES: self.sees, Feature.AUDIO: self.hears}
        return self.features | {feature for feature, taken in media.items() if taken}

    def __post_init__(self) -> None:
        target_of(self.base_url)
        path = self.counters_path
        if path and not (path.startswith("/") and _is_plain(path)):
            raise ValueError("counters_path must be empty, or begin with / and hold no blanks")
        if not self.model:
            raise ValueError("model must not be empty")
        if self.key is not None and not _is_plain(self.key):
            raise ValueError("key must be printable ASCII without blanks")
        for name in ("connect_timeout_ms", "first_byte_timeout_ms", "idle_timeout_ms"):
            _check(name, getattr(self, name), 3_600_000)
        for name in ("health_timeout_ms", "pool_max", "pool_idle_ms", "context_tokens"):
            _check(name, getattr(self, name), 1_000_000_000)
        for name in ("answer_bytes_max", "event_bytes_max"):
            _check(name, getattr(self, name), 2**40)


def target_of(base_url: str) -> Target:
    """Split a URL. Raises ValueError for anything that could smuggle bytes into a request."""
    if not _is_plain(base_url):
        raise ValueError("base_url must be printable ASCII without blanks")
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("base_url must begin with http:// or https:// and name a host")
    if "@" in parts.netloc or parts.query or parts.fragment or "?" in base_url or "#" in base_url:
        raise ValueError("base_url must hold no user, query or fragment")
    tls = parts.scheme == "https"
    port = parts.port if parts.port is not None else 443 if tls else 80
    if port == 0:
        raise ValueError("base_url must name a port above 0")
    return Target(parts.hostname, port, tls, parts.netloc, parts.path.rstrip("/"))


def _is_plain(text: str) -> bool:
    return bool(text) and all("!" <= character <= "~" for character in text)


def _check(name: str, value: int | None, most: int) -> None:
    if value is not None and not 1 <= value <= most:
        raise ValueError(f"{name} must be between 1 and {most}")
