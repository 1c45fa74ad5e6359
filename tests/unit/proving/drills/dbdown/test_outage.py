"""A wire that is cut and a lock that is held, at a server and a file that are not ours."""

import asyncio
import contextlib
import socket
import socketserver
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tokenbooth.proving.drills.dbdown.outage import CutWire, HeldLock, outage_of
from tokenbooth.proving.drills.dbdown.wire import Target, Wire, target_of, url_through
from tokenbooth.proving.drills.engine import free_port

WAIT_S = 10


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while piece := self.request.recv(65536):
            self.request.sendall(piece.upper())


@contextlib.contextmanager
def echo(path: Path | None = None) -> Iterator[Target]:
    """A server that shouts back, on a port or on a path."""
    kind = (
        socketserver.ThreadingTCPServer if path is None else socketserver.ThreadingUnixStreamServer
    )
    kind.daemon_threads = True
    with kind(("127.0.0.1", 0) if path is None else str(path), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            if path is None:
                host, port = server.server_address[:2]
                yield Target(str(host), int(port), None)
            else:
                yield Target("x", 1, str(path))
        finally:
            server.shutdown()
            thread.join()


def said(port: int, piece: bytes = b"hello") -> bytes:
    """What comes back through the wire; raises OSError where nothing does."""
    with socket.create_connection(("127.0.0.1", port), WAIT_S) as link:
        link.sendall(piece)
        found = b""
        while len(found) < len(piece):
            more = link.recv(65536)
            if not more:
                raise ConnectionResetError
            found += more
        return found


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("postgresql://role@db.example/books", Target("db.example", 5432, None)),
        ("postgresql://role:secret@db.example:5544/books", Target("db.example", 5544, None)),
        ("postgresql:///books", Target("localhost", 5432, None)),
        (
            "postgresql://postgres@/books?host=/tmp/pg",
            Target("/tmp/pg", 5432, "/tmp/pg/.s.PGSQL.5432"),
        ),
        (
            "postgresql://postgres@/books?host=/tmp/pg&port=6000",
            Target("/tmp/pg", 6000, "/tmp/pg/.s.PGSQL.6000"),
        ),
        ("postgresql://postgres@/books?host=db.example", Target("db.example", 5432, None)),
    ],
)
def test_a_url_says_where_postgresql_listens(url: str, target: Target) -> None:
    assert target_of(url) == target


@pytest.mark.parametrize(
    ("url", "through"),
    [
        ("postgresql://role@db.example/books", "postgresql://role@127.0.0.1:77/books"),
        ("postgresql://r:s%40t@h:5544/books", "postgresql://r:s%40t@127.0.0.1:77/books"),
        ("postgresql://postgres@/books?host=/tmp/pg", "postgresql://postgres@127.0.0.1:77/books"),
        (
            "postgresql://p@/b?host=/tmp/pg&port=6000&application_name=x",
            "postgresql://p@127.0.0.1:77/b?application_name=x",
        ),
        ("postgresql:///books", "postgresql://127.0.0.1:77/books"),
    ],
)
def test_the_same_database_is_reached_through_the_wire(url: str, through: str) -> None:
    assert url_through(url, 77) == through


@pytest.mark.parametrize("url", ["sqlite:////tmp/x.db", "mysql://nobody", ""])
def test_another_kind_of_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not a PostgreSQL URL"):
        target_of(url)


def test_a_wire_carries_everything_both_ways() -> None:
    with echo() as target, Wire(target) as wire:
        assert said(wire.port) == b"HELLO"
        large = b"x" * 3_000_000
        assert said(wire.port, large) == large.upper()
        assert wire.links == 2


def test_a_wire_reaches_a_path(tmp_path: Path) -> None:
    with echo(tmp_path / "s") as target, Wire(target) as wire:
        assert said(wire.port) == b"HELLO"


def test_a_cut_breaks_every_connection_and_refuses_new_ones_until_it_is_mended() -> None:
    with echo() as target, Wire(target) as wire:
        port = wire.port
        with socket.create_connection(("127.0.0.1", port), WAIT_S) as link:
            link.sendall(b"a")
            assert link.recv(1) == b"A"
            wire.cut()
            with contextlib.suppress(ConnectionError):
                assert link.recv(1) == b""
        with pytest.raises(OSError, match="refused"):
            said(port)
        wire.mend()
        assert wire.port == port
        assert said(port) == b"HELLO"


def test_a_wire_to_nobody_ends_its_connections() -> None:
    with Wire(Target("127.0.0.1", free_port(), None)) as wire, pytest.raises(ConnectionError):
        said(wire.port)


def test_the_end_of_one_side_is_the_end_of_the_other() -> None:
    with echo() as target, Wire(target) as wire:
        said(wire.port)
        wire.cut()
        assert wire._links == set()
        assert wire._tasks == set()


def test_a_wire_that_is_over_takes_nobody() -> None:
    with echo() as target, Wire(target) as wire:
        port = wire.port
    with pytest.raises(OSError, match="refused"):
        said(port)
    assert not wire._thread.is_alive()


def made(tmp_path: Path) -> Path:
    path = tmp_path / "x.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t (n INTEGER)")
    return path


def writes(path: Path) -> bool:
    with contextlib.closing(sqlite3.connect(path, timeout=0)) as connection:
        try:
            connection.execute("INSERT INTO t VALUES (1)")
        except sqlite3.OperationalError:
            return False
        connection.commit()
        return True


def test_a_held_lock_keeps_writers_out_and_readers_not(tmp_path: Path) -> None:
    path = made(tmp_path)
    lock = HeldLock(path)
    assert writes(path)
    lock.begin()
    assert not writes(path)
    with contextlib.closing(sqlite3.connect(path)) as reader:
        assert reader.execute("SELECT count(*) FROM t").fetchone() == (1,)
    lock.end()
    assert writes(path)
    lock.end()


def test_an_outage_of_sqlite_ends_with_its_block_however_it_ends(tmp_path: Path) -> None:
    path = made(tmp_path)

    def fail() -> None:
        with outage_of(None, path) as (outage, url):
            assert url is None
            outage.begin()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert writes(path)


def test_an_outage_of_postgresql_is_a_cut_wire(tmp_path: Path) -> None:
    with echo() as target:
        given = f"postgresql://r@{target.host}:{target.port}/books"
        with outage_of(given, tmp_path / "none") as (outage, url):
            assert isinstance(outage, CutWire)
            assert url is not None
            port = target_of(url).port
            assert said(port) == b"HELLO"
            asyncio.run(asyncio.to_thread(outage.begin))
            with pytest.raises(OSError, match="refused"):
                said(port)
            outage.end()
            assert said(port) == b"HELLO"


def test_an_outage_of_anything_else_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="not a PostgreSQL URL"),
        outage_of("mysql://nobody", tmp_path),
    ):
        raise AssertionError("it began all the same")
