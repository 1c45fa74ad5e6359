"""Reads the metadata of a GGUF file (versions 2 and 3), bounded in every size.

Format: github.com/ggml-org/ggml, docs/gguf.md. Only the header is read, never a tensor.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

MAGIC = b"GGUF"
VERSIONS = (2, 3)
KEYS_MAX = 4096
STRING_BYTES_MAX = 4 * 1024 * 1024
ARRAY_LENGTH_MAX = 4 * 1024 * 1024
HEADER_BYTES_MAX = 256 * 1024 * 1024
_STRING = 8
_ARRAY = 9
_FORMATS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q",
    12: "<d",
}  # fmt: skip

Scalar: TypeAlias = str | int | float | bool
Value: TypeAlias = Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Metadata:
    """Keys and values of the header; arrays of arrays are left out."""

    values: dict[str, Value]

    def text(self, key: str) -> str | None:
        value = self.values.get(key)
        return value if isinstance(value, str) else None

    def number(self, key: str) -> int | None:
        value = self.values.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def flag(self, key: str) -> bool | None:
        value = self.values.get(key)
        return value if isinstance(value, bool) else None

    def texts(self, key: str) -> tuple[str, ...]:
        return tuple(value for value in self._array(key) if isinstance(value, str))

    def numbers(self, key: str) -> tuple[int, ...]:
        return tuple(value for value in self._array(key) if isinstance(value, int))

    def _array(self, key: str) -> Iterable[Scalar]:
        value = self.values.get(key)
        return value if isinstance(value, tuple) else ()

    @property
    def context_tokens(self) -> int | None:
        """The window that the model was trained for."""
        return self.number(f"{self.text('general.architecture')}.context_length")


def read_metadata(path: Path, *, skip_arrays: bool = False) -> Metadata:
    """Raises Problem INVALID_VALUE for a file that is not GGUF, is cut off or absurd."""
    try:
        with path.open("rb") as stream:
            return _Reader(stream, skip_arrays).read()
    except OSError as error:
        raise Problem(
            Code.INVALID_VALUE, f"{path} cannot be read: {error.strerror}.", param="gguf"
        ) from error
    except (ValueError, struct.error) as error:
        raise Problem(
            Code.INVALID_VALUE, f"{path} is not a readable GGUF file: {error}.", param="gguf"
        ) from error


class _Reader:
    def __init__(self, stream: BinaryIO, skip_arrays: bool) -> None:
        self._stream = stream
        self._skip_arrays = skip_arrays
        self._left = HEADER_BYTES_MAX

    def read(self) -> Metadata:
        if self._take(4) != MAGIC:
            raise ValueError("it does not begin with GGUF")
        version, _tensors, keys = struct.unpack("<IQQ", self._take(20))
        if version not in VERSIONS:
            raise ValueError(f"version {version} is unknown")
        if keys > KEYS_MAX:
            raise ValueError(f"it announces {keys} keys")
        values: dict[str, Value] = {}
        for _ in range(keys):
            key = self._string()
            kind = self._number("<I")
            value = self._array() if kind == _ARRAY else self._scalar(kind)
            if value is not None:
                values[key] = value
        return Metadata(values)

    def _take(self, count: int) -> bytes:
        self._left -= count
        if self._left < 0:
            raise ValueError("its header is too large")
        taken = self._stream.read(count)
        if len(taken) < count:
            raise ValueError("it ends too early")
        return taken

    def _number(self, form: str) -> int:
        return int(struct.unpack(form, self._take(struct.calcsize(form)))[0])

    def _string(self) -> str:
        length = self._number("<Q")
        if length > STRING_BYTES_MAX:
            raise ValueError(f"it holds a string of {length} bytes")
        return self._take(length).decode("utf-8", "replace")

    def _scalar(self, kind: int) -> Scalar:
        if kind == _STRING:
            return self._string()
        form = _FORMATS.get(kind)
        if form is None:
            raise ValueError(f"value type {kind} is unknown")
        value: int | float | bool = struct.unpack(form, self._take(struct.calcsize(form)))[0]
        return value

    def _array(self) -> tuple[Scalar, ...] | None:
        kind = self._number("<I")
        length = self._number("<Q")
        if length > ARRAY_LENGTH_MAX:
            raise ValueError(f"it holds an array of {length} values")
        form = _FORMATS.get(kind)
        if form is not None:
            raw = self._take(length * struct.calcsize(form))
            if self._skip_arrays:
                return None
            return tuple(value for (value,) in struct.iter_unpack(form, raw))
        if kind != _STRING:
            raise ValueError("it holds an array of arrays")
        texts = [self._string() for _ in range(length)]
        return None if self._skip_arrays else tuple(texts)
