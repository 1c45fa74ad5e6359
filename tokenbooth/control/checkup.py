"""What an operator should look at before customers do: one finding for each part of a booth."""

import importlib.metadata
import socket
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenbooth.control.instance import InstancePaths
from tokenbooth.core.problem import Problem
from tokenbooth.engines.choose import choose, installed
from tokenbooth.store.migrate import schema_revision
from tokenbooth.store.options import StoreOptions
from tokenbooth.store.revision import HEAD

PYTHON_MIN = (3, 11)
EXTRAS = {"asyncpg": "tokenbooth[postgres]", "openai": "tokenbooth[openai]"}
OTHERS_MASK = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Finding:
    """``cure`` is a command or an action; it is empty where nothing is wrong."""

    name: str
    ok: bool
    text: str
    cure: str = ""


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    shown = ".".join(map(str, version))
    ok = version >= PYTHON_MIN
    return Finding("python", ok, shown, "" if ok else "Use Python 3.11 or newer.")


def check_packages(is_installed: Callable[[str], bool] = installed) -> Iterator[Finding]:
    """One engine at least; the other extras are told, and missing ones are no fault."""
    try:
        engine = choose(is_installed=is_installed)
    except Problem as problem:
        yield Finding("engine", ok=False, text="none is installed", cure=problem.public)
    else:
        yield Finding("engine", ok=True, text=f"{engine.name} ({engine.module})")
    for module, extra in EXTRAS.items():
        text = "installed" if is_installed(module) else f"absent (pip install '{extra}')"
        yield Finding(module, ok=True, text=text)


def check_directory(data_dir: Path) -> Iterator[Finding]:
    """The secrets must be the owner's alone, and so should the directory."""
    paths = InstancePaths(data_dir)
    if not paths.pepper.is_file():
        yield Finding(
            "data directory", ok=False, text=f"{data_dir} holds no booth", cure="tokenbooth init"
        )
        return
    secrets = (paths.pepper, paths.sealing_key, paths.receipts_key, paths.up_key)
    for path in (data_dir, paths.secrets, *secrets):
        if path.exists():
            yield _mode_finding(path)


def check_schema_of(store: StoreOptions) -> Finding:
    try:
        found = schema_revision(store)
    except Problem as problem:
        return Finding("schema", ok=False, text=problem.public, cure=problem.code.value.cure)
    ok = found == HEAD
    cure = "" if ok else ("tokenbooth init" if found is None else "tokenbooth migrate")
    return Finding("schema", ok, f"{found or 'none'}, this program needs {HEAD}", cure)


def check_port(host: str, port: int) -> Finding:
    """Whether the configured port could be listened on now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            text = f"{host}:{port}: {error.strerror}"
            return Finding("port", ok=False, text=text, cure="Free the port, or set edge.port.")
    return Finding("port", ok=True, text=f"{host}:{port} is free")


def check_path_files(folders: Iterable[str] | None = None) -> Finding:
    """``.pth`` files run code at every start of Python: each should belong to a package."""
    own = set(sys.path if folders is None else folders)
    known = _owned_path_files() if folders is None else frozenset()
    strays = sorted(
        str(path)
        for folder in own
        if folder and Path(folder).is_dir()
        for path in Path(folder).glob("*.pth")
        if path.resolve() not in known
    )
    if not strays:
        return Finding("pth files", ok=True, text="all belong to installed packages")
    cure = "Look into each; delete what no package of yours put there."
    return Finding("pth files", ok=False, text=", ".join(strays), cure=cure)


def findings_json(findings: Sequence[Finding]) -> dict[str, object]:
    return {
        "ok": all(finding.ok for finding in findings),
        "findings": [
            {"name": f.name, "ok": f.ok, "text": f.text, "cure": f.cure or None} for f in findings
        ],
    }


def _mode_finding(path: Path) -> Finding:
    mode = stat.S_IMODE(path.stat().st_mode)
    ok = not mode & OTHERS_MASK
    cure = "" if ok else f"chmod go= {path}"
    return Finding(f"mode of {path.name}", ok, f"{mode:04o}", cure)


def _owned_path_files() -> frozenset[Path]:
    return frozenset(
        Path(str(distribution.locate_file(file))).resolve()
        for distribution in importlib.metadata.distributions()
        for file in distribution.files or ()
        if file.suffix == ".pth"
    )
