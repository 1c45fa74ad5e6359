"""One ``multipart/form-data`` body (RFC 7578) as its parts; pure and strict."""

import re
from dataclasses import dataclass, field
from typing import NoReturn

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

PARTS_MAX = 16
HEAD_BYTES_MAX = 8192
_BOUNDARY = re.compile(r'(?i)multipart/form-data\s*;.*?boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))')
_NAME = re.compile(r'(?i);\s*name="((?:[^"\\]|\\.)*)"')
_FILE_NAME = re.compile(r'(?i);\s*filename="((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Part:
    """``file_name`` is ``None`` for a plain field."""

    name: str
    file_name: str | None
    content: bytes = field(repr=False)


def parts_of(raw: bytes, content_type: str) -> tuple[Part, ...]:
    """Raises Problem INVALID_VALUE for what is no such body, WRONG_TYPE for another type."""
    found = _BOUNDARY.match(content_type)
    if found is None:
        raise Problem(
            Code.WRONG_TYPE,
            "Send the file as multipart/form-data with a boundary.",
            param="content-type",
        )
    mark = b"--" + (found[1] or found[2]).encode("latin-1", "replace")
    if not raw.startswith(mark):
        _bad("does not begin with its boundary")
    parts: list[Part] = []
    at = len(mark)
    while raw[at : at + 2] == b"\r\n":
        end = raw.find(b"\r\n" + mark, at)
        if end < 0:
            _bad("is cut")
        if len(parts) == PARTS_MAX:
            _bad(f"has more than {PARTS_MAX} parts")
        parts.append(_part(raw, at + 2, end))
        at = end + 2 + len(mark)
    if raw[at : at + 2] != b"--":
        _bad("is cut")
    return tuple(parts)


def _part(raw: bytes, start: int, end: int) -> Part:
    head_end = raw.find(b"\r\n\r\n", start, min(end, start + HEAD_BYTES_MAX))
    if head_end < 0:
        _bad("has a part without headers")
    try:
        lines = raw[start:head_end].decode().split("\r\n")
    except UnicodeDecodeError:
        _bad("has headers that are not UTF-8")
    said = next((x for x in lines if x.lower().startswith("content-disposition:")), "")
    name, file_name = _NAME.search(said), _FILE_NAME.search(said)
    if name is None:
        _bad("has a part without a name")
    return Part(
        _plain(name[1]),
        None if file_name is None else _plain(file_name[1]),
        raw[head_end + 4 : end],
    )


def _plain(quoted: str) -> str:
    """Without the escapes of quoted strings, and those of browsers for a quotation mark."""
    return _ESCAPE.sub(r"\1", quoted).replace("%22", '"')


def _bad(says: str) -> NoReturn:
    raise Problem(Code.INVALID_VALUE, f"The multipart body {says}.")
