"""Frames of a video; runs in the child, the only file that loads FFmpeg."""

import io
from importlib import import_module
from typing import Any

from tokenbooth.media.rendering.png import png_of
from tokenbooth.media.rendering.values import Drawn, Failed, Frames, Order, Picture

PACKAGE = "av"
# All that is loaded while a file is read; nothing can be opened by then.
MODULES = (PACKAGE, "av.subtitles.stream", "av.video.reformatter")
FRAME_SIDE_MAX = 768
US_PER_S = 1_000_000
US_PER_MS = 1000
MISSING = Failed("UNSUPPORTED_FEATURE", "Videos need the extra `video` on this server.")
DAMAGED = Failed("MEDIA_UNREADABLE", "The video is damaged, or of a kind that is not read here.")
# Nothing in a file may make the library open another file or an address.
_CLOSED = {"protocol_whitelist": ""}


def drawn(order: Order) -> Drawn:
    """Frames evenly spread, one a second at most, until their number or bytes are used up."""
    try:
        package = import_module(PACKAGE)
    except ImportError:
        return MISSING
    form = "mp4" if order.raw[4:8] == b"ftyp" else "matroska"
    try:
        with package.open(io.BytesIO(order.raw), format=form, options=_CLOSED) as container:
            return _frames(container, order)
    except (package.FFmpegError, ValueError):
        return DAMAGED


def _frames(container: Any, order: Order) -> Drawn:
    if not container.streams.video or not container.duration or container.duration < 0:
        return DAMAGED
    duration_s = -(-container.duration // US_PER_S)
    if duration_s > order.video_s_max:
        public = f"The video has {duration_s} seconds; the most is {order.video_s_max}."
        return Failed("MEDIA_TOO_LARGE", public)
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1
    count = min(order.images_max, duration_s)
    left_bytes, frames = order.answer_bytes_max, []
    for place in range(count):
        at_us = container.duration * (2 * place + 1) // (2 * count)
        picture = _picture(container, stream, at_us)
        if picture is None or len(picture.png) > left_bytes:
            break
        left_bytes -= len(picture.png)
        frames.append(picture)
    return Frames(duration_s, tuple(frames)) if frames else DAMAGED


def _picture(container: Any, stream: Any, at_us: int) -> Picture | None:
    """The first frame that is not before ``at_us``, or the last one there is."""
    container.seek(at_us)
    found = None
    for frame in container.decode(stream):
        found = frame
        if frame.time is not None and int(frame.time * US_PER_S) >= at_us:
            break
    if found is None:
        return None
    longest = max(found.width, found.height, FRAME_SIDE_MAX)
    width = max(1, found.width * FRAME_SIDE_MAX // longest)
    height = max(1, found.height * FRAME_SIDE_MAX // longest)
    plane = found.reformat(width=width, height=height, format="rgb24").planes[0]
    raw, stride = bytes(plane), plane.line_size
    rows = b"".join(raw[row * stride : row * stride + 3 * width] for row in range(height))
    return Picture(png_of(rows, width, height), width, height, at_us // US_PER_MS)
