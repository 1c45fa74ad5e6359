"""Headers are read exactly, and anything cut off, absurd or foreign is refused by name."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.gguf import ARRAY, gguf_bytes, gguf_string, tiny_vocabulary, write_gguf
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.engines.gguf import metadata as module
from tokenbooth.engines.gguf.metadata import read_metadata

VALUES = st.one_of(
    st.text(max_size=10),
    st.booleans(),
    st.integers(0, 2**64 - 1),
    st.floats(width=32, allow_nan=False),
    st.lists(st.text(max_size=5), min_size=1, max_size=5),
    st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=5),
)


def problem_of(path: Path) -> Problem:
    with pytest.raises(Problem) as caught:
        read_metadata(path)
    assert caught.value.code is Code.INVALID_VALUE
    assert caught.value.param == "gguf"
    return caught.value


@given(st.dictionaries(st.text(min_size=1, max_size=10), VALUES, max_size=6))
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, object]
) -> None:
    path = write_gguf(tmp_path_factory.mktemp("gguf") / "a.gguf", values)
    expected = {
        key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
    }
    assert read_metadata(path).values == expected


def test_version_2_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(gguf_bytes({"a": 1}, version=2))
    assert read_metadata(path).number("a") == 1


def test_arrays_can_be_left_out(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "a.gguf", tiny_vocabulary())
    found = read_metadata(path, skip_arrays=True)
    assert found.context_tokens == 512
    assert found.texts("tokenizer.ggml.tokens") == ()
    assert len(read_metadata(path).texts("tokenizer.ggml.tokens")) == 261


def test_each_reader_gives_only_its_own_kind(tmp_path: Path) -> None:
    values = {"text": "a", "number": 3, "flag": True, "texts": ["a", "b"], "numbers": [1, 2]}
    found = read_metadata(write_gguf(tmp_path / "a.gguf", values))
    assert found.text("text") == "a"
    assert found.text("number") is None
    assert found.number("number") == 3
    assert found.number("flag") is None
    assert found.flag("flag") is True
    assert found.flag("number") is None
    assert found.texts("texts") == ("a", "b")
    assert found.texts("numbers") == ()
    assert found.numbers("numbers") == (1, 2)
    assert found.numbers("text") == ()
    assert found.text("nothing") is None
    assert found.context_tokens is None


def test_a_header_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = gguf_bytes({"name": "value", "numbers": [1, 2, 3], "texts": ["a", "b"]})
    path = tmp_path / "a.gguf"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert str(path) in problem_of(path).public


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "No such file" in problem_of(tmp_path / "absent.gguf").public


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"ELF!" + bytes(20), "does not begin with GGUF"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 10**9), "1000000000 keys"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 2**40), "string of"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + gguf_string("k") + b"\x63\0\0\0", "type 99"),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + gguf_string("k")
            + struct.pack("<IIQ", ARRAY, 4, 2**40),
            "array of",
        ),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + gguf_string("k")
            + struct.pack("<IIQ", ARRAY, ARRAY, 1),
            "array of arrays",
        ),
    ],
)  # fmt: skip
def test_absurd_headers_are_refused(tmp_path: Path, raw: bytes, words: str) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(raw)
    assert words in problem_of(path).public


def test_a_header_over_the_bound_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEADER_BYTES_MAX", 64)
    path = write_gguf(tmp_path / "a.gguf", {"long": "x" * 100})
    assert "too large" in problem_of(path).public


@given(st.binary(max_size=200))
def test_no_bytes_at_all_break_the_reader(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    path = tmp_path_factory.mktemp("gguf") / "a.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 3) + raw)
    problem_of(path)
