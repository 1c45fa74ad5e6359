"""The parts of the gateway's benchmark that need no server: calls, the machine, what is missing."""

import json
import os
import resource
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.core.problem import Problem
from tokenbooth.proving.bench.gateway import asks, machine, nginx, peer, programs
from tokenbooth.proving.bench.gateway.plan import Load, Side
from tokenbooth.proving.client import Address
from tokenbooth.proving.instance import InstanceFault

SAID = {
    "wall_ns": 10,
    "answers": 1,
    "answers_all": 2,
    "failed": 0,
    "held": 0,
    "chunks": 3,
    "reads": 3,
    "failure": "",
    "ran_ns": {"17": 5},
    "waited_ns": {"17": 6},
    "first_us": [1],
    "whole_us": [2],
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("translated", [True, False])
def test_a_call_is_about_a_kilobyte_of_four_messages(stream: bool, translated: bool) -> None:
    sent = asks.body("some-model", stream=stream, translated=translated)
    assert 1000 < len(sent) < 1300
    fields = json.loads(sent)
    assert len(fields["messages"]) + ("system" in fields) == 4
    assert ("stream" in fields) is stream
    assert b"~" not in sent


def test_a_call_keeps_its_connection() -> None:
    sent = asks.call(Address("127.0.0.1", 80), b"{}", asks.CHAT, "secret")
    head, _, body = sent.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert b"Bearer secret" in head
    assert b"content-length: 2" in head
    assert b"close" not in head
    assert body == b"{}"


def test_only_behind_nginx_the_path_tells_the_pace() -> None:
    pace = (8, 20_000)
    assert asks.path_of(Side.NGINX, Load.LONG, pace) == "/8/20000/v1/chat/completions"
    assert asks.path_of(Side.BOOTH, Load.LONG, pace) == asks.CHAT
    assert asks.path_of(Side.BOOTH, Load.LONG_TRANSLATED, pace) == asks.MESSAGES


@pytest.mark.parametrize(
    ("load", "end"),
    [(Load.WHOLE, "}"), (Load.RATE, "[DONE]"), (Load.SHORT_TRANSLATED, "message_stop")],
)
def test_each_answer_has_its_own_end(load: Load, end: str) -> None:
    assert asks.end_of(load) == end


def test_without_nginx_the_cure_is_named() -> None:
    with pytest.raises(Problem, match="apt-get install nginx-light"):
        nginx.nginx_path(("no-such-program",))


def test_without_a_compiler_the_cure_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="apt-get install gcc"):
        programs.build(tmp_path, ("no-such-program",))


def test_a_compiler_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"cannot build mock\.c"):
        programs.build(tmp_path, ("false",))


@pytest.mark.parametrize("python", [None, Path("no-such-python"), Path(sys.executable)])
def test_without_the_peer_the_cure_is_named(python: Path | None) -> None:
    with pytest.raises(Problem, match=r"litellm\[proxy\].*--peer-python"):
        peer.litellm_version(python)


def test_an_nginx_that_ends_at_once_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(InstanceFault, match="did not start"),
        nginx.nginx("/bin/false", tmp_path / "n", 1, 64),
    ):
        raise AssertionError


def test_the_proxy_is_plain_and_keeps_its_connections(tmp_path: Path) -> None:
    with (
        pytest.raises(InstanceFault),
        nginx.nginx("/bin/false", tmp_path / "n", 4321, 64),
    ):
        raise AssertionError
    config = (tmp_path / "n" / "nginx.conf").read_text()
    for part in (
        "worker_processes 1;",
        "access_log off;",
        "proxy_buffering off;",
        "server 127.0.0.1:4321;",
        "keepalive 1024;",
        f"pid {tmp_path}/n/pid;",
    ):
        assert part in config
    assert ("user root" in config) is (os.geteuid() == 0)


def test_what_the_caller_says_is_read() -> None:
    found = programs.load_said(json.dumps(SAID).encode())
    assert (found.answers, found.answers_all) == (1, 2)
    assert found.ran_ns == {17: 5}
    assert found.waited_ns == {17: 6}
    assert found.first_us == (1,)


@given(st.sampled_from(sorted(SAID)))
def test_a_caller_that_leaves_something_out_is_no_measurement(name: str) -> None:
    less = {key: value for key, value in SAID.items() if key != name}
    with pytest.raises(InstanceFault, match="caller said nothing"):
        programs.load_said(json.dumps(less).encode())


def test_words_that_are_no_document_are_no_measurement() -> None:
    with pytest.raises(InstanceFault, match="killed"):
        programs.load_said(b"killed")


def test_memory_is_what_the_kernel_sums_up(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    text = "5581-7ffd ---p 0000 00:00 0 [rollup]\nRss:   120 kB\nPss:  100 kB\n"
    (tmp_path / "7" / "smaps_rollup").write_text(text)
    assert machine.memory_bytes(7, tmp_path) == {"Rss": 120 * 1024, "Pss": 100 * 1024}
    assert machine.memory_bytes(8, tmp_path) == {}


def test_waits_of_all_threads_are_one_sum(tmp_path: Path) -> None:
    for thread, waited_ns in (("7", 2_500_000), ("8", 1_500_000)):
        (tmp_path / "7" / "task" / thread).mkdir(parents=True)
        (tmp_path / "7" / "task" / thread / "schedstat").write_text(f"9 {waited_ns} 3\n")
    assert machine.waited_ms(7, tmp_path) == 4
    assert machine.waited_ms(8, tmp_path) == 0


def test_the_machine_is_named(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some CPU: fast\n")
    assert machine.cpu_name(tmp_path) == "Some CPU: fast"
    (tmp_path / "cpuinfo").write_text("processor\t: 0\n")
    assert machine.cpu_name(tmp_path)
    assert "uvloop" in machine.package_versions()


@pytest.mark.parametrize(
    ("hard", "wanted", "found"),
    [(resource.RLIM_INFINITY, 5000, 5000), (20_000, 5000, 5000), (4096, 5000, 1792), (100, 5, 1)],
)
def test_streams_are_as_many_as_files_may_be_open(
    hard: int, wanted: int, found: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, hard))
    assert machine.streams_within(wanted) == found


def test_gateway_and_load_get_a_core_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5, 3, 9})
    assert machine.two_cores() == (3, 5)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5})
    with pytest.raises(Problem, match="a core each"):
        machine.two_cores()


def test_a_core_is_given_back() -> None:
    before = os.sched_getaffinity(0)
    with machine.on_core(min(before)):
        assert os.sched_getaffinity(0) == {min(before)}
    assert os.sched_getaffinity(0) == before


def test_each_sync_is_timed_and_nothing_stays(tmp_path: Path) -> None:
    found = machine.sync_times_us(tmp_path, 3)
    assert len(found) == 3
    assert min(found) >= 0
    assert not list(tmp_path.iterdir())
