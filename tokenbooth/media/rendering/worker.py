"""The child: reads one order, answers it, ends. It gives up what it may before it opens a file."""

import contextlib
import resource
import sys
from collections.abc import Callable
from importlib import import_module
from typing import BinaryIO

import msgspec

from tokenbooth.media.rendering import pdf, video
from tokenbooth.media.rendering.values import LEAD_BYTES, Drawn, Order

MEMORY_BYTES_MAX = 2 * 1024 * 1024 * 1024
# Standard input, output and error; with no more numbers, no file and no connection can be opened.
OPEN_FILES_MAX = 3
_DRAWERS: dict[str, tuple[tuple[str, ...], Callable[[Order], Drawn]]] = {
    "pdf": (pdf.MODULES, pdf.drawn),
    "video": (video.MODULES, video.drawn),
}


def main(source: BinaryIO, target: BinaryIO) -> None:
    """One order in, one answer out."""
    size = int.from_bytes(source.read(LEAD_BYTES))
    order = msgspec.msgpack.decode(source.read(size), type=Order)
    modules, draw = _DRAWERS[order.what]
    with contextlib.suppress(ImportError):  # the drawer says what is missing
        for module in modules:
            import_module(module)
    _confine(order.cpu_s_max)
    answer = msgspec.msgpack.encode(draw(order))
    target.write(len(answer).to_bytes(LEAD_BYTES) + answer)
    target.flush()


def _confine(cpu_s_max: int) -> None:
    """No more memory and time than an honest file needs, for good; and nothing is opened."""
    for what, most in (
        (resource.RLIMIT_CPU, cpu_s_max),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, MEMORY_BYTES_MAX),
        (resource.RLIMIT_NOFILE, OPEN_FILES_MAX),
    ):
        limits = (*resource.getrlimit(what), most)
        lowest = min(each for each in limits if each != resource.RLIM_INFINITY)
        try:
            resource.setrlimit(what, (lowest, lowest))
        except (OSError, ValueError):  # a system that does not know this bound has the others
            continue


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
