"""The long proofs: which are run, with which seed, and what is said of them."""

from collections.abc import Mapping, Sequence

import pytest

from checks.nightly import FUZZED, LIVES, main, proofs, run, tonight

DAY_S = 86_400


class Runs:
    """Every command is noted; those with ``failing`` in their words fail."""

    def __init__(self, failing: str = "nothing") -> None:
        self.commands: list[tuple[str, ...]] = []
        self.variables: list[Mapping[str, str]] = []
        self._failing = failing

    def __call__(self, command: Sequence[str], variables: Mapping[str, str]) -> int:
        self.commands.append(tuple(command))
        self.variables.append(variables)
        return int(self._failing in command)


def test_every_proof_is_run_and_all_must_hold(capsys: pytest.CaptureFixture[str]) -> None:
    runs = Runs()
    assert main(["--seed", "7"], runs, lambda: 0.0) == 0
    assert runs.commands == [proof.command for proof in proofs(7)]
    assert {"TOKENBOOTH_TEST_HISTORIES": "5000", "TOKENBOOTH_TEST_STEPS": "50"} in runs.variables
    assert {"TOKENBOOTH_TEST_CUTS": "1"} in runs.variables
    fuzz = {"TOKENBOOTH_TEST_FUZZ": "50000", "TOKENBOOTH_TEST_FUZZ_SEED": "35"}
    assert fuzz in runs.variables
    assert capsys.readouterr().out.endswith("== all held\n")


def test_one_that_fails_is_named_and_the_others_are_still_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    runs = Runs("powercut")
    assert main([], runs, lambda: 0.0) == 1
    assert len(runs.commands) == len(proofs(0))
    assert capsys.readouterr().out.endswith("FAILED: powercut\n")


def test_the_others_can_be_left_out() -> None:
    runs = Runs()
    assert main(["--only", "kill"], runs, lambda: 0.0) == 0
    assert [command[3:5] for command in runs.commands] == [("drill", "kill")]


def test_each_night_plays_lives_that_no_night_before_it_played() -> None:
    assert tonight(3 * DAY_S) == tonight(3 * DAY_S + DAY_S - 1) == 3 * LIVES
    assert tonight(4 * DAY_S) - tonight(3 * DAY_S) == LIVES
    runs = Runs()
    main(["--only", "simulator"], runs, lambda: 2.0 * DAY_S)
    assert runs.commands[0][-2:] == ("--seed", str(2 * LIVES))
    main(["--only", "fuzz"], runs, lambda: 2.0 * DAY_S)
    assert runs.variables[-1]["TOKENBOOTH_TEST_FUZZ_SEED"] == str(2 * FUZZED)


def test_variables_reach_the_command() -> None:
    assert run(("sh", "-c", 'test "$NIGHT" = long'), {"NIGHT": "long"}) == 0
    assert run(("sh", "-c", "exit 3"), {}) == 3
