"""A table of static embeddings: its file, its vectors, and the engine around it."""

import asyncio
import json
import math
import struct
import sys
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.turns import Recorder, turn_of
from tokenbooth.core.codes import Code
from tokenbooth.core.features import Feature
from tokenbooth.core.problem import Problem
from tokenbooth.engines.static.engine import INLINE_CHARACTERS_MAX, StaticEngine
from tokenbooth.engines.static.table import load
from tokenbooth.engines.static.values import StaticOptions

WORDS = {"[UNK]": 0, "sun": 1, "moon": 2, "nothing": 3}
ROWS = ((9.0, 9.0, 9.0), (3.0, 0.0, 4.0), (0.0, 2.0, 0.0), (0.0, 0.0, 0.0))


def rows_of(dtype: str = "F32", name: str = "embeddings") -> bytes:
    numbers = [number for row in ROWS for number in row]
    raw = struct.pack(f"<{len(numbers)}f", *numbers)
    head = json.dumps(
        {name: {"dtype": dtype, "shape": [len(ROWS), 3], "data_offsets": [0, len(raw)]}}
    ).encode()
    return len(head).to_bytes(8, "little") + head + raw


def reader_of(words: dict[str, int] = WORDS) -> str:
    model = {"type": "WordLevel", "vocab": words, "unk_token": "[UNK]"}
    return json.dumps(
        {
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
            "normalizer": None, "pre_tokenizer": {"type": "Whitespace"},
            "post_processor": None, "decoder": None, "model": model,
        }
    )  # fmt: skip


def archive(path: Path, **members: bytes | str) -> Path:
    """A zip with a table; ``members`` replace its files, or leave one out."""
    files: dict[str, Any] = {"rows": rows_of(), "reader": reader_of(), **members}
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("some/code.py", "")
        if files["rows"]:
            made.writestr("deep/table/model.safetensors", files["rows"])
        if files["reader"]:
            made.writestr("deep/table/tokenizer.json", files["reader"])
    return path


def played(scene: Callable[[StaticEngine], Awaitable[Any]], path: Path, **fields: Any) -> Any:
    async def work() -> Any:
        engine = StaticEngine(StaticOptions(table_path=str(path), **fields))
        await engine.open()
        try:
            return await scene(engine)
        finally:
            await engine.close()

    return asyncio.run(work())


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return archive(tmp_path / "table.zip")


def test_a_vector_is_the_mean_of_the_known_rows_at_length_one(table: Path) -> None:
    found, tokens = load(table).vectors(["sun", "sun moon", "star", "sun star", "nothing"], 3)
    assert found[0] == pytest.approx((0.6, 0.0, 0.8))
    length = math.sqrt(1.5**2 + 1 + 4)
    assert found[1] == pytest.approx((1.5 / length, 1 / length, 2 / length))
    assert found[2] == found[4] == (0.0, 0.0, 0.0)
    assert found[3] == found[0]
    assert tokens == 7


def test_fewer_dimensions_are_brought_to_length_one_again(table: Path) -> None:
    async def scene(engine: StaticEngine) -> None:
        assert (await engine.embed(["sun"], 2)).vectors == (pytest.approx((1.0, 0.0)),)
        with pytest.raises(Problem) as caught:
            await engine.embed(["sun"], 4)
        assert caught.value.param == "dimensions"

    played(scene, table)


def test_what_is_counted_is_what_is_told(table: Path) -> None:
    async def scene(engine: StaticEngine) -> None:
        long = "sun " * INLINE_CHARACTERS_MAX
        for text in ("sun moon star", "sun", long):
            counted = await engine.count_input_tokens(turn_of(text, raw=True))
            found = await engine.embed([text])
            assert (counted.tokens, counted.exact) == (found.input_tokens, True)
        counters = await engine.counters()
        assert counters.input_tokens == 4 + INLINE_CHARACTERS_MAX
        assert (await engine.health()).ready

    played(scene, table)


def test_it_writes_no_text(table: Path) -> None:
    async def scene(engine: StaticEngine) -> None:
        assert engine.capabilities.features == {Feature.EMBEDDINGS}
        assert (engine.capabilities.writes, engine.capabilities.context_tokens) == (False, 64)
        for act in ("pause", "resume", "cancel"):
            recorder = Recorder()
            getattr(engine.start(turn_of(), recorder), act)()
            await recorder.over()
            assert recorder.problem is not None
            assert recorder.problem.code is Code.UNSUPPORTED_FEATURE

    played(scene, table, context_tokens=64)


def test_a_closed_engine_is_not_ready(table: Path) -> None:
    async def work() -> None:
        engine = StaticEngine(StaticOptions(table_path=str(table)))
        assert not (await engine.health()).ready
        with pytest.raises(Problem) as caught:
            await engine.embed(["sun"])
        assert caught.value.code is Code.ENGINE_NOT_READY

    asyncio.run(work())


@pytest.mark.parametrize(
    "members",
    [
        {"rows": ""},
        {"reader": ""},
        {"rows": b"\xff" * 9},
        {"rows": rows_of("F16")},
        {"rows": rows_of(name="other")},
        {"rows": rows_of()[:-8]},
        {"reader": "{}"},
        {"reader": b"\xff\xfe"},
        {"reader": reader_of({**WORDS, "more": 4})},
    ],
)
def test_a_file_without_a_table_is_refused(tmp_path: Path, members: Any) -> None:
    path = archive(tmp_path / "bad.zip", **members)
    with pytest.raises(Problem) as caught:
        load(path)
    assert (caught.value.code, caught.value.param) == (Code.INVALID_VALUE, "embeddings")


def test_no_archive_and_no_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no zip")
    for name in ("text", "missing"):
        with pytest.raises(Problem, match="no table"):
            load(tmp_path / name)


def test_a_missing_package_is_named_with_its_cure(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(Problem, match=r"tokenbooth\[embedded\]") as caught:
        load(table)
    assert caught.value.code is Code.ENGINE_NOT_INSTALLED


def test_a_table_too_large_is_refused(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokenbooth.engines.static.table.TABLE_BYTES_MAX", 10)
    with pytest.raises(Problem, match="no table"):
        load(table)


@pytest.mark.parametrize("tokens", [1, 1_000_001])
def test_a_window_that_is_none_is_refused(tokens: int) -> None:
    with pytest.raises(ValueError, match="context_tokens"):
        StaticOptions(table_path="x", context_tokens=tokens)
