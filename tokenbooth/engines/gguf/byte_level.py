"""The bytes behind the texts of a GGUF vocabulary.

Byte-level BPE writes each byte as one printable character: printable Latin-1 bytes stand for
themselves, the other 68 for the characters from U+0100 on, in order (the GPT-2 convention).
"""

from tokenbooth.engines.gguf.metadata import Metadata

MODEL = "gpt2"
_CONTROL = 3


def _character_to_byte() -> dict[str, int]:
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {chr(byte): byte for byte in plain}
    others = [byte for byte in range(256) if byte not in set(plain)]
    return table | {chr(0x100 + place): byte for place, byte in enumerate(others)}


CHARACTER_TO_BYTE = _character_to_byte()


def bytes_of(text: str) -> bytes:
    """The bytes of one vocabulary text; a character outside the table stands for its UTF-8."""
    try:
        return bytes(map(CHARACTER_TO_BYTE.__getitem__, text))
    except KeyError:
        return text.encode("utf-8", "replace")


def vocabulary_bytes(metadata: Metadata) -> list[bytes] | None:
    """The output bytes of every id, ``b""`` for control ones; ``None`` for another scheme."""
    if metadata.text("tokenizer.ggml.model") != MODEL:
        return None
    texts = metadata.texts("tokenizer.ggml.tokens")
    kinds = metadata.numbers("tokenizer.ggml.token_type")
    if not texts or len(kinds) != len(texts):
        return None
    return [
        b"" if kind == _CONTROL else bytes_of(text) for text, kind in zip(texts, kinds, strict=True)
    ]
