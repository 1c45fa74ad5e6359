"""What a local engine calls its configuration: another name where another answer is possible."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

WHOLE_BYTES_MAX = 2**32
BLOCK_BYTES = 2**20
BLOCKS = 256
WEIGHTS_CHARS, FLAGS_CHARS = 12, 8
# The numbers of GGUF's general.file_type that are common; others are told as they are.
QUANTISATIONS = {
    0: "f32", 1: "f16", 2: "q4_0", 3: "q4_1", 7: "q8_0", 8: "q5_0", 9: "q5_1", 10: "q2_k",
    12: "q3_k_m", 14: "q4_k_s", 15: "q4_k_m", 16: "q5_k_s", 17: "q5_k_m", 18: "q6_k", 32: "bf16",
}  # fmt: skip


def serving_fingerprint(
    engine: str, weights: Path, file_type: int | None, flags: Mapping[str, object]
) -> str:
    """``engine`` has its version in it. Two places with the same weights have the same name:
    a path is no flag."""
    digest = weights_digest(weights)[:WEIGHTS_CHARS]
    said = json.dumps(dict(flags), sort_keys=True, default=str)
    flagged = hashlib.sha256(said.encode()).hexdigest()[:FLAGS_CHARS]
    kind = "unknown" if file_type is None else QUANTISATIONS.get(file_type, f"type{file_type}")
    return f"{engine} {kind} weights:{digest} flags:{flagged}"


def weights_digest(path: Path) -> str:
    """SHA-256 of the file in hex; of one beyond 4 GiB of its size and 256 blocks of it, so that a
    large model is not read twice."""
    size = path.stat().st_size
    seen = hashlib.sha256()
    with path.open("rb") as stream:
        if size <= WHOLE_BYTES_MAX:
            return hashlib.file_digest(stream, "sha256").hexdigest()
        seen.update(size.to_bytes(8, "big"))
        for block in range(BLOCKS):
            stream.seek((size - BLOCK_BYTES) * block // (BLOCKS - 1))
            seen.update(stream.read(BLOCK_BYTES))
    return seen.hexdigest()
