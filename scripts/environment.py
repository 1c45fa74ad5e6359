"""Prepare a private virtual environment from a hashed lock file, then run a command in it.

    python3 scripts/environment.py NAME -- COMMAND [ARGUMENT ...]

``NAME`` is ``up`` (what the product needs) or ``test`` (what its checks need): the environment
lives in ``.venv-NAME`` and holds exactly ``locks/NAME.txt`` and this checkout. Only the standard
library is used. When nothing changed since the last time, no other program runs before COMMAND.

An interrupted setup is finished by the next call; two calls at once wait for each other.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - says so instead of failing on newer syntax
    sys.exit(
        f"Tokenbooth needs Python 3.11 or newer and found {sys.version.split()[0]}"
        f" at {sys.executable}.\nPut a newer python3 first on PATH."
    )

import fcntl
import hashlib
import importlib.util
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NAMES = ("up", "test")
RUNS_IN_CHECKOUT = "test"
USAGE = "usage: environment.py up|test -- COMMAND [ARGUMENT ...]"
NO_VENV = (
    "This Python ({python}) cannot create virtual environments: its module '{module}' is missing.\n"
    "On Debian and Ubuntu install the package python3-venv (apt install python3-venv);\n"
    "elsewhere use a Python from python.org, pyenv or uv (uv python install)."
)
NO_PIP = (
    "The new environment {directory} has no pip. The python3 on PATH ({python}) was built without\n"
    "it; put a Python with ensurepip first on PATH."
)
INSTALL_FAILED = (
    "Setting up {directory} failed (see above). Python {version} on {platform} was used.\n"
    "Nothing outside that folder was changed; the next call starts again."
)

Runner = Callable[[Sequence[str]], int]


class SetupFailed(Exception):
    """The environment cannot be made; the text says what to change."""


@dataclass(frozen=True)
class Place:
    """One environment of one checkout."""

    root: Path
    name: str

    @property
    def directory(self) -> Path:
        return self.root / f".venv-{self.name}"

    @property
    def lock(self) -> Path:
        return self.root / "locks" / f"{self.name}.txt"

    @property
    def python(self) -> Path:
        return self.directory / "bin" / "python"

    def packages_key(self) -> str:
        """Changes when the installed packages would: the lock, this Python, or the location."""
        return _digest(
            self.lock.read_bytes(),
            sys.version.encode(),
            os.fsencode(sys.base_prefix),
            os.fsencode(self.directory),
        )

    def project_key(self) -> str:
        """Changes when only this checkout has to be installed again."""
        return _digest((self.root / "pyproject.toml").read_bytes())


def _digest(*parts: bytes) -> str:
    state = hashlib.sha256()
    for part in parts:
        state.update(len(part).to_bytes(8, "big") + part)
    return state.hexdigest()


def run_command(command: Sequence[str]) -> int:
    """Run a command with its output on our error stream, so that COMMAND's own output stays pure.

    PYTHONPATH and PYTHONHOME would leak another installation into the new one.
    """
    kept = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "PYTHONHOME"}}
    return subprocess.run(command, env=kept, stdout=sys.stderr, check=False).returncode


def prepare(place: Place, run: Runner = run_command) -> None:
    """Bring the environment to the lock file. Raises SetupFailed."""
    for file in (place.lock, place.root / "pyproject.toml"):
        if not file.is_file():
            raise SetupFailed(f"{file} is missing; this is not a whole checkout.")
    if _is_current(place):
        return
    with _alone(place.directory):
        if _is_current(place):
            return
        if _stamp(place, "packages") != place.packages_key() or not place.python.exists():
            _install_packages(place, run)
        _install_project(place, run)


def _is_current(place: Place) -> bool:
    return (
        _stamp(place, "packages") == place.packages_key()
        and _stamp(place, "project") == place.project_key()
        and place.python.exists()
    )


def _stamp(place: Place, name: str) -> str:
    try:
        return (place.directory / f"{name}.stamp").read_text()
    except OSError:
        return ""


def _write_stamp(place: Place, name: str, key: str) -> None:
    """Written after the work it stands for, in one step, so that a cut never leaves a false one."""
    target = place.directory / f"{name}.stamp"
    partial = target.with_suffix(".partial")
    partial.write_text(key)
    partial.replace(target)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Hold the folder's own lock; the system drops it when the holder dies."""
    directory.mkdir(exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say(f"Waiting for another setup of {directory.name} ...")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _install_packages(place: Place, run: Runner) -> None:
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            raise SetupFailed(NO_VENV.format(python=sys.executable, module=module))
    _say(
        f"Setting up {place.directory.name} from locks/{place.lock.name} (the first time only) ..."
    )
    _empty(place.directory)
    if run([sys.executable, "-m", "venv", str(place.directory)]) != 0:
        raise SetupFailed(NO_VENV.format(python=sys.executable, module="venv"))
    if run([str(place.python), "-c", "import pip"]) != 0:
        raise SetupFailed(NO_PIP.format(directory=place.directory, python=sys.executable))
    _pip(place, run, "--require-hashes", "--requirement", str(place.lock))
    _write_stamp(place, "packages", place.packages_key())


def _install_project(place: Place, run: Runner) -> None:
    """The build tools come from the lock, so nothing unhashed is downloaded for the build."""
    (place.directory / "project.stamp").unlink(missing_ok=True)
    _pip(place, run, "--no-deps", "--no-build-isolation", "--editable", str(place.root))
    _write_stamp(place, "project", place.project_key())


def _pip(place: Place, run: Runner, *arguments: str) -> None:
    """Progress is shown to a person at a terminal and not written to logs."""
    options = ["--disable-pip-version-check", "--no-input", "--no-user"]
    if not sys.stderr.isatty():
        options.append("--quiet")
    if run([str(place.python), "-m", "pip", "install", *options, *arguments]) != 0:
        raise SetupFailed(
            INSTALL_FAILED.format(
                directory=place.directory, version=sys.version.split()[0], platform=sys.platform
            )
        )


def _empty(directory: Path) -> None:
    """Remove the content and keep the folder, because its lock is held; stamps go first."""
    for entry in sorted(directory.iterdir(), key=lambda path: path.suffix != ".stamp"):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def command_environment(place: Place, inherited: dict[str, str]) -> dict[str, str]:
    """What COMMAND sees: the environment's programs first, as after ``activate``."""
    seen = {k: v for k, v in inherited.items() if k not in {"PYTHONPATH", "PYTHONHOME"}}
    seen["VIRTUAL_ENV"] = str(place.directory)
    seen["PATH"] = os.pathsep.join(
        filter(None, [str(place.directory / "bin"), inherited.get("PATH", "")])
    )
    return seen


def main(arguments: Sequence[str]) -> int:
    """Prepare, then become COMMAND; returns only where that was impossible."""
    if len(arguments) < 3 or arguments[0] not in NAMES or arguments[1] != "--":
        _say(USAGE)
        return 2
    place = Place(Path(__file__).resolve().parent.parent, arguments[0])
    try:
        prepare(place)
    except SetupFailed as problem:
        _say(str(problem))
        return 1
    except KeyboardInterrupt:
        _say("\nInterrupted; the next call finishes the setup.")
        return 130
    return become(place, list(arguments[2:]))


def become(place: Place, command: list[str]) -> int:
    """Replace this process by COMMAND; returns only when there is no such program."""
    seen = command_environment(place, dict(os.environ))
    program = shutil.which(command[0], path=seen["PATH"])
    if program is None:
        _say(f"No such command in {place.directory.name}: {shlex.quote(command[0])}")
        return 127
    if place.name == RUNS_IN_CHECKOUT:
        os.chdir(place.root)
    return os.execve(program, command, seen)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
