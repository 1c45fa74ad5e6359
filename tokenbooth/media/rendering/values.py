"""What the gateway and the drawing process say to each other, and its bounds."""

from dataclasses import dataclass
from typing import TypeAlias

import msgspec

LEAD_BYTES = 4
# No sheet of an honest document needs more; a token bound counts on it too.
SIDE_MAX = 1568
TEXT_CHARACTERS_MAX = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawBounds:
    """``images_max`` is of the pages of a document, ``frames_max`` of a video."""

    pages_max: int = 100
    images_max: int = 20
    video_s_max: int = 300
    frames_max: int = 16
    cpu_s_max: int = 30


class Order(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """``what`` is ``pdf`` or ``video``; ``images_max`` of its pages or frames are drawn."""

    what: str
    raw: bytes
    images_max: int
    pages_max: int
    video_s_max: int
    answer_bytes_max: int
    cpu_s_max: int


class Picture(msgspec.Struct, array_like=True, frozen=True):
    """A PNG. ``at_ms`` is its place in a video."""

    png: bytes
    width: int
    height: int
    at_ms: int = 0


class Page(msgspec.Struct, array_like=True, frozen=True):
    text: str
    picture: Picture | None = None


class Pages(msgspec.Struct, tag="pages", array_like=True, frozen=True):
    pages: tuple[Page, ...]


class Frames(msgspec.Struct, tag="frames", array_like=True, frozen=True):
    """``duration_s`` is whole seconds, a begun one counted."""

    duration_s: int
    frames: tuple[Picture, ...]


class Failed(msgspec.Struct, tag="failed", array_like=True, frozen=True):
    """``code`` is the name of a ``Code``."""

    code: str
    public: str


Drawn: TypeAlias = Pages | Frames | Failed
