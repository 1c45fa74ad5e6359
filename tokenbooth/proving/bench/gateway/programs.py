"""The mock upstream and the caller, two small C programs: built, started, and what they say.

They are built in the run's own directory with the machine's compiler, in about a second: nothing
stays behind, and no old build can be taken for a new one.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.proving.instance import InstanceFault

SOURCES = Path(__file__).parent
COMPILERS = ("cc", "gcc", "clang")
BUILD_WAIT_S = 60
SPARE_WAIT_S = 20
PATIENCE_MS = 30_000


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the two were built."""

    mock: Path
    load: Path


def build(folder: Path, compilers: Sequence[str] = COMPILERS) -> Programs:
    """Raises Problem STATE_CONFLICT where no compiler is, or it fails."""
    compiler = next((path for name in compilers if (path := shutil.which(name))), None)
    if compiler is None:
        raise Problem(
            Code.STATE_CONFLICT,
            "No C compiler was found, and the caller and the upstream of this benchmark are two "
            "small C programs. Install one, such as `apt-get install gcc libc6-dev`.",
        )
    made = Programs(folder / "mock", folder / "load")
    for program in (made.mock, made.load):
        source = SOURCES / f"{program.name}.c"
        done = subprocess.run(  # noqa: S603  the compiler of this machine, on our own source
            [compiler, "-O2", "-o", str(program), str(source)],
            capture_output=True,
            timeout=BUILD_WAIT_S,
            check=False,
        )
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip()[-600:]
            raise Problem(Code.STATE_CONFLICT, f"{compiler} cannot build {source.name}: {said}")
    return made


@contextmanager
def mock_upstream(programs: Programs) -> Iterator[int]:
    """Its port; gone at the end."""
    with subprocess.Popen([programs.mock], stdout=subprocess.PIPE) as running:  # noqa: S603
        try:
            assert running.stdout is not None, "it was asked for"
            yield int(running.stdout.readline().split()[1])
        finally:
            running.kill()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadAsk:
    """One load: see ``load.c``. ``requests`` are files; ``end`` stands at the end of an answer."""

    mode: str
    port: int
    requests: tuple[Path, ...]
    end: str
    connections: int
    steps: int = 1
    rate: int = 0
    stagger_ms: int = 0
    warm_ms: int = 0
    window_ms: int = 0
    patience_ms: int = PATIENCE_MS
    watch: tuple[int, ...] = ()

    def words(self) -> list[str]:
        """As they stand on its command line."""
        numbers = ("port", "connections", "steps", "rate", "stagger_ms", "warm_ms", "window_ms")
        return [
            f"mode={self.mode}",
            f"end={self.end}",
            f"request={','.join(map(str, self.requests))}",
            f"watch={','.join(map(str, self.watch))}",
            *(f"{name}={getattr(self, name)}" for name in (*numbers, "patience_ms")),
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSaid:
    """What the caller counted; ``ran_ns``, and ``waited_ns`` for a core, by process number."""

    wall_ns: int
    answers: int
    answers_all: int
    failed: int
    held: int
    chunks: int
    reads: int
    failure: str
    ran_ns: Mapping[int, int]
    waited_ns: Mapping[int, int]
    first_us: tuple[int, ...]
    whole_us: tuple[int, ...]


def load_said(text: bytes) -> LoadSaid:
    """From its document. Raises InstanceFault when it is none."""
    try:
        found = json.loads(text)
        for name in ("ran_ns", "waited_ns"):
            found[name] = {int(pid): int(ns) for pid, ns in found[name].items()}
        for name in ("first_us", "whole_us"):
            found[name] = tuple(found[name])
        return LoadSaid(**found)
    except (ValueError, KeyError, TypeError) as error:
        raise InstanceFault(f"The caller said nothing that can be read: {text[:200]!r}") from error


def run_load(programs: Programs, ask: LoadAsk) -> LoadSaid:
    """One load from its beginning to its end. Raises InstanceFault, and TimeoutExpired."""
    length_ms = ask.stagger_ms + ask.warm_ms + ask.window_ms + ask.patience_ms
    done = subprocess.run(  # noqa: S603  our own program
        [programs.load, *ask.words()],
        capture_output=True,
        timeout=length_ms / 1000 + SPARE_WAIT_S,
        check=False,
    )
    if done.returncode != 0:
        raise InstanceFault(f"The caller failed: {done.stderr.decode('utf-8', 'replace')}")
    return load_said(done.stdout)


class HeldStreams:
    """``with HeldStreams(...) as held``: ``count`` streams are open until the end of the block."""

    def __init__(self, programs: Programs, ask: LoadAsk) -> None:
        self._command = [str(programs.load), *ask.words()]
        self.count = 0
        self.said: LoadSaid | None = None

    def __enter__(self) -> "HeldStreams":
        self._running = subprocess.Popen(  # noqa: S603  our own program
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        line = _pipe(self._running.stdout).readline().split()
        self.count = int(line[1]) if line[:1] == [b"held"] else 0
        return self

    def __exit__(self, *ignored: object) -> None:
        try:
            out, _ = self._running.communicate(timeout=SPARE_WAIT_S)
            self.said = load_said(out)
        finally:
            self._running.kill()
            self._running.wait()


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None, "it was asked for"
    return stream
