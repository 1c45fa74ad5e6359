"""Ends of the whole process: killed, told to stop, without a disk, without its database."""

import asyncio
import contextlib
import resource
import threading
from collections import Counter

import pytest

from tests.support.attack import (
    CutSocket,
    account,
    assert_sound,
    body,
    chat,
    connect,
    elsewhere,
    get,
    many,
    open_holds,
    queued,
    raw_post,
    records,
    spent_nano,
    spoken,
    until,
)
from tests.support.instances import Script, add_scripts
from tokenbooth.proving.instance import PrivateInstance

SLOW = Script("slow", {"chunks": "2000", "chunk_delay_ms": "20"})
LINE = Script("line", {"chunks": "2000", "chunk_delay_ms": "20"}, 1, 8)
SHORT = Script("short", {"chunks": "80", "chunk_delay_ms": "25"}, 64, 64)
DEMO = Script("demo")
FAST = {
    "workers.beat_every_ms": "200",
    "edge.drain_max_s": "1",
}


@pytest.fixture
def store_url(request: pytest.FixtureRequest) -> str | None:
    """Made for a test by ``@pytest.mark.parametrize("store_url", BOTH, indirect=True)``."""
    if request.param == "sqlite":
        return None
    running = request.getfixturevalue("running_postgres")
    return str(running.url(running.new_database()))


BOTH = ["sqlite", "postgresql"]


@pytest.mark.parametrize("store_url", BOTH, indirect=True)
def test_a_killed_server_leaves_interrupted_calls_that_cost_what_was_delivered(tmp_path, store_url):
    with PrivateInstance(tmp_path / "home", store_url=store_url, settings=FAST) as instance:
        add_scripts(instance, SLOW, DEMO)
        secret = account(instance, "acme")
        address = instance.start()
        links = [connect(address) for _ in range(4)]
        for place, link in enumerate(links):
            link.sendall(raw_post(secret, body("slow", stream=place % 2 == 0)))
        until(lambda: open_holds(instance) == 4)
        for link in links[::2]:
            assert b"data:" in link.recv(65536) + link.recv(65536)
        instance.kill()
        for link in links:
            link.close()
        assert open_holds(instance) == 4
        address = instance.start()
        until(lambda: open_holds(instance) == 0)
        found = records(address, secret)
        assert [r["status"] for r in found] == ["interrupted"] * 4
        assert all(r["cost"]["amount_nano"] == 0 for r in found if not r["stream"])
        assert spent_nano(address, secret) == sum(r["cost"]["amount_nano"] for r in found)
        assert chat(address, secret, body("demo")).status == 200
        assert instance.stop() == 0
        assert_sound(instance)


def test_a_second_server_on_the_same_file_takes_no_hold_of_the_first(tmp_path):
    """The lock is the directory's; a database elsewhere may be somebody else's too."""
    with PrivateInstance(tmp_path / "one", settings=FAST) as one:
        add_scripts(one, SLOW)
        secret = account(one, "acme")
        address = one.start()
        with connect(address) as link:
            link.sendall(raw_post(secret, body("slow", stream=True)))
            assert link.recv(4096).startswith(b"HTTP/1.1 200")
            url = f"sqlite:///{tmp_path / 'one' / 'tokenbooth.db'}"
            with PrivateInstance(
                tmp_path / "two", store_url=url, settings=FAST, first="two"
            ) as two:
                two.start()
                assert open_holds(one) == 1
                assert two.stop() == 0
            assert open_holds(one) == 1
        until(lambda: open_holds(one) == 0)
        (record,) = records(address, secret)
        assert record["status"] == "client_gone"
        assert record["cost"]["amount_nano"] > 0
        assert one.stop() == 0
        assert_sound(one)


def test_a_stop_ends_running_and_queued_calls_in_words_and_starts_no_other(tmp_path):
    with PrivateInstance(tmp_path / "home", settings=FAST) as instance:
        add_scripts(instance, LINE)
        secret = account(instance, "acme")
        address = instance.start()
        heard: list[bytes] = []

        def ask(*headers: str) -> None:
            fields = body("line", stream=True)
            heard.append(spoken(address, raw_post(secret, fields, "connection: close", *headers)))

        callers = [threading.Thread(target=ask) for _ in range(5)]
        for caller in callers:
            caller.start()
        until(lambda: queued(address, secret) == 4)
        with connect(address) as half:  # a body that never comes
            half.sendall(raw_post(secret, body("line"))[:-3])
            assert instance.stop(within_s=20) == 0
        for caller in callers:
            caller.join()
        assert len(heard) == 5
        assert all(b'"server_shutting_down"' in answer for answer in heard)
        assert sum(answer.startswith(b"HTTP/1.1 200") for answer in heard) == 1
        assert b"[DONE]" not in b"".join(heard)
        assert "Traceback" not in instance.log_path.read_text()
        assert_sound(instance)
        address = instance.start()
        assert [r["status"] for r in records(address, secret)] == ["interrupted"]


def test_a_disk_that_takes_no_byte_refuses_calls_and_recovers(tmp_path):
    """The kernel refuses the server's writes as a full disk would; no privilege is needed."""
    with PrivateInstance(tmp_path / "home", settings=FAST) as instance:
        add_scripts(instance, SHORT, DEMO)
        secret = account(instance, "acme")
        address = instance.start()
        assert chat(address, secret, body("demo")).status == 200
        before = spent_nano(address, secret)
        answers: dict[bool, bytes] = {}

        def ask(stream: bool) -> None:
            raw = raw_post(secret, body("short", stream=stream), "connection: close")
            answers[stream] = spoken(address, raw)

        callers = [threading.Thread(target=ask, args=(stream,)) for stream in (True, False)]
        for caller in callers:
            caller.start()
        until(lambda: open_holds(instance) == 2)
        with full_disk(instance):
            assert asyncio.run(many(address, secret, 20, body("demo"))) == Counter({503: 20})
            for caller in callers:
                caller.join()
            assert get(address, "/v1/balance", secret).status == 200
        assert all(b'"billing_unavailable"' in answer for answer in answers.values())
        until(lambda: open_holds(instance) == 0)
        by_stream = {r["stream"]: r for r in records(address, secret) if r["model"] == "short"}
        assert by_stream[False]["status"] == "interrupted"
        assert by_stream[False]["cost"]["amount_nano"] == 0
        assert by_stream[True]["status"] == "completed"
        cost = by_stream[True]["cost"]["amount_nano"]
        assert spent_nano(address, secret) - before == cost > 0
        assert chat(address, secret, body("demo")).status == 503  # the journal broke for good
        assert instance.stop() == 0
        assert chat(instance.start(), secret, body("demo")).status == 200
        assert instance.stop() == 0
        assert_sound(instance)


@contextlib.contextmanager
def full_disk(instance: PrivateInstance):
    assert instance.pid is not None
    usual = resource.prlimit(instance.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(instance.pid, resource.RLIMIT_FSIZE, (1, usual[1]))
    try:
        yield
    finally:
        resource.prlimit(instance.pid, resource.RLIMIT_FSIZE, usual)


def test_a_database_that_goes_away_under_load_costs_nobody_an_answer_it_never_got(
    tmp_path, running_postgres
):
    url = f"postgresql://postgres@/{running_postgres.new_database()}?host={tmp_path}"
    with (
        elsewhere() as loop,
        CutSocket(loop, running_postgres.directory, tmp_path) as link,
        PrivateInstance(tmp_path / "home", store_url=url, settings=FAST) as instance,
    ):
        add_scripts(instance, SHORT, DEMO)
        secret = account(instance, "acme")
        address = instance.start()
        answers: dict[bool, bytes] = {}
        statuses: Counter[int] = Counter()

        def ask(stream: bool) -> None:
            raw = raw_post(secret, body("short", stream=stream), "connection: close")
            answers[stream] = spoken(address, raw)

        def load() -> None:
            while len(answers) < 2:
                statuses.update(asyncio.run(many(address, secret, 10, body("demo", max_tokens=4))))

        work = [threading.Thread(target=load)]
        work += [threading.Thread(target=ask, args=(stream,)) for stream in (True, False)]
        work[0].start()
        until(lambda: statuses[200])
        for thread in work[1:]:
            thread.start()
        until(lambda: sum(r["model"] == "short" for r in records(address, secret)) == 2)
        link.away()
        for thread in work:
            thread.join()
        link.back()
        assert b"[DONE]" in answers[True]  # the journal is all that an ending waits for
        assert answers[False].startswith(b"HTTP/1.1 200")
        until(lambda: open_holds(instance) == 0)
        found = records(address, secret)
        assert {r["status"] for r in found if r["model"] == "short"} == {"completed"}
        assert set(statuses) <= {200, 503}
        paid_nano = sorted(r["cost"]["amount_nano"] for r in found if r["cost"]["amount_nano"])
        assert len(paid_nano) == statuses[200] + 2
        assert spent_nano(address, secret) == sum(paid_nano)
        assert instance.stop() == 0
        assert_sound(instance)
