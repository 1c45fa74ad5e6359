"""Writes small GGUF headers for tests."""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

STRING, ARRAY, UINT32, INT32, FLOAT32, BOOL, UINT64 = 8, 9, 4, 5, 6, 7, 10


def gguf_string(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def gguf_value(value: object) -> bytes:
    """A value with its type in front; lists become arrays of their first value's type."""
    if isinstance(value, bool):
        return struct.pack("<I?", BOOL, value)
    if isinstance(value, int):
        return struct.pack("<IQ", UINT64, value)
    if isinstance(value, float):
        return struct.pack("<If", FLOAT32, value)
    if isinstance(value, str):
        return struct.pack("<I", STRING) + gguf_string(value)
    assert isinstance(value, Sequence)
    if all(isinstance(part, str) for part in value):
        body = b"".join(map(gguf_string, value))
        return struct.pack("<IIQ", ARRAY, STRING, len(value)) + body
    body = b"".join(struct.pack("<i", part) for part in value)
    return struct.pack("<IIQ", ARRAY, INT32, len(value)) + body


def gguf_bytes(values: Mapping[str, object], *, version: int = 3) -> bytes:
    """A header without tensors."""
    head = b"GGUF" + struct.pack("<IQQ", version, 0, len(values))
    return head + b"".join(gguf_string(key) + gguf_value(value) for key, value in values.items())


def write_gguf(path: Path, values: Mapping[str, object]) -> Path:
    path.write_bytes(gguf_bytes(values))
    return path


CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nBe kind.<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def tiny_vocabulary() -> dict[str, object]:
    """A byte-level vocabulary of all 256 bytes, two merges and three control texts."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(plain)]
    letters = [*map(chr, plain), *(chr(0x100 + place) for place in range(len(others)))]
    texts = ["<|end|>", "<|im_start|>", "<|im_end|>", *letters, "he", "hey"]
    return {
        "general.architecture": "llama",
        "llama.context_length": 512,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.ggml.tokens": texts,
        "tokenizer.ggml.token_type": [3, 3, 3] + [1] * (len(texts) - 3),
        "tokenizer.ggml.merges": ["h e", "he y"],
        "tokenizer.chat_template": CHATML,
    }
