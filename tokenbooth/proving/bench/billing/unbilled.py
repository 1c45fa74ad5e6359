"""``python -m tokenbooth.proving.bench.billing.unbilled --data-dir DIR``: serve without money.

Only a directory that the benchmark made is served: a booth of somebody else never runs free.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tokenbooth.boot import run_server
from tokenbooth.config import load_settings
from tokenbooth.control.serving import Serving
from tokenbooth.edge.loop import run_on_fast_loop
from tokenbooth.proving.bench.billing.free_till import open_free_till

MARK = "unbilled-benchmark"
REFUSED = 2


def mark(data_dir: Path) -> None:
    """Allow this new directory to be served without money."""
    (data_dir / MARK).write_text("Made by a benchmark; calls of this booth are not billed.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal; ``REFUSED`` for a directory without the mark."""
    parser = argparse.ArgumentParser(prog="unbilled")
    parser.add_argument("--data-dir", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    if not (chosen.data_dir / MARK).is_file():
        sys.stderr.write("This directory was not made by the benchmark; it is not served.\n")
        return REFUSED
    run_on_fast_loop(run_server(load_settings(chosen.data_dir).settings, _ready, open_free_till))
    return 0


async def _ready(serving: Serving) -> None:
    """Whoever started this looks for the port itself."""


if __name__ == "__main__":
    sys.exit(main())
