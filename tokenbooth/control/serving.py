"""Who serves a data directory: one process at a time, told to whoever asks.

The lock is the kernel's and falls with its holder, so nothing is left over after a crash.
"""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tokenbooth.control.instance import MAIN_REPLICA, InstancePaths
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

NOTE_BYTES_MAX = 4096
LOCK_PAUSES_S = (0.0, 0.01, 0.05, 0.1)
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - where to reach one, not bind


@dataclass(frozen=True, slots=True)
class Serving:
    """A process that answers on ``host`` and ``port``."""

    pid: int
    host: str
    port: int

    @property
    def base_url(self) -> str:
        """An address that a client on this machine can call, without ``/v1``."""
        host = ANY_ADDRESS.get(self.host, self.host)
        if ":" in host and not host.startswith("["):
            host = f"[{host}]"
        return f"http://{host}:{self.port}"


class ServingNote:
    """The open note of the process that holds the lock."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, serving: Serving) -> None:
        """Say where this process answers."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(asdict(serving)).encode(), 0)


@contextmanager
def serving_lock(data_dir: Path, replica: str = MAIN_REPLICA) -> Iterator[ServingNote]:
    """Hold the right to serve ``data_dir`` as that replica.

    Raises STATE_CONFLICT naming the process and the address that has it, or a missing directory.
    """
    paths = InstancePaths(data_dir)
    path = paths.running(replica)
    try:
        for folder in (paths.replicas, paths.replica(replica)):
            folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Problem(
            Code.STATE_CONFLICT,
            f"{path} cannot be opened: {error.strerror}; run `tokenbooth init`.",
        ) from error
    try:
        if not _locked(descriptor):
            raise served_already(data_dir, _read(descriptor))
        os.ftruncate(descriptor, 0)
        yield ServingNote(descriptor)
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def serving_now(data_dir: Path, replica: str = MAIN_REPLICA) -> Serving | None:
    """Who serves ``data_dir`` as that replica at the moment, as far as it has said where."""
    path = InstancePaths(data_dir).running(replica)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(descriptor)
    else:
        return None
    finally:
        os.close(descriptor)


def served_already(data_dir: Path, serving: Serving | None) -> Problem:
    """The refusal to a second server."""
    who = "another process" if serving is None else f"process {serving.pid}"
    where = "" if serving is None else f" at {serving.base_url}"
    return Problem(
        Code.STATE_CONFLICT,
        f"{data_dir} is served already by {who}{where}."
        " Stop it, or choose another directory with --data-dir.",
    )


def _locked(descriptor: int) -> bool:
    """Whoever asks ``serving_now`` holds the lock for an instant: that is no other server."""
    for pause_s in LOCK_PAUSES_S:
        time.sleep(pause_s)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    return False


def _read(descriptor: int) -> Serving | None:
    try:
        found = json.loads(os.pread(descriptor, NOTE_BYTES_MAX, 0))
        return Serving(int(found["pid"]), str(found["host"]), int(found["port"]))
    except (ValueError, KeyError, TypeError):
        return None
