"""The proofs that take hours, one after the other; exits 0 only when every one of them held.

``python -m checks.nightly`` is ``scripts/nightly``. Each night plays lives that no night before it
played, because the first seed follows from the date; ``--seed`` plays a night again.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from checks.budgets import ROOT

DAY_S = 86_400
LIVES = 10_000
FUZZED = 50_000
TOKENBOOTH = (sys.executable, "-m", "tokenbooth")
POSTGRES = (sys.executable, "-m", "tests.support.with_postgres")
CHEATS = "tests/outside/proving/test_drill_catches_cheats.py"
HISTORIES = "tests/outside/money/test_ledger_histories_both.py"
CUTS = "tests/unit/gateway/test_cut_streams.py"
FUZZ = "tests/unit/gateway/test_fuzzed_calls.py"

Run = Callable[[Sequence[str], Mapping[str, str]], int]


@dataclass(frozen=True)
class Proof:
    name: str
    command: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)


def proofs(seed: int) -> tuple[Proof, ...]:
    """All of them, in the order in which they are run."""
    seeded = ("--seed", str(seed))
    on_postgres = ("--replicas", "3", "--store", "{url}", *seeded)
    return (
        Proof(
            "simulator",
            (*TOKENBOOTH, "simulate", "--seeds", str(LIVES), "--operations", "200", *seeded),
        ),
        Proof("kill", (*TOKENBOOTH, "drill", "kill", "--kills", "500", "--replicas", "3", *seeded)),
        Proof(
            "kill on postgresql",
            (*POSTGRES, *TOKENBOOTH, "drill", "kill", "--kills", "100", *on_postgres),
        ),
        Proof(
            "powercut",
            (*TOKENBOOTH, "drill", "powercut", "--kills", "200", "--replicas", "3", *seeded),
        ),
        Proof(
            "stampede on postgresql", (*POSTGRES, *TOKENBOOTH, "drill", "stampede", *on_postgres)
        ),
        Proof("knees", (*TOKENBOOTH, "certify", "prove", "knees", *seeded)),
        Proof("faults", (*TOKENBOOTH, "certify", "prove", "faults", *seeded)),
        Proof("gateway", (*TOKENBOOTH, "bench", "gateway", "--gate", "25")),
        Proof(
            "launches", (*TOKENBOOTH, "replay", "launch-season", "--html", "/dev/null", "--json")
        ),
        Proof("launch-builds", (*TOKENBOOTH, "replay", "builds")),
        Proof("launch-forecasts", (*TOKENBOOTH, "replay", "forecasts")),
        Proof(
            "cheats",
            (sys.executable, "-m", "pytest", CHEATS, "-n", "2", "-p", "no:cacheprovider"),
            {"TOKENBOOTH_TEST_CHEATS": "all"},
        ),
        Proof(
            "histories",
            (sys.executable, "-m", "pytest", HISTORIES, "-n", "2", "-p", "no:cacheprovider"),
            {"TOKENBOOTH_TEST_HISTORIES": "5000", "TOKENBOOTH_TEST_STEPS": "50"},
        ),
        Proof(
            "cuts",
            (sys.executable, "-m", "pytest", CUTS, "-n", "2", "-p", "no:cacheprovider"),
            {"TOKENBOOTH_TEST_CUTS": "1"},
        ),
        Proof(
            "fuzz",
            (sys.executable, "-m", "pytest", FUZZ, "-n", "2", "-p", "no:cacheprovider"),
            {
                "TOKENBOOTH_TEST_FUZZ": str(FUZZED),
                "TOKENBOOTH_TEST_FUZZ_SEED": str(seed * (FUZZED // LIVES)),
            },
        ),
    )


def tonight(now_s: float) -> int:
    """The first seed of that day."""
    return int(now_s // DAY_S) * LIVES


def run(command: Sequence[str], variables: Mapping[str, str]) -> int:
    """With its output shown as it comes; returns the exit status."""
    words = ("env", *(f"{name}={value}" for name, value in variables.items()), *command)
    return subprocess.run(words, cwd=ROOT, check=False).returncode


def main(arguments: Sequence[str], run: Run = run, now_s: Callable[[], float] = time.time) -> int:
    names = [proof.name for proof in proofs(0)]
    parser = argparse.ArgumentParser(prog="scripts/nightly", description=__doc__)
    parser.add_argument("--seed", type=int, help="play that night again")
    parser.add_argument("--only", choices=names, action="append", help="leave the others out")
    asked = parser.parse_args(arguments)
    seed = tonight(now_s()) if asked.seed is None else asked.seed
    failed = []
    for proof in proofs(seed):
        if asked.only and proof.name not in asked.only:
            continue
        begun_s = now_s()
        print(f"== {proof.name} (seed {seed})", flush=True)
        if run(proof.command, proof.variables) != 0:
            failed.append(proof.name)
        said = "FAILED" if proof.name in failed else "held"
        print(f"== {proof.name} {said} after {now_s() - begun_s:.0f} s", flush=True)
    print(f"FAILED: {', '.join(failed)}" if failed else "== all held", flush=True)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
