"""Calls without money exist in a benchmark's own directory and nowhere else."""

import ast
import inspect
from pathlib import Path

import pytest

import tokenbooth
from checks.source import Source, imported_modules
from tokenbooth.boot import run_server
from tokenbooth.gateway.till import Till
from tokenbooth.opened_till import open_till
from tokenbooth.proving.bench.billing import free_till, unbilled

ROOT = Path(tokenbooth.__file__).parent
OWN = "tokenbooth.proving.bench.billing"


def test_a_directory_of_somebody_else_is_not_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unbilled, "run_server", lambda *_: pytest.fail("it was served"))
    assert unbilled.main(["--data-dir", str(tmp_path)]) == unbilled.REFUSED
    assert "not made by the benchmark" in capsys.readouterr().err


def test_its_own_directory_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served = []

    async def serve(settings: object, ready: object, opened_till: object) -> None:
        served.append(opened_till)

    monkeypatch.setattr(unbilled, "run_server", serve)
    unbilled.mark(tmp_path)
    assert unbilled.main(["--data-dir", str(tmp_path)]) == 0
    assert served == [free_till.open_free_till]


def test_a_server_has_the_real_till_unless_it_is_told_otherwise() -> None:
    assert inspect.signature(run_server).parameters["opened_till"].default is open_till


def test_no_command_gives_a_server_another_till() -> None:
    """Outside of the benchmark every ``run_server`` has two arguments, and a link at most."""
    calls = []
    for path in sorted(ROOT.rglob("*.py")):
        if "proving/bench" in path.as_posix():
            continue
        calls += [
            (path.name, len(node.args), [each.arg for each in node.keywords])
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "run_server"
        ]
    assert calls
    assert all(count == 2 and set(names) <= {"link"} for _, count, names in calls), calls


def test_nothing_outside_of_the_benchmark_knows_the_free_till() -> None:
    for path in sorted(ROOT.rglob("*.py")):
        if "proving/bench" in path.as_posix():
            continue
        source = Source(path.relative_to(ROOT.parent).as_posix(), path.read_text("utf-8"))
        reached = {module for node in source.nodes for module in imported_modules(node)}
        named = {
            each for each in reached if each.startswith((f"{OWN}.free_till", f"{OWN}.unbilled"))
        }
        assert not named, path


def test_the_free_till_has_an_answer_of_its_own_to_everything() -> None:
    """What is inherited would take money, or fall over what was never opened."""
    public = {name for name in vars(Till) if not name.startswith("_")}
    assert public - set(vars(free_till.FreeTill)) == set()
