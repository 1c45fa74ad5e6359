"""Runs every check, shows all that fails, and exits 0 only when nothing did.

``python -m checks`` is ``scripts/check``; ``python -m checks --outside`` is ``scripts/test``, which
adds the tests that start real servers, databases and engines.

Format, lint, types and contracts run beside the unit tests; their output is shown after them.
Coverage doubles the time of the unit tests, so only ``--outside`` measures it, and only where what
the budget asks for is tested.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from checks.budgets import COVERAGE_FILE, ROOT
from checks.source import PYTHON_ROOTS

PROGRAMS = Path(sys.executable).parent
PYTEST = (sys.executable, "-m", "pytest")
# Two workers, for the two cores of the smallest machine that this is meant for.
SPREAD = ("-n", "2")
COVERAGE = ("--cov", "--cov-branch", "--cov-report=", f"--cov-report=json:{COVERAGE_FILE}")


@dataclass(frozen=True)
class Stage:
    name: str
    command: tuple[str, ...]


BESIDE = (
    Stage("format", (sys.executable, "-m", "ruff", "format", "--check", *PYTHON_ROOTS)),
    Stage("lint", (sys.executable, "-m", "ruff", "check", *PYTHON_ROOTS)),
    Stage("types", (sys.executable, "-m", "mypy")),
    Stage("contracts", (str(PROGRAMS / "lint-imports"), "--no-logo")),
)
UNIT = Stage("unit and tidy tests", (*PYTEST, "tests/unit", *SPREAD))
UNIT_TESTS = "tests/unit"
# What is tested there uses rules, wire formats and money, and is not where they are tested.
UNTRACED = (
    "bookkeeper", "checks", "cli", "clients", "config", "edge", "oracle", "proving",
    "scripts", "store", "telemetry", "web", "workers",
)  # fmt: skip


def _rooms(*, traced: bool) -> tuple[str, ...]:
    found = sorted(each.name for each in (ROOT / UNIT_TESTS).iterdir() if each.is_dir())
    named = [name for name in found if not name.startswith("_")]
    return tuple(f"{UNIT_TESTS}/{name}" for name in named if (name not in UNTRACED) is traced)


PLAIN = Stage("unit and tidy tests that measure nothing", (*PYTEST, *_rooms(traced=False), *SPREAD))
MEASURED = Stage("unit tests with coverage", (*PYTEST, *_rooms(traced=True), *SPREAD, *COVERAGE))
BUDGETS = Stage("budgets", (sys.executable, "-m", "checks.budgets"))
# These wait for servers a good part of their time, so one more than there are cores.
OUTSIDE = Stage("outside tests", (*PYTEST, "tests/outside", "-n", "3", "--dist", "loadfile"))

Wait = Callable[[], tuple[int, str]]


class Programs:
    """Runs commands in the checkout."""

    def run(self, command: Sequence[str]) -> int:
        """Run with its output shown as it comes; returns the exit status."""
        return subprocess.run(command, cwd=ROOT, check=False).returncode

    def start(self, command: Sequence[str]) -> Wait:
        """Start beside others; the result waits for it and gives exit status and output."""
        output = tempfile.TemporaryFile()  # noqa: SIM115 - wait() closes it
        child = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)

        def wait() -> tuple[int, str]:
            status = child.wait()
            with output:
                output.seek(0)
                return status, output.read().decode(errors="replace")

        return wait


def check(programs: Programs, *, unit: Sequence[Stage]) -> list[str]:
    """Everything but the outside tests; returns the names of the stages that failed."""
    started = [(stage, programs.start(stage.command)) for stage in BESIDE]
    failed = [name for stage in unit for name in shown(programs, stage)]
    for stage, wait in started:
        status, output = wait()
        print(f"== {stage.name}\n{output.strip()}", flush=True)
        failed += _verdict(stage, status)
    return failed + shown(programs, BUDGETS)


def shown(programs: Programs, stage: Stage) -> list[str]:
    print(f"== {stage.name}", flush=True)
    return _verdict(stage, programs.run(stage.command))


def _verdict(stage: Stage, status: int) -> list[str]:
    if status == 0:
        return []
    print(f"== {stage.name} FAILED", flush=True)
    return [stage.name]


def main(arguments: Sequence[str], programs: Programs | None = None) -> int:
    if list(arguments) not in ([], ["--outside"]):
        print("usage: python -m checks [--outside]", file=sys.stderr)
        return 2
    programs = programs or Programs()
    begun = time.monotonic()
    (ROOT / COVERAGE_FILE).unlink(missing_ok=True)
    failed = check(programs, unit=(MEASURED, PLAIN) if arguments else (UNIT,))
    said = f"FAILED: {', '.join(failed)}" if failed else "all passed"
    print(f"== checks: {said} ({time.monotonic() - begun:.0f} s)", flush=True)
    if arguments:
        failed += shown(programs, OUTSIDE)
    if failed and arguments:
        print(f"FAILED: {', '.join(failed)}", flush=True)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
