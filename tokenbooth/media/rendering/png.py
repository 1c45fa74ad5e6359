"""Writes plain PNG files; no package is needed for that."""

import struct
import zlib

LEVEL = 6


def png_of(rows: bytes, width: int, height: int) -> bytes:
    """``rows`` are ``height`` rows of ``width`` pixels of 3 bytes: red, green, blue."""
    row_bytes = 3 * width
    plain = bytearray()
    for row in range(height):
        plain.append(0)
        plain += rows[row * row_bytes : (row + 1) * row_bytes]
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(plain, LEVEL)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, body) for name, body in chunks)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
