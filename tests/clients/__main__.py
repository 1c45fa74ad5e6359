"""Runs real clients against a private booth; exits 0 only when every turn went as the table says.

``python -m tests.clients`` is ``scripts/clients``. Without ``--only`` it writes
``docs/clients.md``.
"""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from tests.clients.install import Cache, InstallFault
from tests.clients.page import page
from tests.clients.playing import Result, play
from tests.clients.stage import Stage, open_stage
from tests.clients.table import CLIENTS, Client

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "clients.md"


def main(arguments: Sequence[str]) -> int:
    asked = _asked(arguments)
    clients = [client for client in CLIENTS if not asked.only or client.name in asked.only]
    cache = Cache(asked.cache.resolve())
    results: list[Result] = []
    with (
        tempfile.TemporaryDirectory(prefix="booth-", ignore_cleanup_errors=True) as place,
        open_stage(Path(place), clients, small=not asked.scripted) as stage,
    ):
        for client in clients:
            results += _played(stage, cache, client)
        books = stage.instance.command("ledger", "verify")
        stopped = stage.instance.stop()
    failed = [result for result in results if not result.passed]
    sound = bool(books.get("sound")) and stopped == 0
    if asked.json:
        documents = [{**asdict(result), "passed": result.passed} for result in results]
        print(json.dumps({"results": documents, "books": books, "passed": not failed and sound}))
    if not asked.only:
        PAGE.write_text(page(results, f"{datetime.now(UTC):%Y-%m-%d}"))
        _say(f"== wrote {PAGE.relative_to(ROOT)}")
    _say(f"== the books are {'sound' if sound else 'NOT SOUND'}")
    said = ", ".join(f"{result.client} {result.turn.value}" for result in failed)
    known = sum(result.known is not None for result in results)
    well = f"{len(results) - known} turns passed, {known} are known not to"
    _say(f"== FAILED: {said}" if failed else f"== {well}")
    return int(bool(failed) or not sound)


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/clients", description=__doc__)
    names = [client.name for client in CLIENTS]
    parser.add_argument("--only", choices=names, action="append", help="leave the others out")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--scripted", action="store_true", help="without the real model")
    parser.add_argument("--cache", type=Path, default=ROOT / ".clients", help="folder of installs")
    return parser.parse_args(arguments)


def _played(stage: Stage, cache: Cache, client: Client) -> list[Result]:
    _say(f"== {client.title} ({', '.join(client.packages)})")
    try:
        cache.prepare(client)
    except InstallFault as fault:
        said = f"cannot be installed: {' '.join(str(fault).split())[-400:]}"
        _say(f"   {said}")
        return [Result(client.name, turn, said, None, 0, "-") for turn in client.turns]
    found = []
    for turn in client.turns:
        result = play(stage, cache, client, turn)
        found.append(result)
        _say(f"   {_line(result)}")
    return found


def _line(result: Result) -> str:
    verdict = "pass" if result.fault is None else "FAILED"
    if result.known is not None:
        verdict = "known" if result.passed else "PASSES, but is listed as known"
    why = "" if result.fault is None else f": {result.fault}"
    return f"{result.turn.value:<9} {verdict}, {result.duration_s} s, {result.model}{why}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    # So that what was started ends with this program.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))
    sys.exit(main(sys.argv[1:]))
