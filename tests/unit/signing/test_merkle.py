"""Trees and paths as RFC 6962 has them, against a direct reading of its definitions."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.signing.merkle import MerkleTree, leaf_hash, node_hash, root_by_path

# The leaves and roots that certificate transparency logs are tested with: of the first 1 to 8.
KNOWN_LEAVES = [
    *("", "00", "10", "2021", "3031", "40414243", "5051525354555657"),
    "606162636465666768696a6b6c6d6e6f",
]
KNOWN_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]

SIZES = st.integers(1, 70)


def leaves_of(size: int) -> list[bytes]:
    return [leaf_hash(bytes([number])) for number in range(size)]


def defined_root(leaves: list[bytes]) -> bytes:
    """Section 2.1: split at the largest power of two below the size."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(defined_root(leaves[:split]), defined_root(leaves[split:]))


def defined_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """Section 2.1.1, lowest first."""
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*defined_path(index, leaves[:split]), defined_root(leaves[split:])]
    return [*defined_path(index - split, leaves[split:]), defined_root(leaves[:split])]


@pytest.mark.parametrize("size", range(1, 9))
def test_the_known_answers(size: int) -> None:
    leaves = [leaf_hash(bytes.fromhex(text)) for text in KNOWN_LEAVES[:size]]
    assert MerkleTree(leaves).root.hex() == KNOWN_ROOTS[size - 1]


def test_the_known_paths() -> None:
    """The example of section 2.1.3: seven leaves, and four paths by its letters."""
    leaves = [leaf_hash(bytes.fromhex(text)) for text in KNOWN_LEAVES[:7]]
    a, b, c, d, e, f, j = leaves
    g, h, i = node_hash(a, b), node_hash(c, d), node_hash(e, f)
    k, last = node_hash(g, h), node_hash(i, j)
    tree = MerkleTree(leaves)
    assert tree.root == node_hash(k, last)
    assert tree.path(0) == (b, h, last)
    assert tree.path(3) == (c, g, last)
    assert tree.path(4) == (f, j, k)
    assert tree.path(6) == (i, k)


def test_leaf_and_node_are_hashed_apart() -> None:
    one, other = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(b"a") == hashlib.sha256(b"\x00a").digest()
    assert node_hash(one, other) == hashlib.sha256(b"\x01" + one + other).digest()
    assert leaf_hash(one + other) != node_hash(one, other)


@given(SIZES)
def test_the_root_is_the_defined_one(size: int) -> None:
    tree = MerkleTree(leaves_of(size))
    assert tree.root == defined_root(leaves_of(size))
    assert tree.size == size


@given(SIZES, st.data())
def test_every_path_is_the_defined_one_and_leads_to_the_root(
    size: int, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaves = leaves_of(size)
    tree = MerkleTree(leaves)
    assert list(tree.path(index)) == defined_path(index, leaves)
    assert tree.leaf(index) == leaves[index]
    assert root_by_path(leaves[index], index, size, tree.path(index)) == tree.root


@given(st.integers(2, 70), st.data())
def test_a_leaf_has_no_other_place(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(-1, size).filter(lambda place: place != index))
    tree = MerkleTree(leaves_of(size))
    assert root_by_path(tree.leaf(index), other, size, tree.path(index)) != tree.root


@given(st.integers(2, 70), st.data())
def test_a_changed_path_leads_elsewhere(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    tree = MerkleTree(leaves_of(size))
    path = list(tree.path(index))
    place = data.draw(st.integers(0, len(path) - 1))
    flipped = [*path[:place], bytes(b ^ 1 for b in path[place]), *path[place + 1 :]]
    leaf = tree.leaf(index)
    assert root_by_path(leaf, index, size, flipped) != tree.root
    assert root_by_path(leaf, index, size, path[:-1]) is None
    assert root_by_path(leaf, index, size, [*path, leaf]) is None


def test_there_is_no_tree_without_leaves_and_no_path_beside_it() -> None:
    with pytest.raises(ValueError, match="at least one leaf"):
        MerkleTree([])
    tree = MerkleTree(leaves_of(3))
    for index in (-1, 3):
        with pytest.raises(IndexError):
            tree.path(index)
    assert root_by_path(tree.leaf(0), 0, 0, ()) is None


def test_a_tree_of_one_leaf_is_that_leaf() -> None:
    (leaf,) = leaves_of(1)
    tree = MerkleTree([leaf])
    assert (tree.root, tree.path(0)) == (leaf, ())
    assert root_by_path(leaf, 0, 1, ()) == leaf
