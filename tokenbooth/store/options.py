"""What opens a store."""

import re
from dataclasses import dataclass
from pathlib import Path

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

SQLITE_SCHEME = "sqlite://"
POSTGRES_SCHEMES = ("postgresql://", "postgres://")


def mask_password(text: str) -> str:
    """``scheme://name:password@…`` with the password hidden."""
    return re.sub(r"(://[^:/@\s]*):[^@\s]*@", r"\1:***@", text)


@dataclass(frozen=True, slots=True)
class StoreBounds:
    """``queue_max`` bounds the verbs that wait, ``group_max`` those of one SQLite commit.

    ``connections_max`` is the PostgreSQL pool, ``readers`` the SQLite reader threads; ``wait_ms``
    bounds the wait for another process's write, for a connection and for one statement's locks.
    """

    queue_max: int = 4096
    group_max: int = 256
    readers: int = 2
    connections_max: int = 8
    wait_ms: int = 5000


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """``url`` is ``sqlite:///absolute/path.db`` or ``postgresql://role@host/database``."""

    url: str

    @property
    def is_sqlite(self) -> bool:
        return self.url.startswith(SQLITE_SCHEME)

    @property
    def sqlite_path(self) -> Path:
        """The database file. Raises Problem INVALID_VALUE when the URL names none."""
        path = self.url.removeprefix(SQLITE_SCHEME)
        if not self.is_sqlite or not path.startswith("/") or not path.strip("/"):
            raise Problem(
                Code.INVALID_VALUE,
                "The store URL must be sqlite:///absolute/path.db or postgresql://….",
                param="url",
            )
        return Path("/" + path.lstrip("/"))

    def check(self) -> None:
        """Raise Problem INVALID_VALUE for a URL that no store can open."""
        if not self.url.startswith(POSTGRES_SCHEMES):
            _ = self.sqlite_path
