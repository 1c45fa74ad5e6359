"""Frozen nouns of kinds."""

from dataclasses import dataclass
from enum import StrEnum


class Format(StrEnum):
    """A format that is taken, by its media type."""

    PNG = "image/png"
    JPEG = "image/jpeg"
    GIF = "image/gif"
    WEBP = "image/webp"
    PDF = "application/pdf"
    TEXT = "text/plain"
    WAV = "audio/wav"
    MP3 = "audio/mpeg"
    MP4 = "video/mp4"
    WEBM = "video/webm"


@dataclass(frozen=True, slots=True)
class Size:
    """In pixels."""

    width: int
    height: int


IMAGES = frozenset({Format.PNG, Format.JPEG, Format.GIF, Format.WEBP})
DOCUMENTS = frozenset({Format.PDF, Format.TEXT})
SOUNDS = frozenset({Format.WAV, Format.MP3})
VIDEOS = frozenset({Format.MP4, Format.WEBM})
