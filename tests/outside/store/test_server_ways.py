"""Each way of starting the test server that this machine allows really works."""

import asyncio
import os
from pathlib import Path

import asyncpg
import pytest

from tests.support import postgres
from tests.support.postgres import BIN_VARIABLE, NOBODY, Runner, postgres_server

WAYS = ("another user", "a user namespace", "a readable copy")


def runner_of(way: str, directory: Path) -> Runner | None:
    """``None`` where the way is closed: not root, or user namespaces are forbidden."""
    bin_dir = postgres._installed() / "bin"
    if os.geteuid() != 0:
        return None
    if way == "another user":
        found = Runner(bin_dir, user=NOBODY)
    elif way == "a user namespace":
        found = Runner(bin_dir, prefix=("unshare", "--user", "--map-user=1000"))
    else:
        found = Runner(postgres._readable_copy(bin_dir.parent, directory), user=NOBODY)
    return found if found.works() else None


@pytest.mark.parametrize("way", WAYS)
def test_the_server_answers_and_goes(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed way falls back to the one that the launcher finds by itself."""
    find = postgres._runner
    monkeypatch.setattr(postgres, "_runner", lambda at: runner_of(way, at) or find(at))

    async def version(directory: Path) -> str:
        connection = await asyncpg.connect(
            host=str(directory), user="postgres", database="answered"
        )
        found = await connection.fetchval("SHOW server_version")
        await connection.close()
        return str(found)

    with postgres_server() as server:
        server.admin("CREATE DATABASE answered")
        assert int(asyncio.run(version(server.directory)).split(".")[0]) >= 14
    assert not server.directory.exists()


def test_own_binaries_are_taken_where_they_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv(BIN_VARIABLE, "/somewhere/bin")
    assert postgres._runner(tmp_path) == Runner(Path("/somewhere/bin"))
    monkeypatch.delenv(BIN_VARIABLE)
    assert postgres._runner(tmp_path) == Runner(postgres._installed() / "bin")


def test_binaries_that_are_not_there_do_not_work(tmp_path: Path) -> None:
    assert not Runner(tmp_path).works()
    assert not Runner(tmp_path, prefix=("no-such-program",)).works()
