"""Files of secrets: made whole, for their owner only."""

import os
from pathlib import Path


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


def appear_once(path: Path, content: bytes) -> bool:
    """The same, for a file that others may look for meanwhile: they see all of it, or nothing."""
    partial = _written_beside(path, content)
    try:
        os.link(partial, path)
    except FileExistsError:
        return False
    finally:
        partial.unlink()
    return True


def put_in_place(path: Path, content: bytes) -> None:
    """Replace the file in one step."""
    _written_beside(path, content).replace(path)


def _written_beside(path: Path, content: bytes) -> Path:
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    write_once(partial, content)
    return partial
