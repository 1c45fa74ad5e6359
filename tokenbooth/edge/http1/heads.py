"""What a head must be beyond what the parser checks, so that no two servers read it differently."""

import re
from collections.abc import Mapping
from urllib.parse import unquote

import httptools

_HOST = re.compile(
    r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_~!$&'()*+,;=%-]+(\.[A-Za-z0-9_~!$&'()*+,;=%-]+)*\.?)(:[0-9]{0,5})?"
)
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")
VERSIONS = frozenset({"1.1", "1.0"})


def host_allowed(host: str) -> bool:
    """RFC 9110 7.2; empty labels and names of users are refused."""
    return _HOST.fullmatch(host) is not None


def framing_allowed(version: str, headers: Mapping[str, str]) -> bool:
    """RFC 9112 6.1 and 6.3, of codings only ``chunked``, which HTTP/1.0 has not."""
    if version not in VERSIONS:
        return False
    if "transfer-encoding" in headers:
        return version == "1.1" and headers["transfer-encoding"].strip(" \t").lower() == "chunked"
    return True


def target(url: bytes) -> tuple[str, str] | None:
    """The decoded path and the raw query of a request target in origin or absolute form (RFC 9112
    3.2); ``None`` for another form, a broken escape, a NUL, or the name of a user."""
    if url.startswith(b"/") and b"#" not in url:
        raw_path, _, raw_query = url.partition(b"?")
    else:
        if not url.startswith(b"/") and url[:4].lower() != b"http":
            return None
        try:
            parsed = httptools.parse_url(url)
        except httptools.HttpParserInvalidURLError:
            return None
        if parsed.userinfo:
            return None
        raw_path, raw_query = parsed.path or b"/", parsed.query or b""
    try:
        path, query = raw_path.decode("ascii"), raw_query.decode("latin-1")
    except UnicodeDecodeError:
        return None
    if "%" not in path:
        return path, query
    return None if _BROKEN_ESCAPE.search(path) else (unquote(path), query)
