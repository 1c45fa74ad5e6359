"""Which URLs may be asked for, and which addresses may be connected to."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address
from typing import NoReturn
from urllib.parse import urljoin, urlsplit

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.media.fetch.values import WebUrl

URL_CHARACTERS_MAX = 8192
HOST_CHARACTERS_MAX = 253
PORTS = frozenset({80, 443, 8080, 8443})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
USER_AGENT = "tokenbooth"
# The special-purpose registries of IPv4, and the address at which one cloud tells its guests
# secrets. Written down, because what the standard library calls global changes between releases.
_NOT_PUBLIC_4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "168.63.129.16/32",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/3",
        ),
    )
)
# Of IPv6 only the block that is handed out is public: mapped, translated (NAT64), local and
# multicast addresses lie outside of it. Inside of it lie tunnels to IPv4 and examples.
_PUBLIC_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "2620:4f:8000::/48"))
)


def is_public(address: str) -> bool:
    """Whether an address is one of the open Internet; what is no address is not."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv4Address):
        return not any(found in network for network in _NOT_PUBLIC_4)
    if found.scope_id is not None or found not in _PUBLIC_6:
        return False
    return not any(found in network for network in _NOT_PUBLIC_6)


def public_of(addresses: Iterable[str], count_max: int) -> tuple[str, ...]:
    """The first public ones. Raises MEDIA_UNREACHABLE when there is none.

    A name that leads nowhere is refused in the same words as one that leads inside, so that nobody
    learns the names of a private network here.
    """
    found = tuple(filter(is_public, addresses))[:count_max]
    if not found:
        raise Problem(Code.MEDIA_UNREACHABLE, "The URL's host has no public address.")
    return found


def url_of(text: str) -> WebUrl:
    """Raises INVALID_VALUE for a URL that is not plain http or https, or names another port."""
    if len(text) > URL_CHARACTERS_MAX or not all("!" <= each <= "~" for each in text):
        _bad(f"must be at most {URL_CHARACTERS_MAX} printable ASCII characters without blanks")
    if "\\" in text:
        _bad("must hold no backslash")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        _bad("cannot be read")
    if parts.scheme not in ("http", "https"):
        _bad("must begin with http:// or https://")
    if "@" in parts.netloc:
        _bad("must hold no user and no password")
    # A percent sign would be an IPv6 zone or an encoded character; neither belongs into a host.
    if not host or len(host) > HOST_CHARACTERS_MAX or "%" in host:
        _bad("must name a host")
    tls = parts.scheme == "https"
    port = (443 if tls else 80) if port is None else port
    if port not in PORTS:
        _bad(f"must use one of the ports {', '.join(map(str, sorted(PORTS)))}")
    target = parts.path or "/"
    if parts.query:
        target += f"?{parts.query}"
    return WebUrl(tls, host, port, parts.netloc, target)


def next_url(current: str, location: str | None) -> str:
    """Where a redirect leads. Raises MEDIA_UNREACHABLE for one that leads nowhere or out of TLS."""
    if not location:
        raise Problem(Code.MEDIA_UNREACHABLE, "The URL redirects to nowhere.")
    try:
        found = urljoin(current, location)
    except ValueError as error:
        raise Problem(Code.MEDIA_UNREACHABLE, "The URL redirects to nowhere.") from error
    if current.lower().startswith("https:") and not found.lower().startswith("https:"):
        raise Problem(Code.MEDIA_UNREACHABLE, "The URL redirects from https to something else.")
    return found


def request_of(url: WebUrl) -> bytes:
    """No cookie, no key, nothing of the caller: an anonymous reader asks."""
    lines = (
        f"GET {url.target} HTTP/1.1",
        f"host: {url.authority}",
        f"user-agent: {USER_AGENT}",
        "accept: */*",
        "accept-encoding: identity",
        "connection: close",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii")


def check_head(status: int, headers: Mapping[str, str], bytes_max: int) -> None:
    """Raises MEDIA_UNREACHABLE or MEDIA_TOO_LARGE for an answer whose body is not wanted."""
    if status != 200:
        raise Problem(Code.MEDIA_UNREACHABLE, f"The URL's server answers with status {status}.")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(Code.MEDIA_UNREACHABLE, "The URL's server compresses its answer unasked.")
    length = headers.get("content-length", "")
    if length.isdigit() and int(length[:20]) > bytes_max:
        raise too_large(bytes_max)


def too_large(bytes_max: int) -> Problem:
    return Problem(
        Code.MEDIA_TOO_LARGE,
        f"The media has more than the {bytes_max} bytes that are left for it.",
        facts={"bytes_max": bytes_max},
    )


def _bad(says: str) -> NoReturn:
    raise Problem(Code.INVALID_VALUE, f"The URL {says}.")
