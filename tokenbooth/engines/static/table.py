"""Reads a table of static embeddings, and makes vectors with it.

A vector is the mean of the rows of a text's tokens, without those that the vocabulary lacks,
brought to length one. A text without any known token has the zero vector.
"""

import zipfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.engines.choose import install_command

ROWS_MEMBER, READER_MEMBER = "model.safetensors", "tokenizer.json"
TENSOR = "embeddings"
TABLE_BYTES_MAX = 2**31
LENGTH_BYTES = 8


class _Tensor(msgspec.Struct):
    dtype: str
    shape: tuple[int, int]
    span: tuple[int, int] = msgspec.field(name="data_offsets")


class Table:
    """``rows`` is a matrix of numpy, ``reader`` a tokenizer of the package ``tokenizers``."""

    def __init__(self, numpy: Any, reader: Any, rows: Any) -> None:
        self._numpy = numpy
        self._reader = reader
        self._rows = rows
        self._unknown = _unknown_id(reader)

    @property
    def dimensions(self) -> int:
        return int(self._rows.shape[1])

    def count(self, text: str) -> int:
        """Tokens of the text; nothing is added to it."""
        return len(self._ids(text))

    def vectors(
        self, texts: Sequence[str], dimensions: int
    ) -> tuple[tuple[tuple[float, ...], ...], int]:
        """A vector for each text, and the tokens of all of them."""
        made, tokens = [], 0
        for text in texts:
            ids = self._ids(text)
            tokens += len(ids)
            made.append(self._vector([id_ for id_ in ids if id_ != self._unknown], dimensions))
        return tuple(made), tokens

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._reader.encode(text, add_special_tokens=False).ids
        return ids

    def _vector(self, ids: list[int], dimensions: int) -> tuple[float, ...]:
        if not ids:
            return (0.0,) * dimensions
        mean = self._rows[ids].mean(axis=0)[:dimensions]
        length = float(self._numpy.linalg.norm(mean))
        return tuple((mean / length if length else mean).tolist())


def load(path: Path) -> Table:
    """Raises Problem ENGINE_NOT_INSTALLED, or INVALID_VALUE for a file that holds no table."""
    try:
        numpy, package = import_module("numpy"), import_module("tokenizers")
    except ImportError as error:
        raise Problem(
            Code.ENGINE_NOT_INSTALLED,
            f"Static embeddings need numpy and tokenizers. Run: {install_command('embedded')}",
        ) from error
    try:
        with zipfile.ZipFile(path) as archive:
            raw, reader_json = _members(archive)
        rows = _rows(numpy, raw)
        reader = _reader(package, reader_json.decode())
    except (OSError, LookupError, StopIteration, ValueError, zipfile.BadZipFile) as error:
        raise _bad(path) from error
    if reader.get_vocab_size() > rows.shape[0]:
        raise _bad(path)
    return Table(numpy, reader, rows)


def _reader(package: Any, text: str) -> Any:
    """The tokenizer. Raises ValueError."""
    try:
        return package.Tokenizer.from_str(text)
    except Exception as error:
        raise ValueError("not a tokenizer") from error


def _members(archive: zipfile.ZipFile) -> tuple[bytes, bytes]:
    """The rows, and the tokenizer beside them."""
    found = next(one for one in archive.infolist() if one.filename.endswith(ROWS_MEMBER))
    folder = found.filename.removesuffix(ROWS_MEMBER)
    reader = archive.getinfo(folder + READER_MEMBER)
    if found.file_size + reader.file_size > TABLE_BYTES_MAX:
        raise ValueError("too large")
    return archive.read(found), archive.read(reader)


def _rows(numpy: Any, raw: bytes) -> Any:
    """The one matrix of 32-bit floats."""
    start = LENGTH_BYTES + int.from_bytes(raw[:LENGTH_BYTES], "little")
    head = msgspec.json.decode(raw[LENGTH_BYTES:start], type=dict[str, _Tensor])
    tensor = head[TENSOR]
    low, high = tensor.span
    if tensor.dtype != "F32":
        raise ValueError("not 32-bit floats")
    matrix = numpy.frombuffer(raw[start + low : start + high], dtype="<f4")
    return matrix.reshape(tensor.shape)


def _unknown_id(reader: Any) -> int | None:
    """The id that stands for what the vocabulary lacks."""
    found: int | None = reader.token_to_id("[UNK]")
    return found


def _bad(path: Path) -> Problem:
    return Problem(
        Code.INVALID_VALUE, f"{path} holds no table of static embeddings.", param="embeddings"
    )
