"""Frozen nouns of files."""

from dataclasses import dataclass, field
from enum import StrEnum


class Purpose(StrEnum):
    """What a file is for; nothing here depends on it yet."""

    ASSISTANTS = "assistants"
    BATCH = "batch"
    FINE_TUNE = "fine-tune"
    VISION = "vision"
    USER_DATA = "user_data"
    EVALS = "evals"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileAsk:
    """A file as it was uploaded; ``kept_s`` is ``None`` where the caller leaves it to us."""

    file_name: str
    purpose: Purpose
    content: bytes = field(repr=False)
    kept_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file without its content. Times are Unix microseconds."""

    id: str
    org_id: str
    project_id: str
    key_id: str
    file_name: str
    purpose: Purpose
    size_bytes: int
    created_us: int
    expires_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesPage:
    """At most ``limit`` files beyond ``after``, newest first unless ``oldest_first``."""

    limit: int
    after: str | None = None
    purpose: Purpose | None = None
    oldest_first: bool = False
