"""A drawing process that misbehaves in the way that its order's bytes name."""

import os
import sys

import msgspec

from tokenbooth.media.rendering.values import LEAD_BYTES, Failed, Order


def main() -> None:
    source, target = sys.stdin.buffer, sys.stdout.buffer
    size = int.from_bytes(source.read(LEAD_BYTES))
    order = msgspec.msgpack.decode(source.read(size), type=Order)
    match order.raw:
        case b"dies":
            os._exit(3)
        case b"hangs":
            source.read()
            while True:
                os.read(os.pipe()[0], 1)
        case b"floods":
            target.write((2**32 - 1).to_bytes(LEAD_BYTES))
        case b"babbles":
            target.write((7).to_bytes(LEAD_BYTES) + b"\xc1nonsen")
        case b"cuts":
            target.write((7).to_bytes(LEAD_BYTES) + b"abc")
        case _:
            answer = msgspec.msgpack.encode(Failed("MEDIA_UNREADABLE", "As it says."))
            target.write(len(answer).to_bytes(LEAD_BYTES) + answer)
    target.flush()


if __name__ == "__main__":
    main()
