"""The benchmark of the gateway: its programs see every bad answer, a whole run counts exactly.

The bare mock stands where nginx would, so that no nginx is needed. No time is judged.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tokenbooth.core.problem import Problem
from tokenbooth.proving.bench.cpu import children
from tokenbooth.proving.bench.gateway import asks, bench
from tokenbooth.proving.bench.gateway.nginx import Nginx
from tokenbooth.proving.bench.gateway.peer import litellm
from tokenbooth.proving.bench.gateway.plan import QUICK, Load, Side, mock_path
from tokenbooth.proving.bench.gateway.programs import (
    HeldStreams,
    LoadAsk,
    LoadSaid,
    Programs,
    build,
    mock_upstream,
    run_load,
)
from tokenbooth.proving.bench.load import kept_bytes
from tokenbooth.proving.client import Address, Ask

GOOD = b'HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n{"~":1}'
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    return build(tmp_path_factory.mktemp("programs"))


@pytest.fixture(scope="module")
def mock(programs: Programs) -> Iterator[int]:
    with mock_upstream(programs) as port:
        yield port


def asked(folder: Path, port: int, steps: int, *, stream: bool, pause_us: int = 0) -> LoadAsk:
    """A short closed loop of two calls at the mock."""
    file = folder / "ask"
    body = asks.body("mock", stream=stream, translated=False)
    path = mock_path(steps, pause_us) + asks.CHAT
    file.write_bytes(asks.call(Address("127.0.0.1", port), body, path, "nobody"))
    return LoadAsk(
        mode="closed",
        port=port,
        requests=(file,),
        end=asks.DONE if stream else asks.CLOSED,
        connections=2,
        steps=steps,
        warm_ms=20,
        window_ms=60,
        patience_ms=3000,
    )


def test_the_mock_answers_as_a_models_server_does(mock: int) -> None:
    with closing(HTTPConnection("127.0.0.1", mock, timeout=5)) as connection:
        connection.request("GET", "/v1/models")
        assert json.loads(connection.getresponse().read())["data"][0]["id"] == "mock"
        connection.request("POST", "/1/0/v1/chat/completions", b'{"model":"mock"}')
        answer = json.loads(connection.getresponse().read())
        connection.request("POST", "/3/100/v1/chat/completions", b'{"stream": true}')
        events = connection.getresponse().read().decode().split("\n\n")
    assert answer["usage"]["total_tokens"] == 276
    assert 680 < len(json.dumps(answer, separators=(",", ":"))) < 800
    steps = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    assert events[-2:] == ["data: [DONE]", ""]
    said = [step["choices"][0]["delta"].get("content") for step in steps[:-1]]
    assert said == ["~The", "~ rainbow", "~ rainbow", None]
    assert steps[-1]["usage"]["completion_tokens"] == 64
    assert 200 < len(events[1]) < 290


@pytest.mark.parametrize("stream", [False, True])
def test_a_closed_loop_counts_every_answer(
    programs: Programs, mock: int, tmp_path: Path, stream: bool
) -> None:
    steps = 5 if stream else 1
    ask = asked(tmp_path, mock, steps, stream=stream, pause_us=500 if stream else 0)
    said = run_load(programs, replace(ask, watch=(os.getpid(), 2**22)))
    assert (said.failed, said.failure) == (0, "")
    assert 0 < said.answers <= said.answers_all
    assert len(said.first_us) == len(said.whole_us) == said.answers
    assert said.chunks >= said.reads > 0
    assert said.wall_ns > 0
    assert set(said.ran_ns) == set(said.waited_ns) == {os.getpid(), 2**22}
    assert said.ran_ns[2**22] == 0


def test_at_a_fixed_rate_every_call_is_sent_and_timed_from_when_it_was_due(
    programs: Programs, mock: int, tmp_path: Path
) -> None:
    """One connection for 100 calls a second of 30 ms: each waits longer than the one before."""
    ask = asked(tmp_path, mock, 4, stream=True, pause_us=7500)
    late = run_load(programs, replace(ask, mode="rate", rate=100, connections=1, window_ms=180))
    assert late.failed == 0
    assert late.answers_all == 20
    assert late.answers == len(late.whole_us) == 18
    assert list(late.whole_us) == sorted(late.whole_us)
    assert late.whole_us[-1] - late.whole_us[0] > 17 * 15_000


def test_streams_are_held_until_the_end(programs: Programs, mock: int, tmp_path: Path) -> None:
    ask = asked(tmp_path, mock, 2, stream=True, pause_us=600_000_000)
    with HeldStreams(programs, replace(ask, mode="hold", connections=200)) as held:
        assert held.count == 200
    assert held.said is not None
    assert (held.said.held, held.said.failed) == (200, 0)


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """A server that says these bytes to every call, and hangs up."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.wfile.write(answer)
            self.close_connection = True

        def log_message(self, *ignored: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def at_rate(programs: Programs, folder: Path, port: int, *, end: str, steps: int = 1) -> LoadSaid:
    """Two calls; the windows of a rate are the only ones that a failure does not prolong."""
    file = folder / "ask"
    address = Address("127.0.0.1", port)
    file.write_bytes(kept_bytes(Ask("POST", "/", (), b"{}"), address))
    return run_load(
        programs,
        LoadAsk(
            mode="rate",
            port=port,
            requests=(file,),
            end=end,
            connections=2,
            steps=steps,
            rate=100,
            window_ms=20,
            patience_ms=3000,
        ),
    )


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (GOOD.replace(b"200 OK", b"502 Bad"), "status: status 502"),
        (GOOD.replace(b"~", b"-"), "steps: status 200, 0 of 1"),
        (GOOD.replace(b"length: 7", b"length: 9"), "cut off"),
        (GOOD.replace(b"1}", b"12"), "end"),
        (b"", "no answer"),
        (CHUNKED + b"3\r\n{~}\r\n", "cut off"),
        (CHUNKED + b"3\r\n{~~\r\n1\r\n}\r\n0\r\n\r\n", "steps: status 200, 2 of 1"),
        (CHUNKED + b"0\r\n\r\n", "steps: status 200, 0 of 1"),
    ],
)
def test_every_bad_answer_is_a_failure(
    programs: Programs, tmp_path: Path, answer: bytes, why: str
) -> None:
    with answering(answer) as port:
        said = at_rate(programs, tmp_path, port, end=asks.CLOSED)
    assert (said.answers_all, said.failed) == (0, 2)
    assert said.failure.startswith(why)


@pytest.mark.parametrize(
    "answer",
    [
        GOOD,
        GOOD.replace(b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK\r\nConnection: close"),
        CHUNKED + b"2\r\n{~\r\n00a;x=1\r\n123456789}\r\n0\r\nsome: trailer\r\n\r\n",
    ],
)
def test_a_good_answer_is_none(programs: Programs, tmp_path: Path, answer: bytes) -> None:
    with answering(answer) as port:
        said = at_rate(programs, tmp_path, port, end=asks.CLOSED)
    assert (said.answers_all, said.failed, said.failure) == (2, 0, "")


TINY = replace(
    QUICK,
    windows=1,
    window_ms=100,
    warm_ms=50,
    tail_ms=100,
    calls_at_once=4,
    stream_windows=1,
    stream_window_ms=60,
    streams_at_once=4,
    long_steps=10,
    rate_windows=1,
    rate_window_ms=200,
    calls_per_s=50,
    syncs=3,
    idle_streams=20,
)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, programs: Programs) -> None:
    """Nothing stands where nginx would: the mock itself."""

    @contextmanager
    def nothing(_path: str, _folder: Path, upstream_port: int, _files: int) -> Iterator[Nginx]:
        commands = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in children(os.getpid())}
        upstream = max(pid for pid, command in commands.items() if str(programs.mock) in command)
        yield Nginx(upstream_port, upstream, upstream)

    monkeypatch.setattr(bench, "nginx", nothing)
    monkeypatch.setattr(bench, "nginx_path", lambda: "nginx")
    monkeypatch.setattr(bench, "nginx_version", lambda _: "none")
    monkeypatch.setattr(bench, "build", lambda _: programs)


def silent(stage: str, done: int, total: int) -> None:
    """Nobody looks at the progress."""


@pytest.mark.usefixtures("bare")
def test_a_whole_run_books_every_call_of_every_row() -> None:
    report = bench.run_gateway(TINY, silent)
    assert report.problems == ()
    found: dict[str, Any] = json.loads(json.dumps(report.document()))
    assert {(w["side"], w["load"]) for w in found["windows"]} == {
        (side.value, load.value)
        for side in (Side.NGINX, Side.BOOTH)
        for load in Load
        if not (side is Side.NGINX and load.translated)
    }
    assert found["books"]["calls"] == report.calls > 20
    assert found["memory"]["tokenbooth"]["held"] == 20
    assert found["memory"]["tokenbooth"]["idle_rss"] > 10_000_000
    assert found["nginx_multiple_request"] > 0
    assert found["cold_start_ms"] > 0
    assert found["fdatasync_us"]["count"] == 3
    assert [goal["name"] for goal in found["goals"]] == [goal.name for goal in report.goals()]


PEER = """#!{python}
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Answers(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200 if self.headers["authorization"] == "Bearer sk-bench" else 401)
        self.end_headers()

words = sys.argv[1:]
HTTPServer(("127.0.0.1", int(words[words.index("--port") + 1])), Answers).serve_forever()
"""


def test_a_peer_is_started_from_its_own_environment(tmp_path: Path) -> None:
    """A stand-in, which answers only to the key that it was to be given."""
    for name, text in (("python", "#!/bin/sh\necho 1.2.3\n"), ("litellm", PEER)):
        (tmp_path / name).write_text(text.format(python=sys.executable))
        (tmp_path / name).chmod(0o700)
    with litellm(tmp_path / "python", tmp_path / "peer", 4321, b"{}") as peer:
        assert peer.version == "1.2.3"
        assert Path(f"/proc/{peer.pid}").exists()
        config = json.loads((tmp_path / "peer" / "config.yaml").read_text())
    assert not Path(f"/proc/{peer.pid}").exists()
    (model,) = config["model_list"]
    assert model["litellm_params"]["api_base"] == "http://127.0.0.1:4321/1/0/v1"


def test_without_nginx_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        from tokenbooth.proving.bench.gateway.nginx import nginx_path

        return nginx_path(("no-such-program",))

    monkeypatch.setattr(bench, "nginx_path", missing)
    with pytest.raises(Problem, match="nginx was not found"):
        bench.run_gateway(TINY, silent)
