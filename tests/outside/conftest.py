"""Databases for tests: a SQLite file, and a real PostgreSQL that lives as long as the test run."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.postgres import PostgresServer, postgres_server
from tests.support.stores import fresh_options
from tokenbooth.store.migrate import migrate
from tokenbooth.store.options import StoreOptions

MIGRATED = "migrated"


@dataclass
class Databases:
    """Fresh databases of the running server; each is dropped when its test ends."""

    server: PostgresServer
    made: list[str] = field(default_factory=list)

    def empty(self) -> StoreOptions:
        return self._new("template0")

    def migrated(self) -> StoreOptions:
        return self._new(MIGRATED)

    def _new(self, template: str) -> StoreOptions:
        name = self.server.new_database(template)
        self.made.append(name)
        return StoreOptions(self.server.url(name))

    def drop(self) -> None:
        while self.made:
            self.server.admin(f"DROP DATABASE {self.made.pop()} WITH (FORCE)")


@pytest.fixture(scope="session")
def running_postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        server.admin(f"CREATE DATABASE {MIGRATED} TEMPLATE template0")
        migrate(StoreOptions(server.url(MIGRATED)))
        yield server


@pytest.fixture
def postgres(running_postgres: PostgresServer) -> Iterator[Databases]:
    databases = Databases(running_postgres)
    yield databases
    databases.drop()


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
