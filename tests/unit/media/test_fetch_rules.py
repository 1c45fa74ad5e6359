"""Which URLs may be asked for, and which addresses are of the open Internet."""

import contextlib
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.media.fetch.rules import (
    check_head,
    is_public,
    next_url,
    public_of,
    request_of,
    url_of,
)

PRIVATE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "2606:4700::1%eth0",
    "fec0::1",
    "ff02::1",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "168.63.129.17", "2606:4700::1111"]


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_of_the_open_internet_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_of_the_open_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "0x7f000001", "2130706433", "1.1.1.1."])
def test_what_is_no_address_is_not_public(text: str) -> None:
    assert not is_public(text)


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_nothing_that_the_standard_library_calls_private_is_public(
    address: IPv4Address | IPv6Address,
) -> None:
    if is_public(str(address)):
        found = ip_address(str(address))
        private = (found.is_private, found.is_loopback, found.is_link_local)
        assert not any((*private, found.is_multicast, found.is_reserved, found.is_unspecified))


@given(st.ip_addresses(v=4))
def test_an_address_in_the_clothes_of_the_other_family_is_never_public(
    address: IPv4Address,
) -> None:
    for front in (0xFFFF << 32, 0, 0x64FF9B << 96):
        assert not is_public(str(IPv6Address(front | int(address))))
    assert not is_public(str(IPv6Address(0x2002 << 112 | int(address) << 80)))


def test_only_public_addresses_are_kept_in_their_order_and_only_some() -> None:
    assert public_of(["10.0.0.1", "8.8.8.8", "::1", "1.1.1.1", "9.9.9.9"], 2) == (
        "8.8.8.8",
        "1.1.1.1",
    )
    with pytest.raises(Problem, match="no public address") as caught:
        public_of(["10.0.0.1"], 2)
    assert caught.value.code is Code.MEDIA_UNREACHABLE


@pytest.mark.parametrize(
    ("text", "port", "target"),
    [
        ("https://x.example", 443, "/"),
        ("http://x.example/a/b?c=d#e", 80, "/a/b?c=d"),
        ("HTTPS://X.example:8443/a", 8443, "/a"),
        ("https://[2606:4700::1]/a", 443, "/a"),
        ("https://x.example?q", 443, "/?q"),
    ],
)
def test_a_good_url_says_where_to_ask(text: str, port: int, target: str) -> None:
    url = url_of(text)
    assert (url.port, url.target, url.tls) == (port, target, text.lower().startswith("https"))
    head = request_of(url).decode()
    assert head.startswith(f"GET {target} HTTP/1.1\r\nhost: {url.authority}\r\n")
    assert head.endswith("\r\n\r\n")
    assert "cookie" not in head
    assert "authorization" not in head


@pytest.mark.parametrize(
    "text",
    [
        "ftp://x.example/a",
        "file:///etc/passwd",
        "gopher://x.example:80/_",
        "//x.example/a",
        "x.example",
        "https:///a",
        "https://",
        "https://user@x.example/",
        "https://user:pass@x.example/",
        "https://x.example@10.0.0.1/",
        "https://x.example\\@10.0.0.1/",
        "https://x.example:22/",
        "https://x.example:0/",
        "https://x.example:99999/",
        "https://x.example:a/",
        "https://[::1",
        "https://[fe80::1%25eth0]/",
        "https://x%2eexample/",
        "https://x.example/a b",
        "https://x.example/\r\nx: y",
        "https://x.example/é",
        "https://" + "x" * 254 + "/",
        "https://x.example/" + "a" * 9000,
    ],
)
def test_any_other_url_is_refused(text: str) -> None:
    with pytest.raises(Problem) as caught:
        url_of(text)
    assert caught.value.code is Code.INVALID_VALUE


@given(st.text(max_size=40))
def test_a_url_is_read_or_refused_and_never_smuggles(text: str) -> None:
    with contextlib.suppress(Problem):
        url = url_of(f"https://{text}")
        assert request_of(url).count(b"\r\n") == 7
        assert "@" not in url.authority


@pytest.mark.parametrize(
    ("current", "location", "expected"),
    [
        ("https://x/a/b", "/c", "https://x/c"),
        ("https://x/a/b", "c", "https://x/a/c"),
        ("http://x/a", "https://y/b", "https://y/b"),
        ("http://x/a", "http://10.0.0.1/", "http://10.0.0.1/"),
    ],
)
def test_a_redirect_leads_on(current: str, location: str, expected: str) -> None:
    assert next_url(current, location) == expected


@pytest.mark.parametrize("location", [None, "", "http://x/", "ftp://x/", "https://[::1"])
def test_a_redirect_to_nowhere_or_out_of_tls_is_refused(location: str | None) -> None:
    with pytest.raises(Problem) as caught:
        next_url("https://x/a", location)
    assert caught.value.code is Code.MEDIA_UNREACHABLE


@pytest.mark.parametrize(
    ("status", "headers", "code"),
    [
        (404, {}, Code.MEDIA_UNREACHABLE),
        (204, {}, Code.MEDIA_UNREACHABLE),
        (200, {"content-encoding": "gzip"}, Code.MEDIA_UNREACHABLE),
        (200, {"content-length": "11"}, Code.MEDIA_TOO_LARGE),
        (200, {"content-length": "9" * 4000}, Code.MEDIA_TOO_LARGE),
    ],
)
def test_a_body_that_is_not_wanted_is_refused_by_its_head(
    status: int, headers: dict[str, str], code: Code
) -> None:
    with pytest.raises(Problem) as caught:
        check_head(status, headers, 10)
    assert caught.value.code is code


@pytest.mark.parametrize("headers", [{}, {"content-length": "10", "content-encoding": "Identity"}])
def test_a_good_head_passes(headers: dict[str, str]) -> None:
    assert check_head(200, headers, 10) is None
