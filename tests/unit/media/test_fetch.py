"""Fetching over a network in memory: who is connected to, what is asked, and what is given up."""

import socket
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.support.memory_loop import Call, FarSide, http, run
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.media.fetch.service import Connector, Fetcher, Resolver

PUBLIC, OTHER = "93.184.216.34", "1.1.1.1"


class Names:
    """A resolver of a table; a list of lists gives the next one each time."""

    def __init__(self, table: Mapping[str, Sequence[Sequence[str]]]) -> None:
        self._table = {name: list(answers) for name, answers in table.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        if host not in self._table:
            raise socket.gaierror("no such name")
        answers = self._table[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]


def fetched(url: str, far: FarSide, names: Names, bytes_max: int = 1000) -> bytes:
    fetcher = Fetcher(names, Connector())
    return run(fetcher.fetch(url, bytes_max), far)


def answering(*answers: bytes, pieces: int = 0) -> FarSide:
    """Each call gets the next answer; in ``pieces`` bytes at a time, if at all."""
    queue = list(answers)

    def answer(call: Call) -> None:
        raw = queue.pop(0)
        step = pieces or len(raw)
        call.line.deliver(*(raw[at : at + step] for at in range(0, len(raw), step)))

    return FarSide(answer)


def refusal(url: str, far: FarSide, names: Names, bytes_max: int = 1000) -> Problem:
    with pytest.raises(Problem) as caught:
        fetched(url, far, names, bytes_max)
    return caught.value


def where(far: FarSide) -> list[tuple[str, int, str | None]]:
    """Address, port and the name in the certificate of each connection."""
    return [(args[0], args[1], kwargs["server_hostname"]) for args, kwargs in far.asked]


@pytest.mark.parametrize("pieces", [0, 1, 7])
def test_the_bytes_come_from_the_address_that_was_checked(pieces: int) -> None:
    names = Names({"x.example": [[PUBLIC]]})
    far = answering(http(200, b"picture"), pieces=pieces)
    assert fetched("http://x.example/a?b", far, names) == b"picture"
    assert where(far) == [(PUBLIC, 80, None)]
    assert far.calls[0].start == "GET /a?b HTTP/1.1"
    assert far.calls[0].headers["host"] == "x.example"
    assert far.lines[0].aborted


def test_over_tls_the_certificate_must_bear_the_name_of_the_url() -> None:
    names = Names({"x.example": [[PUBLIC]]})
    far = answering(http(200, b"picture"))
    assert fetched("https://x.example/", far, names) == b"picture"
    assert where(far) == [(PUBLIC, 443, "x.example")]
    context = far.asked[0][1]["ssl"]
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    def answer(call: Call) -> None:
        call.line.deliver(b"HTTP/1.1 200 OK\r\n\r\npic", b"ture")
        call.line.drop()

    assert fetched("http://x.example/", FarSide(answer), Names({"x.example": [[PUBLIC]]})) == (
        b"picture"
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://inner.example/",
        "http://nowhere.example/",
        "http://mixed.example/",
    ],
)
def test_a_name_that_leads_inside_or_nowhere_is_refused_in_the_same_words(url: str) -> None:
    names = Names({"inner.example": [["10.0.0.1"]], "mixed.example": [["::1", "fe80::1"]]})
    far = answering()
    problem = refusal(url, far, names)
    assert (problem.code, problem.public) == (
        Code.MEDIA_UNREACHABLE,
        "The URL's host has no public address.",
    )
    assert far.asked == []


@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "[::1]", "[::ffff:8.8.8.8]"])
def test_an_address_in_the_url_itself_is_checked_too(host: str) -> None:
    async def literal(name: str, port: int) -> Sequence[str]:
        return [name]

    far = answering()
    with pytest.raises(Problem, match="no public address"):
        run(Fetcher(literal, Connector()).fetch(f"http://{host}/", 10), far)
    assert far.asked == []


def test_a_name_that_changes_its_mind_is_asked_once_and_pinned() -> None:
    names = Names({"x.example": [[PUBLIC], ["127.0.0.1"]]})
    far = answering(http(200, b"picture"))
    assert fetched("http://x.example/", far, names) == b"picture"
    assert names.asked == ["x.example"]
    assert where(far) == [(PUBLIC, 80, None)]


def test_every_hop_of_a_redirect_is_checked_anew() -> None:
    names = Names({"x.example": [[PUBLIC]], "y.example": [["10.0.0.1"]]})
    far = answering(http(302, location="http://y.example/inner"))
    assert refusal("http://x.example/", far, names).code is Code.MEDIA_UNREACHABLE
    assert names.asked == ["x.example", "y.example"]
    assert where(far) == [(PUBLIC, 80, None)]


def test_a_name_that_turns_inward_between_two_hops_is_refused() -> None:
    names = Names({"x.example": [[PUBLIC], ["127.0.0.1"]]})
    far = answering(http(307, location="/again"))
    assert refusal("http://x.example/", far, names).code is Code.MEDIA_UNREACHABLE
    assert where(far) == [(PUBLIC, 80, None)]


@pytest.mark.parametrize("location", ["ftp://x.example/", "http://u:p@x.example/", "http://x:22/"])
def test_a_redirect_to_what_may_not_be_asked_is_refused(location: str) -> None:
    far = answering(http(301, location=location))
    problem = refusal("http://x.example/", far, Names({"x.example": [[PUBLIC]]}))
    assert problem.code is Code.INVALID_VALUE
    assert len(far.calls) == 1


def test_redirects_are_followed_a_bounded_number_of_times() -> None:
    names = Names({"x.example": [[PUBLIC]], "y.example": [[OTHER]]})
    hops = [http(302, location="http://y.example/b"), http(308, location="c"), http(200, b"end")]
    far = answering(*hops)
    assert fetched("http://x.example/a", far, names) == b"end"
    assert [call.start.split()[1] for call in far.calls] == ["/a", "/b", "/c"]
    assert [place[0] for place in where(far)] == [PUBLIC, OTHER, OTHER]
    endless = answering(*[http(302, location="/a")] * 9)
    problem = refusal("http://x.example/a", endless, names)
    assert "more than 3 times" in problem.public
    assert len(endless.calls) == 4


def test_the_second_address_is_tried_and_no_third() -> None:
    names = Names({"x.example": [[PUBLIC, OTHER, "9.9.9.9"]]})
    far = FarSide(refuse=ConnectionRefusedError())
    assert "does not answer" in refusal("http://x.example/", far, names).public
    assert [place[0] for place in where(far)] == [PUBLIC, OTHER]


def test_a_certificate_that_is_not_trusted_is_no_answer() -> None:
    far = FarSide(refuse=ssl.SSLCertVerificationError("self signed"))
    problem = refusal("https://x.example/", far, Names({"x.example": [[PUBLIC]]}))
    assert (problem.code, problem.detail) == (Code.MEDIA_UNREACHABLE, "SSLCertVerificationError")


@pytest.mark.parametrize("length", [True, False])
def test_more_bytes_than_are_wanted_are_not_taken(length: bool) -> None:
    body = b"x" * 1001
    raw = http(200, body) if length else b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + body
    far = answering(raw, pieces=100)
    problem = refusal("http://x.example/", far, Names({"x.example": [[PUBLIC]]}))
    assert problem.code is Code.MEDIA_TOO_LARGE
    assert problem.facts == {"bytes_max": 1000}
    assert far.lines[0].aborted


@pytest.mark.parametrize(
    "raw",
    [
        http(404, b"no"),
        http(200, b"x", content_encoding="gzip"),
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000,
        http(302),
    ],
)
def test_an_answer_that_cannot_be_used_is_refused(raw: bytes) -> None:
    far = answering(raw)
    problem = refusal("http://x.example/", far, Names({"x.example": [[PUBLIC]]}))
    assert problem.code is Code.MEDIA_UNREACHABLE
    assert far.lines[0].aborted


def test_an_answer_that_breaks_off_is_refused() -> None:
    def answer(call: Call) -> None:
        call.line.deliver(http(200, b"picture")[:-2])
        call.line.drop()

    problem = refusal("http://x.example/", FarSide(answer), Names({"x.example": [[PUBLIC]]}))
    assert problem.code is Code.MEDIA_UNREACHABLE


def test_a_server_that_says_nothing_is_left() -> None:
    far = FarSide()
    problem = refusal("http://x.example/", far, Names({"x.example": [[PUBLIC]]}))
    assert "in time" in problem.public
    assert far.lines[0].aborted


def test_a_connection_that_takes_too_long_is_left() -> None:
    far = FarSide(accept_s=60.0)
    problem = refusal("http://x.example/", far, Names({"x.example": [[PUBLIC]]}))
    assert (problem.code, problem.detail) == (Code.MEDIA_UNREACHABLE, "TimeoutError")


def test_the_system_s_resolver_tells_every_address() -> None:
    async def ask() -> Any:
        return await Resolver()("127.0.0.1", 80)

    assert run(ask()) == ("127.0.0.1",)
