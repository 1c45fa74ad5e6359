"""Merkle trees as RFC 6962, section 2.1, hashes them: one root stands for a list of documents.

A leaf is hashed behind a zero byte and a node behind a one, so neither can be taken for the other.
Where a level has an odd number of nodes, the last one moves up as it is.
"""

import hashlib
from collections.abc import Sequence

HASH_BYTES = 32


def sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def leaf_hash(content: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class MerkleTree:
    """The tree over these leaf hashes, in their order; raises ValueError without any."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        if not leaves:
            raise ValueError("a tree has at least one leaf")
        self._levels = [list(leaves)]
        while len(self._levels[-1]) > 1:
            self._levels.append(_level_above(self._levels[-1]))

    @property
    def size(self) -> int:
        return len(self._levels[0])

    @property
    def root(self) -> bytes:
        return self._levels[-1][0]

    def leaf(self, index: int) -> bytes:
        return self._levels[0][index]

    def path(self, index: int) -> tuple[bytes, ...]:
        """The hashes beside the way from leaf ``index`` up to the root, lowest first.

        Raises IndexError for a leaf that is not there.
        """
        if not 0 <= index < self.size:
            raise IndexError(f"the tree has no leaf {index}")
        found = []
        for level in self._levels[:-1]:
            beside = index ^ 1
            if beside < len(level):
                found.append(level[beside])
            index >>= 1
        return tuple(found)


def root_by_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that leaf ``index`` of ``size`` leads to along ``path``.

    ``None`` when the path has too many or too few hashes for that place, or there is no such place.
    """
    if not 0 <= index < size:
        return None
    beside = iter(path)
    found, last = leaf, size - 1
    for _ in range(last.bit_length()):
        if index % 2 == 1 or index < last:
            other = next(beside, None)
            if other is None:
                return None
            found = node_hash(other, found) if index % 2 == 1 else node_hash(found, other)
        index, last = index >> 1, last >> 1
    return found if next(beside, None) is None else None


def _level_above(level: Sequence[bytes]) -> list[bytes]:
    made = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
    if len(level) % 2 == 1:
        made.append(level[-1])
    return made
