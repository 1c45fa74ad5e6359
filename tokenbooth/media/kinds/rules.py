"""Reads the format, the size and the length of media from its first bytes, decoding nothing.

Whatever is claimed of bytes elsewhere, by a header or a name, counts for nothing.
"""

from collections import Counter
from collections.abc import Iterator
from struct import unpack_from

from tokenbooth.media.kinds.values import Format, Size

_SIDE_MAX = 65_535
_STARTS = (
    (b"\x89PNG\r\n\x1a\n", Format.PNG),
    (b"\xff\xd8\xff", Format.JPEG),
    (b"GIF87a", Format.GIF),
    (b"GIF89a", Format.GIF),
    (b"%PDF-", Format.PDF),
    (b"ID3", Format.MP3),
    (b"\x1aE\xdf\xa3", Format.WEBM),
)
# What begins like a video and is a still image of a format that is not taken.
_STILL_BRANDS = frozenset({b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1"})
_PCM, _FLOATS, _EXTENSIBLE = 1, 3, 0xFFFE
_RESYNCS_MAX = 4096
_SEGMENTS_MAX = 4096
_MP3_RATES_HZ = (44_100, 48_000, 32_000)
_MP3_KBPS = (
    (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)


def format_of(raw: bytes) -> Format | None:
    """``None`` for what is none of the formats that are taken."""
    for start, found in _STARTS:
        if raw.startswith(start):
            return found
    if raw[:4] == b"RIFF" and len(raw) > 12:
        return {b"WEBP": Format.WEBP, b"WAVE": Format.WAV}.get(raw[8:12])
    if raw[4:8] == b"ftyp":
        return None if raw[8:12] in _STILL_BRANDS else Format.MP4
    if _mp3_frame(raw, 0) is not None:
        return Format.MP3
    return Format.TEXT if _is_text(raw) else None


def size_of(raw: bytes, kind: Format) -> Size | None:
    """Of an image; ``None`` where its head is cut off or absurd."""
    sides = _SIDES[kind](raw)
    if sides is None or not all(1 <= side <= _SIDE_MAX for side in sides):
        return None
    return Size(*sides)


def sound_duration_s(raw: bytes, kind: Format) -> int | None:
    """Whole seconds, a begun one counted; ``None`` for what no sound can be read from."""
    return _wav_duration_s(raw) if kind is Format.WAV else _mp3_duration_s(raw)


def _is_text(raw: bytes) -> bool:
    if b"\0" in raw:
        return False
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return bool(raw)


def _png_sides(raw: bytes) -> tuple[int, int] | None:
    return unpack_from(">II", raw, 16) if len(raw) >= 24 and raw[12:16] == b"IHDR" else None


def _gif_sides(raw: bytes) -> tuple[int, int] | None:
    return unpack_from("<HH", raw, 6) if len(raw) >= 10 else None


def _jpeg_sides(raw: bytes) -> tuple[int, int] | None:
    """Of the first frame; segments before it are passed over by their lengths."""
    at = 2
    for _ in range(_SEGMENTS_MAX):
        if at + 9 > len(raw) or raw[at] != 0xFF:
            break
        marker = raw[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = unpack_from(">HH", raw, at + 5)
            return width, height
        at += 2 + int.from_bytes(raw[at + 2 : at + 4])
    return None


def _webp_sides(raw: bytes) -> tuple[int, int] | None:
    if len(raw) < 30:
        return None
    match raw[12:16]:
        case b"VP8 ":
            width, height = unpack_from("<HH", raw, 26)
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            bits = int.from_bytes(raw[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            sides = (int.from_bytes(raw[at : at + 3], "little") + 1 for at in (24, 27))
            return next(sides), next(sides)
    return None


_SIDES = {
    Format.PNG: _png_sides,
    Format.GIF: _gif_sides,
    Format.JPEG: _jpeg_sides,
    Format.WEBP: _webp_sides,
}


def _wav_duration_s(raw: bytes) -> int | None:
    rate_bytes = 0
    for name, at, size in _riff_chunks(raw):
        if name == b"fmt " and size >= 16:
            coding, channels, rate_hz = unpack_from("<HHI", raw, at)
            bits = int.from_bytes(raw[at + 14 : at + 16], "little")
            if coding not in (_PCM, _FLOATS, _EXTENSIBLE):
                return None
            rate_bytes = rate_hz * channels * bits // 8
        elif name == b"data":
            return -(-size // rate_bytes) if rate_bytes and size else None
    return None


def _riff_chunks(raw: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, place and size of each chunk, as far as its bytes are there."""
    at = 12
    for _ in range(_SEGMENTS_MAX):
        if at + 8 > len(raw):
            return
        size = int.from_bytes(raw[at + 4 : at + 8], "little")
        yield raw[at : at + 4], at + 8, min(size, len(raw) - at - 8)
        at += 8 + size + size % 2


def _mp3_duration_s(raw: bytes) -> int | None:
    """By the lengths of all frames. Bytes between frames are passed over, as decoders do, a bounded
    number of times."""
    at = 0
    if raw.startswith(b"ID3") and len(raw) >= 10:
        size = 0
        for byte in raw[6:10]:
            size = size << 7 | byte & 0x7F
        at = 10 + size
    samples: Counter[int] = Counter()
    lost = 0
    while 0 <= at < len(raw):
        frame = _mp3_frame(raw, at)
        if frame is not None:
            size, count, rate_hz = frame
            samples[rate_hz] += count
            at += size
            continue
        lost += 1
        if lost > _RESYNCS_MAX:
            return None
        at = raw.find(b"\xff", at + 1)
    return sum(-(-count // rate_hz) for rate_hz, count in samples.items()) or None


def _mp3_frame(raw: bytes, at: int) -> tuple[int, int, int] | None:
    """Size in bytes, samples, and their rate, of the layer III frame at ``at``."""
    if at + 4 > len(raw) or raw[at] != 0xFF or raw[at + 1] & 0xE0 != 0xE0:
        return None
    version, layer = raw[at + 1] >> 3 & 3, raw[at + 1] >> 1 & 3
    speed, rate = raw[at + 2] >> 4, raw[at + 2] >> 2 & 3
    if version == 1 or layer != 1 or speed in (0, 15) or rate == 3:
        return None
    first = version == 3
    rate_hz = _MP3_RATES_HZ[rate] >> (0 if first else 1 if version == 2 else 2)
    samples = 1152 if first else 576
    bits_per_s = _MP3_KBPS[0 if first else 1][speed - 1] * 1000
    return samples // 8 * bits_per_s // rate_hz + (raw[at + 2] >> 1 & 1), samples, rate_hz
