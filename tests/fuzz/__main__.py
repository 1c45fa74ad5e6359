"""Look for bytes that break a connection, with atheris, in an environment of its own:

    python -m venv FOLDER && FOLDER/bin/pip install . atheris
    FOLDER/bin/python -m tests.fuzz [CORPUS] -runs=10000000 -max_len=4096

The first byte of an input says where it is cut into pieces. The arguments are libFuzzer's. A new
corpus begins with the cases of ``tests/smuggling``.
"""

import asyncio
import hashlib
import importlib
import resource
import sys
from pathlib import Path

from tests.smuggling.corpus import cases

TOLD_EVERY = 1_000_000
CUT = b"\x37"


def sow(folder: Path) -> None:
    """Make a corpus of the known cases, where there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        return
    for case in cases():
        raw = CUT + b"".join(case.pieces)
        (folder / hashlib.sha256(raw).hexdigest()).write_bytes(raw)


async def main() -> None:
    """A loop has to be there for futures; it never gets to run."""
    for folder in (each for each in sys.argv[1:] if not each.startswith("-")):
        sow(Path(folder))
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["tokenbooth.edge"]):
        edge = importlib.import_module("tests.fuzz.edge")
    bench, count = edge.Bench(), 0

    def one(found: bytes) -> None:
        nonlocal count
        bench.one(edge.pieces_of(found))
        count += 1
        if count % TOLD_EVERY == 0:
            most_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            sys.stderr.write(f"{count} executions, at most {most_kb} KB\n")

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    asyncio.run(main())
