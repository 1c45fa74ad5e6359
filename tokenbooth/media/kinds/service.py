"""What bytes are. The only import surface of this noun."""

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.media.kinds.rules import format_of, size_of, sound_duration_s
from tokenbooth.media.kinds.values import DOCUMENTS, IMAGES, SOUNDS, VIDEOS, Format, Size

__all__ = [
    "DOCUMENTS",
    "IMAGES",
    "SOUNDS",
    "VIDEOS",
    "Format",
    "Size",
    "checked_duration_s",
    "checked_format",
    "checked_size",
]


def checked_format(raw: bytes, taken: frozenset[Format]) -> Format:
    """Raises MEDIA_UNREADABLE for bytes of none of the formats ``taken``."""
    found = format_of(raw)
    if found is None or found not in taken:
        names = ", ".join(sorted(each.value for each in taken))
        raise Problem(
            Code.MEDIA_UNREADABLE, f"The bytes are none of the formats taken here: {names}."
        )
    return found


def checked_size(raw: bytes, kind: Format, pixels_max: int) -> Size:
    """Raises MEDIA_UNREADABLE or MEDIA_TOO_LARGE."""
    size = size_of(raw, kind)
    if size is None:
        raise Problem(Code.MEDIA_UNREADABLE, f"The {kind.value} has no readable size.")
    if size.width * size.height > pixels_max:
        raise Problem(
            Code.MEDIA_TOO_LARGE,
            f"The image has {size.width} by {size.height} pixels; the most is {pixels_max}.",
            facts={"pixels_max": pixels_max},
        )
    return size


def checked_duration_s(raw: bytes, kind: Format) -> int:
    """Of a sound. Raises MEDIA_UNREADABLE."""
    duration_s = sound_duration_s(raw, kind)
    if duration_s is None:
        raise Problem(Code.MEDIA_UNREADABLE, f"The {kind.value} has no readable length.")
    return duration_s
