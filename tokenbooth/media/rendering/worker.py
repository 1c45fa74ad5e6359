"""The child: reads one order, answers it, ends. It gives up what it may before it opens a file."""

import resource
import sys
from collections.abc import Callable
from typing import BinaryIO

import msgspec

from tokenbooth.media.rendering import pdf, video
from tokenbooth.media.rendering.values import LEAD_BYTES, Drawn, Order

MEMORY_BYTES_MAX = 2 * 1024 * 1024 * 1024
_DRAWERS: dict[str, Callable[[Order], Drawn]] = {
    "pdf": pdf.drawn,
    "video": video.drawn,
}


def main(source: BinaryIO, target: BinaryIO) -> None:
    """One order in, one answer out."""
    size = int.from_bytes(source.read(LEAD_BYTES))
    order = msgspec.msgpack.decode(source.read(size), type=Order)
    _confine(order.cpu_s_max)
    answer = msgspec.msgpack.encode(_DRAWERS[order.what](order))
    target.write(len(answer).to_bytes(LEAD_BYTES) + answer)
    target.flush()


def _confine(cpu_s_max: int) -> None:
    """No more memory and time than an honest file needs, and no file written."""
    for what, most in (
        (resource.RLIMIT_CPU, cpu_s_max),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, MEMORY_BYTES_MAX),
    ):
        soft, hard = resource.getrlimit(what)
        lowest = [each for each in (soft, hard, most) if each != resource.RLIM_INFINITY]
        try:
            resource.setrlimit(what, (min(lowest), hard))
        except (OSError, ValueError):  # a system that does not know this bound has the others
            continue


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
