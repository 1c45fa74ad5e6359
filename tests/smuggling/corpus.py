"""The cases: each is what one peer sends, in one piece or cut, on one connection.

``GET /inner`` behind a case is the call that must never be served where the peer did not frame it
as a call of its own (RFC 9112 section 11.2 names the ways).
"""

from collections.abc import Iterator
from dataclasses import dataclass

HOST = b"host: x\r\n"
POST = b"POST /outer HTTP/1.1\r\n" + HOST
GET = b"GET /outer HTTP/1.1\r\n" + HOST
INNER = b"GET /inner HTTP/1.1\r\nhost: x\r\n\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"
HELLO = b"5\r\nhello\r\n0\r\n\r\n"


@dataclass(frozen=True)
class Case:
    """``pieces`` are sent one after the other; ``half_closed`` then ends the peer's own side."""

    name: str
    pieces: tuple[bytes, ...]
    half_closed: bool = False


def cases() -> tuple[Case, ...]:
    found = (
        *_plain(),
        *_lengths(),
        *_codings(),
        *_both(),
        *_chunks(),
        *_trailers(),
        *_lines(),
        *_names_and_values(),
        *_targets(),
        *_hosts(),
        *_versions_and_methods(),
        *_rows(),
        *_ends(),
    )
    names = [case.name for case in found]
    assert len(set(names)) == len(names), "a name twice"
    return found


def _one(name: str, *pieces: bytes) -> Case:
    return Case(name, pieces)


def _plain() -> Iterator[Case]:
    """What every server takes, so that a server which refuses everything does not pass."""
    yield _one("plain: get", GET + b"\r\n")
    yield _one("plain: head", GET.replace(b"GET", b"HEAD") + b"\r\n")
    yield _one("plain: length", POST + b"content-length: 5\r\n\r\nhello")
    yield _one("plain: empty length", POST + b"content-length: 0\r\n\r\n")
    yield _one("plain: chunks", POST + CHUNKED + b"\r\n" + HELLO)
    yield _one("plain: no chunks", POST + CHUNKED + b"\r\n0\r\n\r\n")
    yield _one("plain: two in a row", GET + b"\r\n" + INNER)
    yield _one("plain: body and next", POST + b"content-length: 5\r\n\r\nhello" + INNER)
    yield _one("plain: chunks and next", POST + CHUNKED + b"\r\n" + HELLO + INNER)
    yield _one("plain: bytes one by one", *(bytes([b]) for b in GET + b"\r\n"))
    yield _one("plain: chunks one by one", *(bytes([b]) for b in POST + CHUNKED + b"\r\n" + HELLO))


def _lengths() -> Iterator[Case]:
    for text in (
        b"+5", b"-5", b" 5", b"5 ", b"\t5", b"5\t", b"05", b"0005", b"5,5", b"5, 5", b"5;5", b"5 5",
        b"0x5", b"5.0", b"5e0", b"", b" ", b"five", b"\xb5", b"5\x00", b"5\x0b", b'"5"',
        b"99999999999999999999", b"18446744073709551621", b"4294967301", b"5_0", b"%35", b"1e1000",
    ):  # fmt: skip
        yield _one(f"length: {text!r}", POST + b"content-length:" + text + b"\r\n\r\nhello" + INNER)
    for one, other in ((b"5", b"5"), (b"5", b"6"), (b"6", b"5"), (b"0", b"5"), (b"5", b"0")):
        yield _one(
            f"length twice: {one!r} {other!r}",
            POST + b"content-length: %b\r\ncontent-length: %b\r\n\r\nhello" % (one, other) + INNER,
        )
    yield _one("length: too short", POST + b"content-length: 4\r\n\r\nhello" + INNER)
    yield _one("length: get with a body", GET + b"content-length: 5\r\n\r\nhello" + INNER)
    yield _one(
        "length: named twice in other cases",
        POST + b"Content-Length: 5\r\ncontent-length: 6\r\n\r\nhello!" + INNER,
    )
    yield _one("length: blank before colon", POST + b"content-length : 5\r\n\r\nhello" + INNER)
    yield _one("length: tab before colon", POST + b"content-length\t: 5\r\n\r\nhello" + INNER)
    yield _one("length: folded", POST + b"content-length:\r\n 5\r\n\r\nhello" + INNER)
    yield _one("length: underscore", POST + b"content_length: 5\r\n\r\nhello" + INNER)
    yield _one("length: in the folded line", POST + b"x: y\r\n content-length: 5\r\n\r\nhello")


def _codings() -> Iterator[Case]:
    body = b"0\r\n\r\n" + INNER
    for text in (
        b"xchunked", b"chunkedx", b"chunked, identity", b"identity, chunked", b"chunked, chunked",
        b"gzip", b"gzip, chunked", b"chunked, gzip", b"identity", b"", b" ", b"chunked ",
        b"\tchunked", b"chunked\t", b"Chunked", b"CHUNKED", b'"chunked"', b"chunked;q=1",
        b"chunked; x", b",chunked", b"chunked,", b", chunked", b"chun ked", b"\x0bchunked",
        b"chunked\x0b", b"\x00chunked", b"chunked\x00", b"\xa0chunked", b"'chunked'",
        b"trailers, chunked", b"chunked\xff",
    ):  # fmt: skip
        yield _one(f"coding: {text!r}", POST + b"transfer-encoding:" + text + b"\r\n\r\n" + body)
    twice = (b"chunked", b"identity"), (b"identity", b"chunked"), (b"chunked", b"chunked")
    for one, other in (*twice, (b"x", b"chunked"), (b"chunked", b"x")):
        yield _one(
            f"coding twice: {one!r} {other!r}",
            POST + b"transfer-encoding: %b\r\ntransfer-encoding: %b\r\n\r\n" % (one, other) + body,
        )
    yield _one("coding: blank before colon", POST + b"transfer-encoding : chunked\r\n\r\n" + body)
    yield _one("coding: tab before colon", POST + b"transfer-encoding\t: chunked\r\n\r\n" + body)
    yield _one("coding: folded", POST + b"transfer-encoding:\r\n chunked\r\n\r\n" + body)
    yield _one("coding: underscore", POST + b"transfer_encoding: chunked\r\n\r\n" + body)
    yield _one("coding: a blank begins the line", POST + b" transfer-encoding: chunked\r\n\r\n")
    yield _one("coding: on get", GET + CHUNKED + b"\r\n" + body)
    yield _one("coding: in HTTP/1.0", POST.replace(b"1.1", b"1.0") + CHUNKED + b"\r\n" + body)
    yield _one(
        "coding: hidden behind a bare CR", POST + b"x: y\rtransfer-encoding: chunked\r\n\r\n"
    )
    yield _one("coding: hidden behind a bare LF", POST + b"x: y\n" + CHUNKED + b"\r\n" + body)


def _both() -> Iterator[Case]:
    long, short = b"content-length: 100\r\n", b"content-length: 5\r\n"
    for length in (long, short, b"content-length: 0\r\n"):
        for order, head in (("first", length + CHUNKED), ("last", CHUNKED + length)):
            yield _one(
                f"both: {length.decode().strip()} {order}", POST + head + b"\r\n" + HELLO + INNER
            )
    for coding in (b"identity", b"xchunked", b"chunked, identity", b"gzip", b"\x0bchunked"):
        yield _one(
            f"both: with {coding!r}",
            POST + short + b"transfer-encoding: " + coding + b"\r\n\r\n" + HELLO + INNER,
        )
    yield _one(
        "both: in HTTP/1.0", POST.replace(b"1.1", b"1.0") + short + CHUNKED + b"\r\n" + HELLO
    )
    yield _one("both: on get", GET + short + CHUNKED + b"\r\n" + HELLO + INNER)
    yield _one(
        "both: the coding is connection-named",
        POST + short + CHUNKED + b"connection: transfer-encoding\r\n\r\n" + HELLO,
    )


def _chunks() -> Iterator[Case]:
    def chunked(name: str, body: bytes) -> Case:
        return _one(f"chunk: {name}", POST + CHUNKED + b"\r\n" + body + INNER)

    for text in (
        b"-5", b"+5", b" 5", b"5 ", b"0x5", b"5h", b"g", b"", b"5_", b"05", b"00000000000000005",
        b"FFFFFFFFFFFFFFFF", b"10000000000000005", b"1" * 40, b"\x00" + b"5", b"5\x00", b"\t5",
        b"5\t", b"5.", b'"5"', b"5,", b"5\x0b",
    ):  # fmt: skip
        yield chunked(f"size {text[:20]!r}", text + b"\r\nhello\r\n0\r\n\r\n")
    for text in (b";", b";x", b";x=y", b'; x="y"', b";x\x00", b";x\n", b";\r", b" ;x", b"; x\ty"):
        yield chunked(f"extension {text!r}", b"5" + text + b"\r\nhello\r\n0\r\n\r\n")
    yield chunked("extension of 40 KiB", b"5;" + b"x" * 40960 + b"\r\nhello\r\n0\r\n\r\n")
    yield chunked("size ends with LF", b"5\nhello\r\n0\r\n\r\n")
    yield chunked("size ends with CR", b"5\rhello\r\n0\r\n\r\n")
    yield chunked("no end of line behind it", b"5\r\nhello0\r\n\r\n")
    yield chunked("ends with LF", b"5\r\nhello\n0\r\n\r\n")
    yield chunked("ends with CR", b"5\r\nhello\r0\r\n\r\n")
    yield chunked("longer than its size", b"4\r\nhello\r\n0\r\n\r\n")
    yield chunked("shorter than its size", b"6\r\nhello\r\n0\r\n\r\n")
    yield chunked("last one without its end", b"5\r\nhello\r\n0\r\n")
    yield chunked("last one with LF", b"5\r\nhello\r\n0\n\n")
    yield chunked("zeros", b"5\r\nhello\r\n000\r\n\r\n")
    yield chunked("negative zero", b"5\r\nhello\r\n-0\r\n\r\n")


def _trailers() -> Iterator[Case]:
    for text in (
        b"x: y\r\n", b"content-length: 100\r\n", b"transfer-encoding: chunked\r\n", b"host: y\r\n",
        b"x : y\r\n", b" x: y\r\n", b"x\r\n", b": y\r\n", b"x: y\n", b"x: a\x00b\r\n",
        b"authorization: Bearer other\r\n",
    ):  # fmt: skip
        yield _one(
            f"trailer: {text!r}",
            POST + CHUNKED + b"\r\n5\r\nhello\r\n0\r\n" + text + b"\r\n" + INNER,
        )
    yield _one(
        "trailer: 40 KiB",
        POST + CHUNKED + b"\r\n0\r\n" + b"x: " + b"y" * 40960 + b"\r\n\r\n" + INNER,
    )


def _lines() -> Iterator[Case]:
    yield _one("line: bare LF everywhere", b"GET /outer HTTP/1.1\nhost: x\n\n" + INNER)
    yield _one("line: bare LF in the end", GET + b"\n" + INNER)
    yield _one("line: bare LF behind a header", GET + b"x: y\nz: w\r\n\r\n" + INNER)
    yield _one("line: bare LF behind the request line", b"GET /outer HTTP/1.1\n" + HOST + b"\r\n")
    yield _one("line: bare CR in a header", GET + b"x: y\rz: w\r\n\r\n" + INNER)
    yield _one("line: bare CR in the request line", b"GET /outer\r HTTP/1.1\r\n" + HOST + b"\r\n")
    yield _one("line: CR CR LF", GET + b"x: y\r\r\n\r\n" + INNER)
    yield _one("line: LF CR", GET + b"x: y\n\r\n" + INNER)
    yield _one("line: blank lines before", b"\r\n\r\n" + GET + b"\r\n")
    yield _one("line: LFs before", b"\n\n" + GET + b"\r\n")
    yield _one("line: CR before", b"\r" + GET + b"\r\n")
    yield _one("line: folded with a blank", GET + b"x: y\r\n z\r\n\r\n" + INNER)
    yield _one("line: folded with a tab", GET + b"x: y\r\n\tz\r\n\r\n" + INNER)
    yield _one("line: folded at once", b"GET /outer HTTP/1.1\r\n x: y\r\n" + HOST + b"\r\n")
    yield _one("line: a blank line with a blank", GET + b" \r\n\r\n" + INNER)


def _names_and_values() -> Iterator[Case]:
    for text in (
        b"x y: z", b"x\x00y: z", b"x", b": z", b"x(: z", b"x\x7f: z", b"x\xe9: z", b"x@y: z",
        b"x[]: z", b"x y", b"x\x0b: z", b'"x": z', b"x,y: z", b"x/y: z", b"x=y: z",
    ):  # fmt: skip
        yield _one(f"name: {text!r}", GET + text + b"\r\n\r\n" + INNER)
    for text in (b"a\x00b", b"a\x01b", b"a\x0bb", b"a\x7fb", b"\xe9", b"", b"a\tb", b"a" * 40960):
        yield _one(f"value: {text[:20]!r}", GET + b"x: " + text + b"\r\n\r\n" + INNER)
    yield _one(
        "names: a thousand", GET + b"".join(b"x%d: y\r\n" % i for i in range(1000)) + b"\r\n"
    )


def _targets() -> Iterator[Case]:
    for text in (
        b"outer", b"*", b"", b"//outer", b"/outer /inner", b"/outer\t/inner", b"/outer\x00",
        b"/outer\x7f", b"/out\xe9r", b"http://x/outer", b"HTTP://x/outer", b"http:///outer",
        b"http://y/outer", b"https://x/outer", b"ftp://x/outer", b"x:80", b"/outer#inner",
        b"/outer?a b", b"/%6futer", b"/outer%00", b"/outer%0d%0aGET", b"/./outer", b"/a/../outer",
        b"/outer/..%2finner", b"/outer%2", b"/" + b"a" * 40960, b"/outer?" + b"a" * 9000,
        b"\\outer", b"/outer\\..\\inner", b"http://user@x/outer", b"http://x:99999/outer",
    ):  # fmt: skip
        shown = text[:24] + b"..." if len(text) > 24 else text
        yield _one(
            f"target: {shown!r} {len(text)}", b"GET %b HTTP/1.1\r\n" % text + HOST + b"\r\n" + INNER
        )


def _hosts() -> Iterator[Case]:
    line = b"GET /outer HTTP/1.1\r\n"
    yield _one("host: none", line + b"\r\n" + INNER)
    yield _one("host: none in HTTP/1.0", line.replace(b"1.1", b"1.0") + b"\r\n")
    yield _one("host: twice", line + HOST + b"host: y\r\n\r\n" + INNER)
    yield _one("host: twice the same", line + HOST + HOST + b"\r\n" + INNER)
    yield _one("host: blank before colon", line + b"host : x\r\n\r\n" + INNER)
    for text in (
        b"", b"x y", b"x/y", b"x@y", b"x\x00", b"x:y", b"x:80:80", b"[::1]", b"[::1", b"x,y",
        b"x?y", b"x#y", b"..", b"x..y", b"\xe9", b"x\\y", b"%78", b"user@x", b"x" * 300,
    ):  # fmt: skip
        yield _one(f"host: {text[:20]!r}", line + b"host: " + text + b"\r\n\r\n" + INNER)


def _versions_and_methods() -> Iterator[Case]:
    for text in (
        b"HTTP/1.2", b"HTTP/1.9", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/3.0", b"HTTP/11.1", b"HTTP/1.10",
        b"HTTP/01.1", b"HTTP/1,1", b"HTTP 1.1", b"http/1.1", b"HTTP/1.", b"HTTP/.1", b"HTTP/1",
        b"HTTPS/1.1", b"ICE/1.0", b"RTSP/1.0", b"XHTTP/1.1", b"HTTP/1.1 ", b"HTTP/1.1x",
        b"HTTP/-1.1",
    ):  # fmt: skip
        yield _one(f"version: {text!r}", b"GET /outer %b\r\n" % text + HOST + b"\r\n" + INNER)
    yield _one("version: none", b"GET /outer\r\n" + HOST + b"\r\n" + INNER)
    for text in (
        b"get", b"GE T", b"G\x00T", b"BREW", b"", b" GET", b"GET\t", b"TRACE", b"CONNECT", b"PRI",
        b"GET,POST", b"SOURCE", b"PROPFIND", b"\xc7ET", b"X" * 300, b"QUERY",
    ):  # fmt: skip
        yield _one(
            f"method: {text[:20]!r}", b"%b /outer HTTP/1.1\r\n" % text + HOST + b"\r\n" + INNER
        )
    yield _one("method: two blanks", b"GET  /outer HTTP/1.1\r\n" + HOST + b"\r\n" + INNER)
    yield _one("method: tab", b"GET\t/outer\tHTTP/1.1\r\n" + HOST + b"\r\n" + INNER)


def _rows() -> Iterator[Case]:
    """Several calls, or a call and something else, on one connection."""
    yield _one("row: garbage behind a call", GET + b"\r\n" + b"\x00\x01garbage\r\n\r\n")
    yield _one("row: garbage behind a body", POST + b"content-length: 5\r\n\r\nhello\x00" + INNER)
    yield _one("row: half a call behind", GET + b"\r\nGET /inn")
    yield _one("row: behind close", GET + b"connection: close\r\n\r\n" + INNER)
    yield _one(
        "row: behind close, keep-alive", GET + b"connection: close, keep-alive\r\n\r\n" + INNER
    )
    yield _one("row: behind HTTP/1.0", GET.replace(b"1.1", b"1.0") + b"\r\n" + INNER)
    yield _one("row: twenty calls", (GET + b"\r\n") * 10)
    yield _one(
        "row: upgrade and next", GET + b"connection: upgrade\r\nupgrade: h2c\r\n\r\n" + INNER
    )
    yield _one(
        "row: upgrade with a body",
        POST + b"connection: upgrade\r\nupgrade: h2c\r\ncontent-length: 5\r\n\r\nhello" + INNER,
    )
    yield _one(
        "row: upgrade with chunks",
        POST + b"connection: upgrade\r\nupgrade: x\r\n" + CHUNKED + b"\r\n" + HELLO + INNER,
    )
    yield _one(
        "row: upgrade with both",
        POST
        + b"connection: upgrade\r\nupgrade: x\r\ncontent-length: 5\r\n"
        + CHUNKED
        + b"\r\n"
        + HELLO,
    )
    yield _one("row: HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00" * 9)
    yield _one("row: TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64)
    yield _one("row: proxy protocol", b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n" + GET + b"\r\n")
    yield _one(
        "row: expectation and body",
        POST + b"expect: 100-continue\r\ncontent-length: 5\r\n\r\nhello",
    )
    yield _one(
        "row: strange expectation",
        POST + b"expect: teapot\r\ncontent-length: 5\r\n\r\nhello" + INNER,
    )


def _ends() -> Iterator[Case]:
    """The peer ends its side too early."""
    for name, raw in (
        ("nothing", b""),
        ("a blank line", b"\r\n"),
        ("half a request line", b"GET /ou"),
        ("half a head", GET),
        ("half a header", GET + b"x: "),
        ("half a body", POST + b"content-length: 10\r\n\r\nhello"),
        ("half a chunk", POST + CHUNKED + b"\r\n5\r\nhel"),
        ("half a trailer", POST + CHUNKED + b"\r\n0\r\nx: y\r\n"),
        ("no body at all", POST + b"content-length: 10\r\n\r\n"),
    ):
        yield Case(f"end: {name}", (raw,) if raw else (), half_closed=True)
