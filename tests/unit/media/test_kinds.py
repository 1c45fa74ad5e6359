"""Formats, sizes and lengths, read from bytes that nobody vouches for."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.media import mp3, pdf, png, png_head, wav
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.media.kinds import service as kinds
from tokenbooth.media.kinds.rules import format_of, size_of, sound_duration_s
from tokenbooth.media.kinds.service import Format, Size

ANY = kinds.IMAGES | kinds.DOCUMENTS | kinds.SOUNDS | kinds.VIDEOS
GIF = b"GIF89a" + struct.pack("<HH", 7, 5) + bytes(9)


def jpeg(width: int, height: int, *segments: bytes) -> bytes:
    frame = b"\xff\xc2" + struct.pack(">HBHH", 17, 8, height, width)
    return b"\xff\xd8" + b"".join(segments) + frame + bytes(12)


def webp(name: bytes, body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + 8 + len(body)) + b"WEBP" + name + b"\0\0\0\0" + body


LOSSY = webp(b"VP8 ", bytes(6) + struct.pack("<HH", 7 | 0x4000, 5 | 0x8000))
LOSSLESS = webp(b"VP8L", b"\x2f" + struct.pack("<I", 6 | 4 << 14) + bytes(5))
EXTENDED = webp(b"VP8X", bytes(4) + (6).to_bytes(3, "little") + (4).to_bytes(3, "little"))
APP0 = b"\xff\xe0" + struct.pack(">H", 16) + bytes(14)
TABLE = b"\xff\xc4" + struct.pack(">H", 4) + bytes(2)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (png(), Format.PNG),
        (jpeg(7, 5), Format.JPEG),
        (GIF, Format.GIF),
        (b"GIF87a" + GIF[6:], Format.GIF),
        (LOSSY, Format.WEBP),
        (pdf("a"), Format.PDF),
        (wav(1), Format.WAV),
        (mp3(1), Format.MP3),
        (b"ID3\x04\0\0\0\0\0\0" + mp3(1), Format.MP3),
        (b"\0\0\0\x18ftypmp42", Format.MP4),
        (b"\0\0\0\x18ftypqt  ", Format.MP4),
        (b"\x1aE\xdf\xa3webm", Format.WEBM),
        ("Grüße".encode(), Format.TEXT),
        (b"", None),
        (b"\0", None),
        (b"a\0b", None),
        (b"\xff\xfe\0a", None),
        (b"caf\xe9", None),
        (b"RIFF\0\0\0\0AVI x", None),
        (b"\0\0\0\x18ftypheic", None),
        (b"\0\0\0\x18ftypavif", None),
        (b"PK\x03\x04\xff", None),
    ],
)
def test_the_format_is_read_from_the_bytes(raw: bytes, expected: Format | None) -> None:
    assert format_of(raw) is expected


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (png(7, 5), Format.PNG),
        (png_head(7, 5), Format.PNG),
        (GIF, Format.GIF),
        (jpeg(7, 5), Format.JPEG),
        (jpeg(7, 5, APP0, TABLE, b"\xff"), Format.JPEG),
        (LOSSY, Format.WEBP),
        (LOSSLESS, Format.WEBP),
        (EXTENDED, Format.WEBP),
    ],
)
def test_the_size_is_read_from_the_head(raw: bytes, kind: Format) -> None:
    assert size_of(raw, kind) == Size(7, 5)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (png()[:20], Format.PNG),
        (png_head(0, 5), Format.PNG),
        (png_head(7, 2**31), Format.PNG),
        (b"\x89PNG\r\n\x1a\n" + bytes(30), Format.PNG),
        (GIF[:8], Format.GIF),
        (jpeg(7, 5)[:8], Format.JPEG),
        (jpeg(7, 5, b"\xff\xe0\0\0")[:12], Format.JPEG),
        (jpeg(7, 5, b"\xff\xe0\0\x02\0\0"), Format.JPEG),
        (b"\xff\xd8" + b"\xff" * 9000, Format.JPEG),
        (LOSSY[:29], Format.WEBP),
        (webp(b"ANIM", bytes(20)), Format.WEBP),
    ],
)
def test_a_head_that_is_cut_off_or_absurd_has_no_size(raw: bytes, kind: Format) -> None:
    assert size_of(raw, kind) is None


@pytest.mark.parametrize(("tenths", "expected"), [(1, 1), (10, 1), (11, 2), (100, 10)])
def test_a_second_of_a_wav_that_has_begun_counts(tenths: int, expected: int) -> None:
    assert sound_duration_s(wav(tenths), Format.WAV) == expected


@pytest.mark.parametrize(("frames", "expected"), [(1, 1), (38, 1), (39, 2), (383, 11)])
def test_the_frames_of_an_mp3_are_counted(frames: int, expected: int) -> None:
    assert sound_duration_s(mp3(frames), Format.MP3) == expected
    assert sound_duration_s(b"ID3\x04\0\0\0\0\0\x03abc" + mp3(frames), Format.MP3) == expected


def test_an_mp3_of_another_rate_is_counted_by_its_own() -> None:
    slow = (b"\xff\xf3\x18\x00" + bytes(32)) * 100  # 576 samples at 16,000 Hz and 8 kbit/s
    assert sound_duration_s(slow[:36] * 28, Format.MP3) == 2
    assert sound_duration_s((b"\xff\xe3\x18\x00" + bytes(68)) * 28, Format.MP3) == 3


def test_garbage_in_an_mp3_hides_nothing_of_what_follows() -> None:
    assert sound_duration_s(mp3(38) + b"\xff\x00garbage" + mp3(38), Format.MP3) == 2
    assert sound_duration_s(mp3(1) + b"\xff" * 5000 + mp3(38), Format.MP3) is None


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (wav(0), Format.WAV),
        (wav(1)[:30], Format.WAV),
        (wav(1).replace(b"fmt ", b"fmt_"), Format.WAV),
        (wav(1)[:20] + b"\x55\0" + wav(1)[22:], Format.WAV),
        (b"RIFF\0\0\0\0WAVE" + b"junk\0\0\0\0" * 5000, Format.WAV),
        (b"RIFF\0\0\0\0WAVEjunk\x03\0\0\0abc_", Format.WAV),
        (b"ID3", Format.MP3),
        (b"ID3\x04\0\0\x7f\x7f\x7f\x7f", Format.MP3),
        (b"\xff\xfb\xf0\x00", Format.MP3),
    ],
)
def test_what_has_no_readable_length_has_none(raw: bytes, kind: Format) -> None:
    assert sound_duration_s(raw, kind) is None


def test_a_length_in_a_header_counts_only_as_far_as_bytes_are_there() -> None:
    raw = bytearray(wav(10))
    raw[40:44] = b"\xff\xff\xff\xff"
    assert sound_duration_s(bytes(raw), Format.WAV) == 1


@given(st.sampled_from([png(), jpeg(7, 5), GIF, LOSSY, wav(1), mp3(2)]), st.randoms())
def test_bytes_that_were_changed_are_read_or_refused(raw: bytes, chance: object) -> None:
    changed = bytearray(raw)
    for _ in range(4):
        changed[chance.randrange(len(changed))] = chance.randrange(256)  # type: ignore[attr-defined]
    found = format_of(bytes(changed))
    if found in kinds.IMAGES:
        size = size_of(bytes(changed), found)
        assert size is None or min(size.width, size.height) >= 1
    elif found in kinds.SOUNDS:
        assert sound_duration_s(bytes(changed), found) != 0
    else:
        assert found is None or found in ANY


def test_what_is_not_taken_is_refused_with_what_is() -> None:
    assert kinds.checked_format(png(), kinds.IMAGES) is Format.PNG
    for raw in (pdf("a"), b"\0"):
        with pytest.raises(Problem, match="image/gif, image/jpeg, image/png, image/webp") as caught:
            kinds.checked_format(raw, kinds.IMAGES)
        assert caught.value.code is Code.MEDIA_UNREADABLE


def test_an_image_of_too_many_pixels_is_refused_by_its_head() -> None:
    assert kinds.checked_size(png_head(100, 10), Format.PNG, 1000) == Size(100, 10)
    with pytest.raises(Problem, match="100 by 11 pixels") as caught:
        kinds.checked_size(png_head(100, 11), Format.PNG, 1000)
    assert caught.value.code is Code.MEDIA_TOO_LARGE
    with pytest.raises(Problem, match="no readable size"):
        kinds.checked_size(b"GIF89a", Format.GIF, 1000)


def test_a_sound_without_a_length_is_refused() -> None:
    assert kinds.checked_duration_s(wav(15), Format.WAV) == 2
    with pytest.raises(Problem, match="no readable length"):
        kinds.checked_duration_s(wav(0), Format.WAV)
