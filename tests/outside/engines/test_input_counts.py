"""The gateway's own tokenizer against the engines': the same ids, text for text."""

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.support.weights import smollm2
from tokenbooth.engines.bounds import text_tokens_max
from tokenbooth.engines.child.frames import Words
from tokenbooth.engines.gguf.tokenizer import CountInput, Unknown, input_ids_reader

ROOT = Path(__file__).resolve().parents[3]
ROLES = ("user", "assistant", "system")
PIECES = (
    " ", "  ", "\n", "\r\n", "\t", "\u00a0", "\u2003", "'s", "'LL", "n't", "0", "12", "3.14",
    "１２", "Ⅷ", "a", "Word", "été", "naïve", "ß", "İ", "日本語", "한국어", "العربية",
    "हिन्दी", "ไทย", "🙂", "👩‍👩‍👧", "e\u0301", "\u200b", "\u200d", "\ufeff", "\x00", "\x7f",
    "\ufffd", "—", "…", "“", "$", "€", "```", "def f(x):", "</s>", "<|im_end|>",
    "<|im_start|>", "<|endoftext|>", "<|im_", "end|>", "<repo_name>", "http://a.b/c?d=e&f#g",
    "\\n", "{}", "[[", "==", "++", "_", "__init__", "CamelCase",
)  # fmt: skip
COUNT = 400

# Each engine reads the texts in a process of its own: this one stays free of both packages.
OPENVINO = """
import msgspec, sys
from tokenbooth.engines.child.frames import Count
from tokenbooth.engines.embedded.worker import load
backend = load(msgspec.json.encode({"gguf_path": sys.argv[1]}))
for line in sys.stdin.buffer:
    words = msgspec.json.decode(line, type=tuple[tuple[str, str], ...])
    sys.stdout.buffer.write(msgspec.json.encode(backend._ids(Count(1, words)).tolist()) + b"\\n")
"""
LLAMACPP = OPENVINO.replace("embedded.worker", "llamacpp.worker").replace(
    '"gguf_path": sys.argv[1]', '"gguf_path": sys.argv[1], "context_tokens": 64, "slots": 1'
)


def conversations() -> Iterator[Words]:
    """The same ones at each run."""
    picks = random.Random(20261120)
    yield (("user", ""),)
    yield (("system", "You are brief."), ("user", "Hi."))
    for piece in PIECES:
        yield (("user", piece),)
        yield (("user", f"a{piece}b {piece} {piece}{piece}"),)
    for path in sorted((ROOT / "tokenbooth" / "core").glob("*.py")):
        yield (("user", path.read_text(encoding="utf-8")[:4000]),)
    while True:
        yield tuple(
            (picks.choice(ROLES), text(picks)) for _ in range(picks.choice((1, 1, 1, 2, 5)))
        )


def text(picks: random.Random) -> str:
    kind = picks.randrange(3)
    length = picks.randrange(60)
    if kind == 0:
        return "".join(picks.choices(PIECES, k=length))
    if kind == 1:
        return "".join(chr(picks.randrange(32, 0x250)) for _ in range(length))
    codes = (picks.randrange(0x110000) for _ in range(length))
    return "".join(chr(code) for code in codes if not 0xD800 <= code < 0xE000)


@pytest.fixture(scope="module")
def samples() -> list[Words]:
    source = conversations()
    return [next(source) for _ in range(COUNT)]


def reader(unknown: Unknown) -> CountInput:
    found = input_ids_reader(smollm2(), unknown)
    assert found is not None
    return found


def ids_by(program: str, samples: list[Words]) -> list[list[int]]:
    lines = b"".join(msgspec.json.encode(words) + b"\n" for words in samples)
    done = subprocess.run(
        [sys.executable, "-c", program, str(smollm2())],
        input=lines, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT, check=True,
    )  # fmt: skip
    return [msgspec.json.decode(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("program", "unknown"),
    [(OPENVINO, Unknown.STAND_IN), (LLAMACPP, Unknown.DROPPED)],
    ids=["openvino", "llamacpp"],
)
def test_the_gateway_makes_the_ids_that_the_engine_makes(
    program: str, unknown: Unknown, samples: list[Words]
) -> None:
    theirs = ids_by(program, samples)
    assert len(theirs) == COUNT
    read = reader(unknown)
    differing = [words for words, ids in zip(samples, theirs, strict=True) if read(words) != ids]
    assert differing == []


def test_the_bound_holds_for_every_sample(samples: list[Words]) -> None:
    read = reader(Unknown.STAND_IN)
    for words in samples:
        bound = 64 + sum(16 + text_tokens_max(role) + text_tokens_max(said) for role, said in words)
        assert len(read(words)) <= bound
