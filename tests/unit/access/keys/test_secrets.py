import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.access.keys.rules import (
    BODY_CHARACTERS,
    RANDOM_BYTES,
    checked_secret,
    secret_hmac,
    secret_of,
    stored_form,
)
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

PEPPER = bytes(range(32))
ENTROPY = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES)
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def base62_value(text: str) -> int:
    value = 0
    for character in text:
        value = value * 62 + ALPHABET.index(character)
    return value


@given(ENTROPY)
def test_a_secret_is_prefix_body_and_checksum(entropy: bytes) -> None:
    secret = secret_of(entropy)
    assert re.fullmatch(r"tb_live_[0-9A-Za-z]{40}[0-9A-Za-z]{6}", secret)
    assert base62_value(secret[-6:]) == zlib.crc32(secret[:-6].encode())
    assert checked_secret(secret) == secret


@given(ENTROPY)
def test_the_body_is_the_random_number(entropy: bytes) -> None:
    body = secret_of(entropy)[8 : 8 + BODY_CHARACTERS]
    assert base62_value(body) == int.from_bytes(entropy) % 62**40


def test_a_known_secret() -> None:
    assert secret_of(bytes(RANDOM_BYTES)) == "tb_live_" + "0" * 40 + "1iSwxZ"


def test_small_checksums_are_padded_to_six_characters() -> None:
    secrets = [secret_of(number.to_bytes(RANDOM_BYTES)) for number in range(500)]
    assert {len(secret) for secret in secrets} == {54}
    assert any(secret[-6] == "0" for secret in secrets)


@pytest.mark.parametrize("count", [0, 1, RANDOM_BYTES - 1, RANDOM_BYTES + 1])
def test_too_little_randomness_is_a_fault_of_the_program(count: int) -> None:
    with pytest.raises(ValueError, match="random bytes"):
        secret_of(bytes(count))


@given(ENTROPY, st.integers(8, 53), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_always_noticed(entropy: bytes, at: int, other: str) -> None:
    secret = secret_of(entropy)
    mistyped = secret[:at] + other + secret[at + 1 :]
    if mistyped == secret:
        assert checked_secret(mistyped) == secret
        return
    with pytest.raises(Problem) as caught:
        checked_secret(mistyped)
    assert caught.value.code is Code.INVALID_KEY
    assert "checksum" in caught.value.public


@given(ENTROPY, st.integers(8, 46))
def test_two_swapped_neighbours_are_always_noticed(entropy: bytes, at: int) -> None:
    secret = secret_of(entropy)
    swapped = secret[:at] + secret[at + 1] + secret[at] + secret[at + 2 :]
    if swapped != secret:
        with pytest.raises(Problem):
            checked_secret(swapped)


GOOD = secret_of(bytes(RANDOM_BYTES))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tb_live_",
        GOOD[:-1],
        GOOD + "0",
        GOOD + "\n",
        " " + GOOD,
        GOOD.replace("tb_live_", "TB_LIVE_"),
        GOOD.replace("tb_live_", "tb_test_"),
        GOOD[:20] + "é" + GOOD[21:],
        GOOD[:20] + "\0" + GOOD[21:],
        GOOD[:20] + "٣" + GOOD[21:],
        "sk-proj-abcdef",
        "\ud800",
    ],
)
def test_what_cannot_be_a_key_is_refused(text: str) -> None:
    with pytest.raises(Problem) as caught:
        checked_secret(text)
    assert caught.value.code is Code.INVALID_KEY
    assert caught.value.param == "authorization"


@given(st.text(max_size=80))
def test_no_text_breaks_the_check(text: str) -> None:
    with pytest.raises(Problem) as caught:
        checked_secret(text)
    assert caught.value.code is Code.INVALID_KEY
    assert len(text) < 20 or text not in caught.value.public


def test_the_stored_form_holds_no_secret() -> None:
    stored = stored_form(GOOD, PEPPER)
    assert stored.prefix == "tb_live_0000"
    assert stored.last_four == GOOD[-4:]
    assert len(stored.hmac) == 32
    assert GOOD.encode() not in stored.hmac
    assert str(stored.hmac) not in repr(stored)


def test_the_hmac_depends_on_secret_and_pepper() -> None:
    other = secret_of(b"\1" * RANDOM_BYTES)
    hmacs = {
        secret_hmac(secret, pepper) for secret in (GOOD, other) for pepper in (PEPPER, bytes(32))
    }
    assert len(hmacs) == 4
    assert secret_hmac(GOOD, PEPPER) == secret_hmac(GOOD, PEPPER)


def test_the_hmac_is_the_standard_one() -> None:
    # RFC 4231, test case 1.
    assert secret_hmac("Hi There", b"\x0b" * 20).hex() == (
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
    )


@pytest.mark.parametrize("pepper", [b"", b"short", bytes(15)])
def test_a_short_pepper_is_a_fault_of_the_program(pepper: bytes) -> None:
    with pytest.raises(ValueError, match="pepper"):
        secret_hmac(GOOD, pepper)
