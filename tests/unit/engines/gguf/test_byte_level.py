"""The bytes of a byte-level vocabulary."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.support.gguf import tiny_vocabulary, write_gguf
from tokenbooth.engines.gguf.byte_level import CHARACTER_TO_BYTE, bytes_of, vocabulary_bytes
from tokenbooth.engines.gguf.metadata import Metadata, read_metadata

BYTE_TO_CHARACTER = {byte: character for character, byte in CHARACTER_TO_BYTE.items()}


def test_every_byte_has_one_printable_character() -> None:
    assert sorted(CHARACTER_TO_BYTE.values()) == list(range(256))
    assert all(character.isprintable() for character in CHARACTER_TO_BYTE)


def test_the_well_known_ones() -> None:
    assert bytes_of("Ġt") == b" t"
    assert bytes_of("Ċ") == b"\n"
    assert bytes_of("!") == b"!"


@given(st.binary(max_size=40))
def test_any_bytes_can_be_spelt(raw: bytes) -> None:
    assert bytes_of("".join(BYTE_TO_CHARACTER[byte] for byte in raw)) == raw


def test_a_character_outside_the_table_stands_for_itself() -> None:
    assert bytes_of("日") == "日".encode()


def test_control_texts_have_no_bytes(tmp_path: Path) -> None:
    found = vocabulary_bytes(read_metadata(write_gguf(tmp_path / "a.gguf", tiny_vocabulary())))
    assert found is not None
    assert found[:3] == [b"", b"", b""]
    assert found[-1] == b"hey"
    assert set(found[3:259]) == {bytes([byte]) for byte in range(256)}


def test_other_vocabularies_are_left_alone() -> None:
    good = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": ("a",)}
    assert vocabulary_bytes(Metadata({**good, "tokenizer.ggml.token_type": (1,)})) == [b"a"]
    assert vocabulary_bytes(Metadata({**good, "tokenizer.ggml.model": "llama"})) is None
    assert vocabulary_bytes(Metadata(dict(good))) is None
    assert vocabulary_bytes(Metadata({"tokenizer.ggml.model": "gpt2"})) is None
