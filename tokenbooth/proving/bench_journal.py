"""The file journal beside the same records in a SQLite table, on this machine's disk.

``python -m tokenbooth.proving.bench_journal [--seconds N] [--directory DIR]``. Each waiting call
opens, moves on, settles, and waits until its settlement is durable; both journals are driven by the
same event loop and share each sync in the same way. The disk of a shared machine is noisy: read
ratios and medians, not the worst case.
"""

import argparse
import asyncio
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import msgspec

from tokenbooth.core.delta import Usage
from tokenbooth.core.receipt import Outcome
from tokenbooth.money.journal.service import (
    FileDisk,
    Journal,
    JournalDriver,
    JournalStart,
)
from tokenbooth.money.leases.service import CallFacts, Progress, SettledCall, Settlement

LOADS = (1, 32, 256, 1024)
RECORDS_PER_CALL = 3
MS_PER_S = 1000
US_PER_S = 1_000_000


class _Driven(Protocol):
    """What the two journals have in common for the driver."""

    def close(self) -> None: ...


class SqliteJournal:
    """The same verbs over ``INSERT`` into one table, WAL mode, ``synchronous=FULL``."""

    broken = None
    prunable = False

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute(
            "CREATE TABLE record (sequence INTEGER PRIMARY KEY, kind INTEGER, payload BLOB) STRICT"
        )
        self._encode = msgspec.msgpack.Encoder().encode
        self._rows: list[tuple[int, int, bytes]] = []
        self._sequence = 0
        self.written = 0
        self.durable = 0

    def open(self, facts: CallFacts) -> int:
        return self._append(1, facts)

    def progress(self, progress: Progress) -> int:
        return self._append(2, progress)

    def settle(self, settlement: Settlement) -> int:
        return self._append(3, settlement)

    def write_out(self) -> None:
        self.written = self._sequence

    def sync(self) -> int:
        rows, self._rows = self._rows, []
        if rows:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT INTO record VALUES (?, ?, ?)", rows)
            self._connection.execute("COMMIT")
            self.durable = rows[-1][0]
        return self.durable

    def forget(self, request_ids: tuple[str, ...]) -> None:
        """Rows are left: removing them would only cost more."""

    def close(self) -> None:
        self.sync()
        self._connection.close()

    def _append(self, kind: int, record: CallFacts | Progress | Settlement) -> int:
        self._sequence += 1
        self._rows.append((self._sequence, kind, self._encode(record)))
        return self._sequence


@dataclass(frozen=True)
class Line:
    """One load: calls that wait at once, what was reached, and what it cost."""

    journal: str
    waiting: int
    records_per_s: float
    wait_p50_ms: float
    wait_p99_ms: float
    cpu_us_per_record: float


def _facts(name: str) -> CallFacts:
    return CallFacts(
        request_id=name,
        org_id="org_0123456789abcdef0123456789abcdef",
        project_id="proj_0123456789abcdef0123456789abcdef",
        key_id="key_0123456789abcdef0123456789abcdef",
        end_customer=None,
        model="parrot",
        stream=True,
        price_version="price_0123456789abcdef0123456789abcdef",
        tier="standard",
        data_terms="private",
        chain=tuple(
            f"{scope}:{scope}_0123456789abcdef0123456789abcdef"
            for scope in ("balance", "organization", "project", "key")
        ),
        held_nano=1_000_000,
        input_tokens=1000,
        output_tokens=500,
        created_us=1_790_000_000_000_000,
    )


def _progress(name: str) -> Progress:
    return Progress(
        request_id=name,
        usage=Usage(1000, 64),
        cost_nano=500_000,
        held_nano=1_000_000,
        first_output_us=1_790_000_000_100_000,
        at_us=1_790_000_000_200_000,
    )


def _settlement(name: str) -> Settlement:
    return Settlement(
        request_id=name,
        outcome=Outcome.COMPLETED,
        reason="The call completed.",
        usage=Usage(1000, 500),
        charged=True,
        cost_nano=1_000_000,
        loss_nano=0,
        held_nano=1_000_000,
        started_us=1_790_000_000_000_000,
        first_output_us=1_790_000_000_100_000,
        ended_us=1_790_000_001_000_000,
        fingerprint=None,
        deployment_id=None,
    )


async def _load(name: str, journal: _Driven, waiting: int, seconds: float) -> Line:
    driver = JournalDriver(cast("Journal", journal))
    waits: list[float] = []
    ends = time.perf_counter() + seconds

    async def caller(number: int) -> None:
        turn = 0
        while time.perf_counter() < ends:
            turn += 1
            name = f"req_{number:08x}{turn:024x}"
            facts = _facts(name)
            driver.open(facts)
            await asyncio.sleep(0)
            driver.progress(_progress(name))
            await asyncio.sleep(0)
            asked = time.perf_counter()
            await driver.settle(SettledCall(facts, _settlement(name), 1))
            waits.append(time.perf_counter() - asked)
            driver.forget((name,))

    begun, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(caller(number) for number in range(waiting)))
    took, used = time.perf_counter() - begun, time.process_time() - used
    await driver.close()
    waits.sort()
    return Line(
        name,
        waiting,
        RECORDS_PER_CALL * len(waits) / took,
        statistics.median(waits) * MS_PER_S,
        waits[len(waits) * 99 // 100] * MS_PER_S,
        used * US_PER_S / (RECORDS_PER_CALL * len(waits)),
    )


def measure(directory: Path, seconds: float, told: Callable[[Line], None]) -> list[Line]:
    """Both journals at all loads, in turn; ``told`` hears of each line when it is there."""
    lines = []
    for waiting in LOADS:
        for name in ("file", "sqlite"):
            folder = directory / f"{name}-{waiting}"
            folder.mkdir()
            journal: _Driven
            if name == "file":
                start = JournalStart(journal_id=bytes(16), replica="bench", epoch=1)
                journal = Journal(FileDisk(folder), start)
            else:
                journal = SqliteJournal(folder / "journal.db")
            lines.append(asyncio.run(_load(name, journal, waiting, seconds)))
            told(lines[-1])
    return lines


def ratios(lines: Sequence[Line]) -> list[str]:
    """How many times the records of SQLite the file takes, load by load."""
    rates = {(line.journal, line.waiting): line.records_per_s for line in lines}
    return [
        f"{waiting:5} waiting: the file takes"
        f" {rates['file', waiting] / rates['sqlite', waiting]:.1f} times as many records"
        for waiting in LOADS
    ]


def _show(line: Line) -> None:
    _say(
        f"{line.journal:7} {line.waiting:5} waiting {line.records_per_s:9,.0f} records/s"
        f"   wait p50 {line.wait_p50_ms:7.2f} ms  p99 {line.wait_p99_ms:8.2f} ms"
        f"   {line.cpu_us_per_record:6.1f} us CPU per record"
    )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="bench_journal", description=(__doc__ or "")[:90])
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each load lasts")
    parser.add_argument("--directory", type=Path, help="on the disk to measure")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=chosen.directory) as directory:
        _say("\n".join(ratios(measure(Path(directory), chosen.seconds, _show))))


if __name__ == "__main__":
    main()
