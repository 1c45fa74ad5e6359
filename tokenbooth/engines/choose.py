"""Which local engine this machine can run, and how to install it."""

import importlib.util
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem


@dataclass(frozen=True, slots=True)
class Machine:
    """What a wheel must fit; ``libc`` is ``glibc`` on most Linux, ``""`` elsewhere."""

    system: str
    machine: str
    libc: str
    python: tuple[int, int]


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """``name`` is the extra that installs it; ``machines`` are the (system, machine) pairs and
    ``python_max`` the last Python for which its pinned release has wheels."""

    name: str
    module: str
    machines: frozenset[tuple[str, str]]
    python_max: tuple[int, int]

    def fits(self, machine: Machine) -> bool:
        """Whether the package index has a wheel for ``machine``."""
        return (
            (machine.system, machine.machine) in self.machines
            and (machine.system != "linux" or machine.libc == "glibc")
            and machine.python <= self.python_max
        )


def install_command(*extras: str) -> str:
    """What to type so that this very Python has ``extras``."""
    return f"{sys.executable} -m pip install 'tokenbooth[{','.join(extras)}]'"


# Read off the file lists of openvino-genai 2026.4.1 and xllamacpp 2026.10.11549 (a stable-ABI
# wheel) on the package index.
EMBEDDED = LocalEngine(
    "embedded",
    "openvino_genai",
    frozenset({("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64")}),
    (3, 14),
)
LLAMACPP = LocalEngine("llamacpp", "xllamacpp", EMBEDDED.machines | {("darwin", "x86_64")}, (3, 99))
ENGINES: Sequence[LocalEngine] = (EMBEDDED, LLAMACPP)


def this_machine() -> Machine:
    return Machine(sys.platform, platform.machine(), platform.libc_ver()[0], sys.version_info[:2])


def installed(module: str) -> bool:
    """Whether ``module`` can be imported; it is not imported."""
    return importlib.util.find_spec(module) is not None


def choose(
    wanted: str | None = None,
    *,
    also: Sequence[str] = (),
    machine: Machine | None = None,
    is_installed: Callable[[str], bool] = installed,
) -> LocalEngine:
    """The installed engine: the ``wanted`` one, else the first of ``ENGINES``.

    Raises Problem INVALID_VALUE for an unknown name, and ENGINE_NOT_INSTALLED with the exact
    command that installs an engine which has a wheel for ``machine``, and the extras ``also``.
    """
    candidates = [engine for engine in ENGINES if wanted in (None, engine.name)]
    if not candidates:
        names = ", ".join(engine.name for engine in ENGINES)
        raise Problem(Code.INVALID_VALUE, f"engine must be one of: {names}.", param="engine")
    for engine in candidates:
        if is_installed(engine.module):
            return engine
    machine = machine or this_machine()
    for engine in candidates:
        if engine.fits(machine):
            raise Problem(
                Code.ENGINE_NOT_INSTALLED,
                f"No local engine is installed. Run: {install_command(engine.name, *also)}",
            )
    raise Problem(
        Code.ENGINE_NOT_INSTALLED,
        f"No local engine has a wheel for {machine.system} {machine.machine} with Python"
        f" {machine.python[0]}.{machine.python[1]}; serve a model of another server with"
        " `tokenbooth model add NAME --upstream URL`.",
    )
