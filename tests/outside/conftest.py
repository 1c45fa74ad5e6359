"""Databases for tests: a SQLite file, and a real PostgreSQL that lives as long as the test run."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.postgres import PostgresServer, postgres_server
from tests.support.stores import fresh_options
from tokenbooth.store.migrate import migrate
from tokenbooth.store.options import StoreOptions

MIGRATED = "migrated"


@dataclass(frozen=True)
class Databases:
    """The running server, whose database ``migrated`` has every table and no row."""

    server: PostgresServer

    def empty(self) -> StoreOptions:
        return StoreOptions(self.server.new_database())

    def migrated(self) -> StoreOptions:
        return StoreOptions(self.server.new_database(MIGRATED))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Databases]:
    with postgres_server() as server:
        server.admin(f"CREATE DATABASE {MIGRATED} TEMPLATE template0")
        migrate(StoreOptions(server.url(MIGRATED)))
        yield Databases(server)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_options(request: pytest.FixtureRequest, tmp_path: Path) -> StoreOptions:
    """A migrated, empty database of each kind."""
    if request.param == "sqlite":
        return fresh_options(tmp_path)
    databases: Databases = request.getfixturevalue("postgres")
    return databases.migrated()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_options(request: pytest.FixtureRequest, tmp_path: Path) -> StoreOptions:
    """A database of each kind without any table."""
    if request.param == "sqlite":
        return StoreOptions(f"sqlite:///{tmp_path / 'tokenbooth.db'}")
    databases: Databases = request.getfixturevalue("postgres")
    return databases.empty()
