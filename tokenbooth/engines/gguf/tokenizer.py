"""Builds a tokenizer from a GGUF's own vocabulary, for models whose splitting rule is proven.

The optional package ``tokenizers`` is imported here and nowhere else.
"""

import gc
from collections.abc import Callable
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

from tokenbooth.engines.gguf.byte_level import MODEL
from tokenbooth.engines.gguf.metadata import Metadata, read_metadata
from tokenbooth.engines.gguf.template import Words, renderer

Encode: TypeAlias = Callable[[str], list[int]]
CountInput: TypeAlias = Callable[[Words], list[int]]

_CONTROL, _GIVEN = 3, 4
# Takes the place of bytes that the vocabulary lacks; no text can spell it.
_NOWHERE = "\x00"


class Unknown(Enum):
    """What an engine makes of a byte that the vocabulary lacks: the file's own stand-in, or
    nothing. Both were seen, each in one engine."""

    STAND_IN = "stand_in"
    DROPPED = "dropped"


def _smollm(package: Any) -> Any:
    parts = package.pre_tokenizers
    return parts.Sequence(
        [
            parts.Digits(individual_digits=True),
            parts.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )


# Only rules whose ids were compared with an engine's own stand here.
_SPLITTERS: dict[str, Callable[[Any], Any]] = {"smollm": _smollm}


def input_ids_reader(path: Path, unknown: Unknown) -> CountInput | None:
    """A function from (role, text) pairs to the ids that the engine would make of them.

    ``None`` when this file's splitting rule or template is not proven, or ``tokenizers`` is not
    installed: then only the engine itself can tell.
    """
    metadata = read_metadata(path)
    render = renderer(metadata.text("tokenizer.chat_template"))
    encode = encoder(metadata, unknown)
    if render is None or encode is None:
        return None
    return lambda words: encode(render(words))


def encoder(metadata: Metadata, unknown: Unknown) -> Encode | None:
    """Text to ids with control texts recognised, ``None`` when that is not proven here."""
    splitter = _SPLITTERS.get(metadata.text("tokenizer.ggml.pre") or "")
    texts = metadata.texts("tokenizer.ggml.tokens")
    kinds = metadata.numbers("tokenizer.ggml.token_type")
    if (
        splitter is None
        or metadata.text("tokenizer.ggml.model") != MODEL
        or metadata.flag("tokenizer.ggml.add_bos_token")
        or len(kinds) != len(texts)
    ):
        return None
    stand_in = -1
    if unknown is Unknown.STAND_IN:
        told = metadata.number("tokenizer.ggml.unknown_token_id")
        if told is None:
            return None
        stand_in = told
    try:
        package = import_module("tokenizers")
    except ImportError:
        return None
    merges = [tuple(m.split(" ", 1)) for m in metadata.texts("tokenizer.ggml.merges")]
    vocabulary = {text: place for place, text in enumerate([*texts, _NOWHERE])}
    bpe = package.models.BPE(vocab=vocabulary, merges=merges, unk_token=_NOWHERE, fuse_unk=False)
    built = package.Tokenizer(bpe)
    built.pre_tokenizer = splitter(package)
    built.add_special_tokens(
        [
            package.AddedToken(text, special=True, normalized=False)
            for text, kind in zip(texts, kinds, strict=True)
            if kind in (_CONTROL, _GIVEN)
        ]
    )
    del merges, vocabulary
    gc.collect()

    nowhere = len(texts)

    def encode(text: str) -> list[int]:
        ids: list[int] = built.encode(text, add_special_tokens=False).ids
        if nowhere not in ids:
            return ids
        return [
            stand_in if id_ == nowhere else id_ for id_ in ids if id_ != nowhere or stand_in >= 0
        ]

    return encode
