from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.catalog.models.sealing import KEY_BYTES, PLAINTEXT_BYTES_MAX, seal, unseal
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

KEY = bytes(range(32))
SECRET = b"sk-upstream-0123456789"


@dataclass
class Counted:
    """Gives 0s, then 1s, …, and remembers how many bytes were asked for."""

    asked: list[int] = field(default_factory=list)

    def token_bytes(self, count: int) -> bytes:
        self.asked.append(count)
        return bytes([len(self.asked) - 1]) * count


@given(
    st.binary(min_size=1, max_size=200),
    st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES),
)
def test_what_was_sealed_is_unsealed(plaintext: bytes, key: bytes) -> None:
    sealed = seal(plaintext, key, Counted())
    assert unseal(sealed, key) == plaintext


def test_a_sealed_secret_shows_nothing_but_its_form_and_length() -> None:
    randomness = Counted()
    sealed = seal(SECRET, KEY, randomness)
    assert sealed.startswith(b"tb1:" + bytes(12))
    assert SECRET not in sealed
    assert len(sealed) == 4 + 12 + len(SECRET) + 16
    assert randomness.asked == [12]


def test_the_cipher_is_the_standard_one() -> None:
    # NIST GCM test case 14: key, nonce and 16-byte text of zeros. The tag differs from the
    # published one, because the form mark is authenticated too.
    sealed = seal(bytes(16), bytes(32), Counted())
    assert sealed[16:32].hex() == "cea7403d4d606b6e074ec5d3baf39d18"


def test_each_sealing_takes_a_new_nonce() -> None:
    randomness = Counted()
    assert seal(SECRET, KEY, randomness) != seal(SECRET, KEY, randomness)


def test_another_key_opens_nothing() -> None:
    sealed = seal(SECRET, KEY, Counted())
    with pytest.raises(Problem) as caught:
        unseal(sealed, bytes(32))
    assert caught.value.code is Code.STATE_CONFLICT
    assert caught.value.param == "upstream_key"
    assert "sealing key" in caught.value.public


@given(st.integers(0, 4 + 12 + len(SECRET) + 16 - 1), st.integers(1, 255))
def test_any_changed_byte_is_noticed(at: int, flip: int) -> None:
    sealed = bytearray(seal(SECRET, KEY, Counted()))
    sealed[at] ^= flip
    with pytest.raises(Problem) as caught:
        unseal(bytes(sealed), KEY)
    assert caught.value.code is Code.STATE_CONFLICT


@pytest.mark.parametrize("length", range(4 + 12 + len(SECRET) + 16))
def test_any_missing_end_is_noticed(length: int) -> None:
    sealed = seal(SECRET, KEY, Counted())
    with pytest.raises(Problem):
        unseal(sealed[:length], KEY)


@pytest.mark.parametrize("plaintext", [b"", bytes(PLAINTEXT_BYTES_MAX + 1)])
def test_lengths_are_bounded(plaintext: bytes) -> None:
    with pytest.raises(Problem) as caught:
        seal(plaintext, KEY, Counted())
    assert caught.value.code is Code.INVALID_VALUE
    assert caught.value.param == "upstream_key"


def test_the_longest_secret_fits() -> None:
    longest = bytes(PLAINTEXT_BYTES_MAX)
    assert unseal(seal(longest, KEY, Counted()), KEY) == longest


@pytest.mark.parametrize("key", [b"", bytes(16), bytes(31), bytes(33)])
def test_a_key_of_another_length_is_a_fault_of_the_program(key: bytes) -> None:
    with pytest.raises(ValueError, match="sealing key"):
        seal(SECRET, key, Counted())
    with pytest.raises(ValueError, match="sealing key"):
        unseal(seal(SECRET, KEY, Counted()), key)
