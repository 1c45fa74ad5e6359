"""A tokenizer is built only where it is proven; its own work is compared in tests/outside."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.gguf import tiny_vocabulary, write_gguf
from tokenbooth.engines.gguf.byte_level import vocabulary_bytes
from tokenbooth.engines.gguf.metadata import Metadata, read_metadata
from tokenbooth.engines.gguf.tokenizer import Unknown, encoder, input_ids_reader

TINY = {key: tuple(v) if isinstance(v, list) else v for key, v in tiny_vocabulary().items()}


def tiny(**changes: object) -> Metadata:
    return Metadata({**TINY, **{k.replace("__", "."): v for k, v in changes.items()}})  # type: ignore[dict-item]


ENCODE = encoder(tiny(), Unknown.DROPPED)
BYTES = vocabulary_bytes(tiny())


def test_merges_are_followed() -> None:
    assert ENCODE is not None
    assert ENCODE("hey") == [260]
    assert ENCODE("heh") == [259, ENCODE("h")[0]]


def test_control_texts_are_one_id_wherever_they_stand() -> None:
    assert ENCODE is not None
    assert ENCODE("<|im_end|>") == [2]
    assert 2 in ENCODE("a<|im_end|>b")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_ids_spell_the_text_again(text: str) -> None:
    assert ENCODE is not None
    assert BYTES is not None
    assert b"".join(BYTES[id_] for id_ in ENCODE(text)) == text.encode()


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_there_are_never_more_ids_than_bytes(text: str) -> None:
    assert ENCODE is not None
    assert len(ENCODE(text)) <= len(text.encode())


@pytest.mark.parametrize(
    "changes",
    [
        {"tokenizer__ggml__pre": "qwen2"},
        {"tokenizer__ggml__model": "llama"},
        {"tokenizer__ggml__add_bos_token": True},
        {"tokenizer__ggml__token_type": (1, 1)},
    ],
)
def test_what_is_not_proven_is_left_to_the_engine(changes: dict[str, object]) -> None:
    assert encoder(tiny(**changes), Unknown.DROPPED) is None


def without_x() -> Metadata:
    """The tiny vocabulary without the letter x."""
    texts = [text for text in TINY["tokenizer.ggml.tokens"] if text != "x"]  # type: ignore[union-attr]
    kinds = (3, 3, 3, *[1] * (len(texts) - 3))
    return tiny(
        tokenizer__ggml__tokens=tuple(texts),
        tokenizer__ggml__token_type=kinds,
        tokenizer__ggml__unknown_token_id=0,
    )


def test_a_byte_that_the_vocabulary_lacks_is_dropped_or_stood_in_for() -> None:
    dropping = encoder(without_x(), Unknown.DROPPED)
    standing = encoder(without_x(), Unknown.STAND_IN)
    assert dropping is not None
    assert standing is not None
    [h], [e], [hey] = standing("h"), standing("e"), standing("hey")
    assert standing("hxey x") == [h, 0, e, standing("y")[0], standing(" ")[0], 0]
    # Its neighbours do not come together over the gap.
    assert dropping("hxe") == [h, e]
    assert dropping("hey<|end|>") == [hey, 0]
    assert standing("hey<|end|>") == [hey, 0]


def test_without_a_stand_in_in_the_file_the_engine_counts() -> None:
    assert encoder(tiny(), Unknown.STAND_IN) is None


def test_without_the_package_the_engine_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert encoder(tiny(), Unknown.DROPPED) is None


def test_messages_become_the_ids_of_their_prompt(tmp_path: Path) -> None:
    read = input_ids_reader(write_gguf(tmp_path / "a.gguf", tiny_vocabulary()), Unknown.DROPPED)
    assert read is not None
    assert ENCODE is not None
    ids = read([("user", "hey")])
    assert ids[:1] == [1]
    assert ids == ENCODE(
        "<|im_start|>system\nBe kind.<|im_end|>\n"
        "<|im_start|>user\nhey<|im_end|>\n<|im_start|>assistant\n"
    )


def test_an_unknown_template_is_left_to_the_engine(tmp_path: Path) -> None:
    values = {**tiny_vocabulary(), "tokenizer.chat_template": "{{ messages }}"}
    assert input_ids_reader(write_gguf(tmp_path / "a.gguf", values), Unknown.DROPPED) is None


def test_the_tiny_file_is_read_whole(tmp_path: Path) -> None:
    assert read_metadata(write_gguf(tmp_path / "a.gguf", tiny_vocabulary())).values == TINY
