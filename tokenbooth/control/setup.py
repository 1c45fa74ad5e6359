"""The first set-up of a data directory, apart from its reading: only this part needs migrations.

A file of secrets is made once, for its owner only, and never written again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tokenbooth.control.instance import SECRET_BYTES, InstancePaths
from tokenbooth.control.secret_files import write_once
from tokenbooth.core.codes import Code
from tokenbooth.core.ports import Randomness
from tokenbooth.core.problem import Problem
from tokenbooth.store.migrate import migrate, schema_revision
from tokenbooth.store.options import StoreOptions


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

    Raises Problem STATE_CONFLICT when the directory cannot be made or written, or when a set-up
    database has lost the pepper that its keys were hashed with.
    """
    paths = InstancePaths(data_dir)
    _check_pepper(paths, store)
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


def _check_pepper(paths: InstancePaths, store: StoreOptions) -> None:
    """A new pepper would make every key unknown without a word; a shared database may be joined
    from a new directory, so only the own file is looked at."""
    own = store.is_sqlite and store.sqlite_path.resolve().parent == paths.data_dir.resolve()
    if own and not paths.pepper.exists() and schema_revision(store) is not None:
        raise Problem(
            Code.STATE_CONFLICT,
            f"{paths.pepper} is missing, and the keys in the database are of no use without it."
            " Put the file back; to give all keys up, write 32 random bytes there.",
        )


def _make(paths: InstancePaths, config_text: str, randomness: Randomness) -> Iterator[Path]:
    """What did not exist before, directories first."""
    for directory in (paths.data_dir, paths.secrets, paths.weights):
        if _make_private_dir(directory):
            yield directory
    for secret in (paths.pepper, paths.sealing_key, paths.receipts_key):
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


def _label(path: Path, data_dir: Path) -> str:
    return str(path) if path == data_dir else str(path.relative_to(data_dir))
