"""A model that sees, of random weights and a few hundred kilobytes, written without any package.

A llama of two layers over a vocabulary of bytes, and an eye of two layers beside it. What they say
means nothing; that they say something else about another image is all that is asked of them.
"""

import random
import struct
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.gguf import ARRAY, BOOL, FLOAT32, STRING, UINT32, gguf_string, tiny_vocabulary

WIDTH, INNER, LAYERS, HEADS = 64, 128, 2, 4
EYE_WIDTH, EYE_INNER, PATCH, SIDE = 32, 64, 8, 32
# Of an image: what the eye makes of it, each patch one.
IMAGE_TOKENS = (SIDE // PATCH) ** 2
ALIGNED = 32
INT32_TYPE = 5
Shapes = Mapping[str, tuple[tuple[int, ...], float]]


def write_model(directory: Path) -> tuple[Path, Path]:
    """The GGUF of the model, and of its eye."""
    words = tiny_vocabulary() | {"llama.context_length": 2048}
    count = len(words["tokenizer.ggml.tokens"])  # type: ignore[arg-type]
    model = {
        **words,
        "llama.block_count": LAYERS,
        "llama.embedding_length": WIDTH,
        "llama.feed_forward_length": INNER,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": HEADS,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": WIDTH // HEADS,
        "llama.vocab_size": count,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
    }
    eye = {
        "general.architecture": "clip",
        "clip.has_vision_encoder": True,
        "clip.projector_type": "mlp",
        "clip.use_gelu": True,
        "clip.vision.image_size": SIDE,
        "clip.vision.patch_size": PATCH,
        "clip.vision.embedding_length": EYE_WIDTH,
        "clip.vision.feed_forward_length": EYE_INNER,
        "clip.vision.projection_dim": WIDTH,
        "clip.vision.block_count": 2,
        "clip.vision.attention.head_count": 2,
        "clip.vision.attention.layer_norm_epsilon": 1e-5,
        "clip.vision.image_mean": [0.5] * 3,
        "clip.vision.image_std": [0.5] * 3,
    }
    paths = directory / "model.gguf", directory / "eye.gguf"
    paths[0].write_bytes(_file(model, _model_shapes(count), seed=1))
    paths[1].write_bytes(_file(eye, _eye_shapes(), seed=2))
    return paths


def _model_shapes(words: int) -> Shapes:
    square, bare = ((WIDTH, WIDTH), 0.3), ((WIDTH,), 0.0)
    shapes: dict[str, tuple[tuple[int, ...], float]] = {
        "token_embd.weight": ((WIDTH, words), 0.5),
        "output.weight": ((WIDTH, words), 0.5),
        "output_norm.weight": bare,
    }
    for layer in range(LAYERS):
        front = f"blk.{layer}"
        shapes |= {f"{front}.{name}.weight": bare for name in ("attn_norm", "ffn_norm")}
        shapes |= {f"{front}.attn_{name}.weight": square for name in ("q", "k", "v", "output")}
        shapes |= {f"{front}.ffn_{name}.weight": ((WIDTH, INNER), 0.3) for name in ("gate", "up")}
        shapes[f"{front}.ffn_down.weight"] = ((INNER, WIDTH), 0.3)
    return shapes


def _eye_shapes() -> Shapes:
    shapes: dict[str, tuple[tuple[int, ...], float]] = {
        "v.class_embd": ((EYE_WIDTH,), 0.3),
        "v.patch_embd.weight": ((PATCH, PATCH, 3, EYE_WIDTH), 0.3),
        "v.position_embd.weight": ((EYE_WIDTH, IMAGE_TOKENS + 1), 0.3),
    }
    matrices = {"mm.0": (EYE_WIDTH, WIDTH), "mm.2": (WIDTH, WIDTH)}
    norms = ["v.pre_ln", "v.post_ln"]
    for layer in range(2):
        front = f"v.blk.{layer}"
        matrices |= {
            f"{front}.attn_{name}": (EYE_WIDTH, EYE_WIDTH) for name in ("q", "k", "v", "out")
        }
        matrices |= {
            f"{front}.ffn_up": (EYE_WIDTH, EYE_INNER),
            f"{front}.ffn_down": (EYE_INNER, EYE_WIDTH),
        }
        norms += [f"{front}.ln1", f"{front}.ln2"]
    for name, shape in matrices.items():
        shapes |= {f"{name}.weight": (shape, 0.3), f"{name}.bias": (shape[1:], 0.1)}
    for name in norms:
        shapes |= {f"{name}.weight": ((EYE_WIDTH,), 0.0), f"{name}.bias": ((EYE_WIDTH,), 0.1)}
    return shapes


def _file(values: Mapping[str, Any], shapes: Shapes, seed: int) -> bytes:
    """Tensors of 32-bit floats: ones where the spread is 0, else random around 0."""
    chance = random.Random(seed)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(shapes), len(values))
    head += b"".join(gguf_string(key) + _value(value) for key, value in values.items())
    body = bytearray()
    for name, (shape, spread) in shapes.items():
        head += gguf_string(name) + struct.pack("<I", len(shape))
        head += struct.pack(f"<{len(shape)}Q", *shape) + struct.pack("<IQ", 0, len(body))
        count = 1
        for side in shape:
            count *= side
        body += array("f", [chance.gauss(0, spread) if spread else 1.0 for _ in range(count)])
        body += bytes(-len(body) % ALIGNED)
    return head + bytes(-len(head) % ALIGNED) + bytes(body)


def _value(value: Any) -> bytes:
    """As an engine reads it, which wants numbers of 32 bits."""
    match value:
        case bool():
            return struct.pack("<I?", BOOL, value)
        case int():
            return struct.pack("<II", UINT32, value)
        case float():
            return struct.pack("<If", FLOAT32, value)
        case str():
            return struct.pack("<I", STRING) + gguf_string(value)
        case [str(), *_]:
            texts = b"".join(map(gguf_string, value))
            return struct.pack("<IIQ", ARRAY, STRING, len(value)) + texts
        case [float(), *_]:
            return struct.pack(f"<IIQ{len(value)}f", ARRAY, FLOAT32, len(value), *value)
    return struct.pack(f"<IIQ{len(value)}i", ARRAY, INT32_TYPE, len(value), *value)
