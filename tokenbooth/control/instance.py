"""The first set-up of a data directory, and the secrets that live in it.

The directory holds ``tokenbooth.toml``, the embedded database, ``weights/`` and ``secrets/``. A
file of secrets is made once, for its owner only, and never written again.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tokenbooth.core.codes import Code
from tokenbooth.core.ports import Randomness
from tokenbooth.core.problem import Problem
from tokenbooth.store.migrate import migrate, schema_revision
from tokenbooth.store.options import StoreOptions

SECRET_BYTES = 32
CONFIG_NAME = "tokenbooth.toml"


@dataclass(frozen=True, slots=True)
class InstancePaths:
    """Where everything of one instance lies."""

    data_dir: Path

    @property
    def config(self) -> Path:
        return self.data_dir / CONFIG_NAME

    @property
    def secrets(self) -> Path:
        return self.data_dir / "secrets"

    @property
    def pepper(self) -> Path:
        return self.secrets / "pepper"

    @property
    def sealing_key(self) -> Path:
        return self.secrets / "sealing.key"

    @property
    def up_key(self) -> Path:
        """The key that ``up`` made, kept so that it can print the same call again."""
        return self.secrets / "up.key"

    @property
    def weights(self) -> Path:
        return self.data_dir / "weights"

    @property
    def running(self) -> Path:
        """Who serves this directory at the moment; locked while it is served."""
        return self.data_dir / "serving.json"


@dataclass(frozen=True, slots=True)
class InstanceSecrets:
    """``pepper`` keys the hashes of API keys; ``sealing_key`` encrypts upstream credentials."""

    pepper: bytes = field(repr=False)
    sealing_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class InitReport:
    """``created`` names what was made now, relative to the directory; empty at a second run."""

    data_dir: Path
    created: tuple[str, ...]
    schema_revision: str | None


def init_instance(
    data_dir: Path, store: StoreOptions, config_text: str, randomness: Randomness
) -> InitReport:
    """Make what is missing and bring the schema up to date; running it again changes nothing.

    Raises Problem STATE_CONFLICT when the directory cannot be made or written.
    """
    paths = InstancePaths(data_dir)
    try:
        created = [_label(path, data_dir) for path in _make(paths, config_text, randomness)]
    except OSError as error:
        raise Problem(
            Code.STATE_CONFLICT,
            f"{error.filename or data_dir} cannot be written: {error.strerror}.",
        ) from error
    before = schema_revision(store)
    migrate(store)
    after = schema_revision(store)
    if before != after:
        created.append("schema")
    return InitReport(data_dir, tuple(created), after)


def read_secrets(data_dir: Path) -> InstanceSecrets:
    """Raises Problem STATE_CONFLICT when the instance was not set up, or a secret was cut."""
    paths = InstancePaths(data_dir)
    return InstanceSecrets(_read_secret(paths.pepper), _read_secret(paths.sealing_key))


def is_initialized(data_dir: Path) -> bool:
    """Whether ``init_instance`` ran here."""
    paths = InstancePaths(data_dir)
    return paths.pepper.is_file() and paths.sealing_key.is_file()


def write_once(path: Path, content: bytes) -> bool:
    """Make a file that only its owner can read; False when it exists already."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    return True


def _make(paths: InstancePaths, config_text: str, randomness: Randomness) -> Iterator[Path]:
    """What did not exist before, directories first."""
    for directory in (paths.data_dir, paths.secrets, paths.weights):
        if _make_private_dir(directory):
            yield directory
    for secret in (paths.pepper, paths.sealing_key):
        if write_once(secret, randomness.token_bytes(SECRET_BYTES)):
            yield secret
    if write_once(paths.config, config_text.encode()):
        yield paths.config


def _make_private_dir(path: Path) -> bool:
    """An existing directory keeps its mode: it may be the operator's own. ``doctor`` looks."""
    if path.is_dir():
        return False
    path.mkdir(mode=0o700, parents=True)
    return True


def _read_secret(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise Problem(
            Code.STATE_CONFLICT,
            f"{path} is missing: run `tokenbooth init`, or restore it from a backup.",
        ) from error
    except OSError as error:
        raise Problem(Code.STATE_CONFLICT, f"{path} cannot be read: {error.strerror}.") from error
    if len(content) != SECRET_BYTES:
        raise Problem(
            Code.STATE_CONFLICT,
            f"{path} holds {len(content)} bytes instead of {SECRET_BYTES}:"
            " restore it from a backup.",
        )
    return content


def _label(path: Path, data_dir: Path) -> str:
    return str(path) if path == data_dir else str(path.relative_to(data_dir))
