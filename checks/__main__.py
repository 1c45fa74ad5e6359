"""Runs every check, shows all that fails, and exits 0 only when nothing did.

``python -m checks`` is ``scripts/check``; ``python -m checks --outside`` is ``scripts/test``, which
adds the tests that start real servers, databases and engines.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from checks.budgets import COVERAGE_FILE, ROOT
from checks.source import PYTHON_ROOTS

PROGRAMS = Path(sys.executable).parent
PYTEST = (sys.executable, "-m", "pytest")
COVERAGE = ("--cov", "--cov-branch", "--cov-report=", f"--cov-report=json:{COVERAGE_FILE}")


@dataclass(frozen=True)
class Stage:
    name: str
    command: tuple[str, ...]


CHECK_STAGES = (
    Stage("format", (sys.executable, "-m", "ruff", "format", "--check", *PYTHON_ROOTS)),
    Stage("lint", (sys.executable, "-m", "ruff", "check", *PYTHON_ROOTS)),
    Stage("types", (sys.executable, "-m", "mypy")),
    Stage("contracts", (str(PROGRAMS / "lint-imports"), "--no-logo")),
    Stage("unit and tidy tests", (*PYTEST, "tests/unit", *COVERAGE)),
    Stage("budgets", (sys.executable, "-m", "checks.budgets")),
)
OUTSIDE_STAGE = Stage("outside tests", (*PYTEST, "tests/outside"))

Runner = Callable[[Sequence[str]], int]


def run_here(command: Sequence[str]) -> int:
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def run_stages(stages: Sequence[Stage], run: Runner = run_here) -> list[str]:
    """Run all of them, in order, whatever fails; returns the names of those that failed."""
    failed = []
    for stage in stages:
        print(f"== {stage.name}", flush=True)
        started = time.monotonic()
        if run(stage.command) != 0:
            failed.append(stage.name)
            print(f"== {stage.name} FAILED", flush=True)
        print(f"   {time.monotonic() - started:.1f} s", flush=True)
    return failed


def main(arguments: Sequence[str]) -> int:
    if arguments not in ([], ["--outside"]):
        print("usage: python -m checks [--outside]", file=sys.stderr)
        return 2
    (ROOT / COVERAGE_FILE).unlink(missing_ok=True)
    failed = run_stages(CHECK_STAGES)
    print(f"== checks: {len(CHECK_STAGES) - len(failed)} of {len(CHECK_STAGES)} passed", flush=True)
    if arguments and run_here(OUTSIDE_STAGE.command) != 0:
        failed.append(OUTSIDE_STAGE.name)
    if failed:
        print(f"FAILED: {', '.join(failed)}", flush=True)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
