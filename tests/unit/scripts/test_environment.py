"""The setup of a private environment, with its programs replaced by a recorder."""

import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "scripts" / "environment.py"
WAIT_S = 20.0


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("environment_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


environment = load()


class Recorder:
    """Stands for the programs: remembers commands, makes what ``venv`` would make."""

    def __init__(self, failing: str = "") -> None:
        self.commands: list[list[str]] = []
        self.failing = failing
        self.raising: BaseException | None = None

    def __call__(self, command: Sequence[str]) -> int:
        self.commands.append(list(command))
        text = " ".join(command)
        if self.failing and self.failing in text:
            if self.raising is not None:
                raise self.raising
            return 1
        if "-m venv" in text:
            python = Path(command[-1]) / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.write_text("")
        return 0

    @property
    def kinds(self) -> list[str]:
        names = {"-m venv": "venv", "import pip": "look", "--require-hashes": "lock"}
        return [
            next((kind for mark, kind in names.items() if mark in " ".join(command)), "project")
            for command in self.commands
        ]


@pytest.fixture
def place(tmp_path: Path) -> "environment.Place":
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "test.txt").write_text("one==1\n")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    return environment.Place(tmp_path, "test")


def test_the_first_setup_makes_everything_in_order(place: "environment.Place") -> None:
    run = Recorder()
    environment.prepare(place, run)
    assert run.kinds == ["venv", "look", "lock", "project"]
    _, _, lock, project = run.commands
    assert lock[-2:] == ["--requirement", str(place.lock)]
    assert {"--no-deps", "--no-build-isolation", "--editable"} <= set(project)
    assert {command[0] for command in run.commands[1:]} == {str(place.python)}


def test_the_second_setup_starts_no_program(place: "environment.Place") -> None:
    environment.prepare(place, Recorder())
    run = Recorder()
    environment.prepare(place, run)
    assert run.commands == []


def test_a_changed_lock_makes_it_anew_from_nothing(place: "environment.Place") -> None:
    environment.prepare(place, Recorder())
    (place.directory / "leftover").write_text("old")
    place.lock.write_text("one==2\n")
    run = Recorder()
    environment.prepare(place, run)
    assert run.kinds == ["venv", "look", "lock", "project"]
    assert not (place.directory / "leftover").exists()


def test_a_changed_project_file_installs_only_the_project(place: "environment.Place") -> None:
    environment.prepare(place, Recorder())
    (place.root / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    run = Recorder()
    environment.prepare(place, run)
    assert run.kinds == ["project"]


def test_a_moved_checkout_makes_it_anew(place: "environment.Place", tmp_path: Path) -> None:
    environment.prepare(place, Recorder())
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("locks", "pyproject.toml", ".venv-test"):
        (tmp_path / name).rename(moved / name)
    run = Recorder()
    environment.prepare(environment.Place(moved, "test"), run)
    assert run.kinds == ["venv", "look", "lock", "project"]


def test_another_python_makes_it_anew(
    place: "environment.Place", monkeypatch: pytest.MonkeyPatch
) -> None:
    environment.prepare(place, Recorder())
    monkeypatch.setattr(sys, "version", "3.99.0 (another)")
    run = Recorder()
    environment.prepare(place, run)
    assert run.kinds[0] == "venv"


def test_a_lost_interpreter_makes_it_anew(place: "environment.Place") -> None:
    environment.prepare(place, Recorder())
    place.python.unlink()
    run = Recorder()
    environment.prepare(place, run)
    assert run.kinds[0] == "venv"


@pytest.mark.parametrize(
    ("cut", "then"),
    [
        ("-m venv", ["venv", "look", "lock", "project"]),
        ("--require-hashes", ["venv", "look", "lock", "project"]),
        ("--editable", ["project"]),
    ],
)
def test_an_interrupted_setup_is_finished_by_the_next(
    place: "environment.Place", cut: str, then: list[str]
) -> None:
    run = Recorder(failing=cut)
    run.raising = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        environment.prepare(place, run)
    again = Recorder()
    environment.prepare(place, again)
    assert again.kinds == then
    final = Recorder()
    environment.prepare(place, final)
    assert final.commands == []


def test_an_interrupted_update_is_not_taken_for_the_old_state(place: "environment.Place") -> None:
    environment.prepare(place, Recorder())
    old = place.lock.read_text()
    place.lock.write_text("one==2\n")
    with pytest.raises(environment.SetupFailed):
        environment.prepare(place, Recorder(failing="--require-hashes"))
    place.lock.write_text(old)
    run = Recorder()
    environment.prepare(place, run)
    assert run.kinds == ["venv", "look", "lock", "project"]


@pytest.mark.parametrize(
    ("failing", "said"),
    [
        ("-m venv", "python3-venv"),
        ("import pip", "has no pip"),
        ("--require-hashes", "Nothing outside that folder was changed"),
    ],
)
def test_a_failure_says_what_to_do(place: "environment.Place", failing: str, said: str) -> None:
    with pytest.raises(environment.SetupFailed, match=said):
        environment.prepare(place, Recorder(failing=failing))


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_a_python_without_venv_is_named_with_the_package_to_install(
    place: "environment.Place", monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == module else found(name)
    )
    run = Recorder()
    with pytest.raises(environment.SetupFailed, match="apt install python3-venv") as caught:
        environment.prepare(place, run)
    assert f"'{module}' is missing" in str(caught.value)
    assert run.commands == []


def test_two_setups_at_once_wait_for_each_other(
    place: "environment.Place", capsys: pytest.CaptureFixture[str]
) -> None:
    inside, go_on, waiting = threading.Event(), threading.Event(), threading.Event()
    first, second = Recorder(), Recorder()

    def slow(command: Sequence[str]) -> int:
        inside.set()
        assert go_on.wait(WAIT_S)
        return first(command)

    one = threading.Thread(target=environment.prepare, args=(place, slow))
    two = threading.Thread(target=environment.prepare, args=(place, second))
    one.start()
    assert inside.wait(WAIT_S)
    said, environment._say = environment._say, lambda text: waiting.set()
    try:
        two.start()
        assert waiting.wait(WAIT_S)
        go_on.set()
        one.join(WAIT_S)
        two.join(WAIT_S)
    finally:
        environment._say = said
    assert first.kinds == ["venv", "look", "lock", "project"]
    assert second.commands == []
    assert capsys.readouterr().out == ""


def test_the_command_sees_the_environment_first(place: "environment.Place") -> None:
    inherited = {"PATH": "/usr/bin", "PYTHONPATH": "x", "PYTHONHOME": "y", "LANG": "C"}
    seen = environment.command_environment(place, inherited)
    assert seen == {
        "PATH": f"{place.directory}/bin:/usr/bin",
        "LANG": "C",
        "VIRTUAL_ENV": str(place.directory),
    }
    assert environment.command_environment(place, {})["PATH"] == f"{place.directory}/bin"


def run_script(arguments: list[str], cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-B", cwd / "scripts" / "environment.py", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def ready(place: "environment.Place") -> Path:
    """A checkout whose environment is set up already, with this interpreter in it."""
    scripts = place.root / "scripts"
    scripts.mkdir()
    (scripts / "environment.py").write_bytes(SCRIPT.read_bytes())
    environment.prepare(place, Recorder())
    place.python.unlink()
    place.python.symlink_to(sys.executable)
    return place.root


def test_the_command_runs_in_the_checkout_and_its_status_is_kept(ready: Path) -> None:
    code = "import os, sys; print(os.getcwd()); sys.exit(7)"
    done = run_script(["test", "--", "python", "-c", code], ready)
    assert (done.returncode, done.stdout) == (7, f"{ready.resolve()}\n")


def test_an_unknown_command_is_named(ready: Path) -> None:
    done = run_script(["test", "--", "no-such-program"], ready)
    assert done.returncode == 127
    assert "no-such-program" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["test"], ["test", "python"], ["other", "--", "python"]])
def test_wrong_arguments_show_the_usage(ready: Path, arguments: list[str]) -> None:
    done = run_script(arguments, ready)
    assert done.returncode == 2
    assert done.stderr.startswith("usage:")


def test_a_missing_lock_fails_with_a_name(ready: Path) -> None:
    (ready / "locks" / "test.txt").unlink()
    done = run_script(["test", "--", "python"], ready)
    assert done.returncode == 1
    assert "locks/test.txt" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("script", ["up", "test", "check"])
def test_each_script_is_one_line_of_work(script: str) -> None:
    lines = (ROOT / "scripts" / script).read_text().splitlines()
    assert lines[0] == "#!/bin/sh"
    assert len(lines) == 2
    assert os.access(ROOT / "scripts" / script, os.X_OK)


def test_ci_calls_the_test_command_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert lines == ["#!/bin/sh", 'exec "$(dirname "$0")/../scripts/test"']
