"""The key that ``up`` made, kept in ``secrets/up.key`` for its owner only.

It is a convenience of the first run: with it a second ``up`` can print the same call, and ``chat``
needs no key on this machine. Deleting the file is safe; ``up`` then makes another key.
"""

import os
from pathlib import Path

from tokenbooth.control.instance import InstancePaths

KEY_BYTES_MAX = 256


def read_up_key(data_dir: Path) -> str | None:
    """The kept secret; ``None`` when there is none, or nothing that could be one."""
    try:
        with InstancePaths(data_dir).up_key.open("rb") as stream:
            content = stream.read(KEY_BYTES_MAX + 1)
    except OSError:
        return None
    text = content.decode("ascii", "replace").strip()
    return text if text.replace("_", "").isalnum() else None


def keep_up_key(data_dir: Path, secret: str) -> None:
    """Replace the kept secret in one step, mode 0600."""
    path = InstancePaths(data_dir).up_key
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(secret + "\n")
    partial.replace(path)
