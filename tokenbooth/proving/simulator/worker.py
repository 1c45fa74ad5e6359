"""A process that plays seeds and writes one line of JSON for each: see ``fleet``."""

import argparse
import sys

import msgspec

from tokenbooth.proving.simulator.play import Player


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--first", "--count", "--step", "--operations"):
        parser.add_argument(name, type=int, required=True)
    chosen = parser.parse_args()
    player = Player()
    for turn in range(chosen.count):
        played = player.play(chosen.first + turn * chosen.step, chosen.operations)
        sys.stdout.buffer.write(msgspec.json.encode(played) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
