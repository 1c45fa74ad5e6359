"""The commands' own HTTP client, against canned answers."""

import io
import json
from collections.abc import Callable
from http.client import HTTPResponse
from typing import Any

import pytest

from tokenbooth.cli import client as client_module
from tokenbooth.cli.client import BoothClient
from tokenbooth.cli.conversation import Conversation
from tokenbooth.cli.first_call import FirstCall, balance_nano, check_books
from tokenbooth.cli.first_words import call_text, own_name, receipt_json, receipt_text
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem


class Wire:
    """Stands for the connections that a client opens; answers are taken in order."""

    def __init__(self) -> None:
        self.answers: list[bytes | Exception] = []
        self.asked: list[tuple[str, str, Any, dict[str, str]]] = []
        self.open = 0

    def __call__(self, host: str, port: int | None, timeout: int) -> "Wire":
        self.open += 1
        return self

    def request(self, method: str, path: str, body: bytes | None, headers: Any) -> None:
        self.asked.append((method, path, body and json.loads(body), headers))

    def getresponse(self) -> HTTPResponse:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        response = HTTPResponse(Socket(answer))  # type: ignore[arg-type]
        response.begin()
        return response

    def close(self) -> None:
        self.open -= 1


class Socket:
    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._raw)


def whole(document: object, status: int = 200) -> bytes:
    body = json.dumps(document).encode()
    return b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


def stream(*events: object, done: bool = True) -> bytes:
    body = b": hello\n\n"
    body += b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)
    return b"HTTP/1.1 200 X\r\n\r\n" + body + (b"data: [DONE]\n\n" if done else b"")


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    made = Wire()
    monkeypatch.setattr(client_module, "HTTPConnection", made)
    return made


@pytest.fixture
def booth(wire: Wire) -> BoothClient:
    return BoothClient("http://127.0.0.1:8000/v1/", "tb_live_x")


def refused(work: Callable[[], object]) -> Problem:
    with pytest.raises(Problem) as caught:
        work()
    return caught.value


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://a", "http://", "http://a:99999"])
def test_an_impossible_address_is_refused(url: str) -> None:
    assert refused(lambda: BoothClient(url, None)).param == "base-url"


@pytest.mark.parametrize("url", ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"])
def test_the_version_may_stand_in_the_address_or_not(wire: Wire, url: str) -> None:
    wire.answers = [whole({"ok": 1})]
    assert BoothClient(url, None).get("/v1/models") == {"ok": 1}
    assert wire.asked[0][1] == "/v1/models"
    assert "authorization" not in wire.asked[0][3]
    assert wire.open == 0


def test_a_prefix_in_front_of_the_version_is_kept(wire: Wire) -> None:
    wire.answers = [whole({})]
    BoothClient("http://h/proxy/v1", "k").get("/v1/models")
    assert wire.asked[0][1] == "/proxy/v1/models"
    assert wire.asked[0][3]["authorization"] == "Bearer k"


def test_a_refusal_keeps_its_code(wire: Wire, booth: BoothClient) -> None:
    error = {"code": "insufficient_quota", "message": "Empty.", "param": "model"}
    wire.answers = [whole({"error": error}, 429)]
    problem = refused(lambda: booth.get("/v1/balance"))
    assert (problem.code, problem.public, problem.param) == (
        Code.BALANCE_EXHAUSTED,
        "Empty.",
        "model",
    )


@pytest.mark.parametrize(
    "answer",
    [
        whole([1]),
        whole({"no": "error"}, 500),
        b"HTTP/1.1 200 X\r\ncontent-length: 3\r\n\r\n<a>",
        b"HTTP/1.1 200 X\r\ncontent-length: 30\r\n\r\n{",
    ],
)
def test_an_answer_that_is_none_is_told_as_broken(
    wire: Wire, booth: BoothClient, answer: bytes
) -> None:
    wire.answers = [answer]
    assert refused(lambda: booth.get("/x")).code is Code.ENGINE_FAILED
    assert wire.open == 0


def test_nobody_there_names_the_command_that_starts_one(wire: Wire, booth: BoothClient) -> None:
    wire.answers = [ConnectionRefusedError()]
    assert "tokenbooth up" in refused(lambda: booth.get("/x")).public
    wire.answers = [ConnectionRefusedError(), whole({"status": "ready"})]
    assert not booth.is_ready()
    assert booth.is_ready()


def test_events_come_in_order_until_done(wire: Wire, booth: BoothClient) -> None:
    wire.answers = [stream({"n": 1}, {"n": 2})]
    assert list(booth.stream("/v1/chat/completions", {"a": 1})) == [{"n": 1}, {"n": 2}]
    assert wire.asked[0][2] == {"a": 1}
    assert wire.open == 0


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (stream({"n": 1}, done=False), Code.ENGINE_FAILED),
        (stream({"error": {"code": "engine_failed", "message": "m"}}), Code.ENGINE_FAILED),
        (stream([1]), Code.ENGINE_FAILED),
        (b"HTTP/1.1 200 X\r\n\r\ndata: {\n\n", Code.ENGINE_FAILED),
        (whole({"error": {"code": "rate_limit_exceeded"}}, 429), Code.RATE_LIMITED),
    ],
)
def test_a_stream_that_ends_badly_is_told(
    wire: Wire, booth: BoothClient, answer: bytes, code: Code
) -> None:
    wire.answers = [answer]
    assert refused(lambda: list(booth.stream("/x", {}))).code is code


def chunk(text: str) -> dict[str, object]:
    return {"choices": [{"delta": {"content": text}}], "usage": None}


def usage(nano: int) -> dict[str, object]:
    return {"choices": [], "usage": {"total_tokens": 3, "cost": {"amount_nano": nano}}}


def test_a_conversation_remembers_and_adds_up(wire: Wire, booth: BoothClient) -> None:
    shown: list[str] = []
    talk = Conversation(booth, "m", shown.append, output_tokens_max=9)
    wire.answers = [stream(chunk("Hi "), chunk("you"), usage(70)), stream(chunk("!"), usage(30))]
    first = talk.ask("hello")
    assert (first.text, first.cost_nano) == ("Hi you", 70)
    second = talk.ask("again")
    assert shown == ["Hi ", "you", "!"]
    assert talk.total == "0.000000100"
    assert second.document["cost"] == "0.000000030"
    assert wire.asked[1][2]["max_completion_tokens"] == 9
    assert wire.asked[1][2]["messages"] == [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "Hi you"},
        {"role": "user", "content": "again"},
    ]


def test_a_refused_turn_is_not_remembered(wire: Wire, booth: BoothClient) -> None:
    talk = Conversation(booth, "m", lambda text: None)
    wire.answers = [whole({"error": {"code": "x"}}, 400), stream(chunk("a"), usage(1))]
    assert refused(lambda: talk.ask("bad"))
    talk.ask("good")
    assert [each["content"] for each in wire.asked[1][2]["messages"]] == ["good"]


def test_the_balance_is_the_organizations(wire: Wire, booth: BoothClient) -> None:
    limits = [{"scope": "balance", "remaining": {"amount_nano": 12}}, {"scope": "key"}]
    wire.answers = [whole({"limits": limits}), whole({"limits": [{"scope": "key"}]})]
    assert balance_nano(booth) == 12
    assert refused(lambda: balance_nano(booth)).code is Code.INTERNAL


def first_call(cost_nano: int) -> FirstCall:
    return FirstCall("text", {"prompt_tokens": 1}, cost_nano, 100, 70, 5, 6, "req_1")


def test_one_nano_of_difference_is_a_fault() -> None:
    check_books(first_call(30))
    for wrong in (29, 31):
        assert refused(lambda wrong=wrong: check_books(first_call(wrong))).code is Code.INTERNAL


def test_the_receipt_is_printed_to_the_nano() -> None:
    text = "\n".join(receipt_text(first_call(30)))
    assert "0.000000030 USD" in text
    assert "0.000000100 USD before, 0.000000070 USD after" in text
    document = receipt_json(first_call(30))
    assert document["exact"] is True
    assert document["cost"] == {"amount": "0.000000030", "amount_nano": 30, "currency": "USD"}


def test_the_printed_call_can_be_copied() -> None:
    text = call_text("http://h:1", "tb_live_k", "m", "/env/bin/python")
    body = json.loads(next(line for line in text if line.startswith("  -d"))[6:-1])
    assert body["model"] == "m"
    assert any('base_url="http://h:1/v1"' in line for line in text)
    assert any("/env/bin/python" in line for line in text)


def test_a_program_that_the_shell_does_not_find_is_named_by_its_path() -> None:
    assert own_name("/env/bin/tokenbooth", None) == "/env/bin/tokenbooth"
    assert own_name("/env/bin/tokenbooth", "/usr/bin/tokenbooth") == "tokenbooth"
