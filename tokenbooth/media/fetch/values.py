"""Frozen nouns of fetching."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WebUrl:
    """A URL that may be asked for. ``target`` is path and query as they go into the request."""

    tls: bool
    host: str
    port: int
    authority: str
    target: str


@dataclass(frozen=True, slots=True)
class Peer:
    """Where a connection goes: ``address`` and nothing else; ``tls_name`` is the name that its
    certificate must bear, ``None`` without TLS."""

    address: str
    port: int
    tls_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchBounds:
    """``answer_wait_ms`` bounds one answer, ``connect_wait_ms`` one connection."""

    connect_wait_ms: int = 5_000
    answer_wait_ms: int = 20_000
    redirects_max: int = 3
    addresses_max: int = 2
