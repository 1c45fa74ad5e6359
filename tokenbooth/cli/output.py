"""How a command speaks: one JSON document, or a readable text; errors and cures on stderr.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage of the command.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

EXIT_REFUSED = 1

Document = Mapping[str, object]


def stdout() -> Console:
    """Made anew for each use, so that a redirected stream is honoured. No markup, no highlight."""
    return Console(file=sys.stdout, markup=False, highlight=False, soft_wrap=True)


def stderr() -> Console:
    return Console(file=sys.stderr, markup=False, highlight=False, soft_wrap=True)


def emit(document: Document, *, as_json: bool, text: Callable[[Console], None]) -> None:
    """Write the result of a command to standard output."""
    if as_json:
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        sys.stdout.flush()
    else:
        text(stdout())


def write_text(path: Path, text: str) -> None:
    """A page or plot that was asked for. Raises STATE_CONFLICT where it cannot be written."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Problem(
            Code.STATE_CONFLICT, f"{path} cannot be written: {error.strerror}."
        ) from error


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Callable[[Console], None]:
    """Aligned columns that are never folded, so that an id can be copied; says so without rows."""

    def show(console: Console) -> None:
        if not rows:
            console.print("None.")
            return
        cells = [[cell_text(cell) for cell in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
        console.print(Text(_aligned(columns, widths), style="bold"))
        for row in cells:
            console.print(Text(_aligned(row, widths)))

    return show


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    pairs = zip(cells, widths, strict=True)
    return "  ".join(cell.ljust(width) for cell, width in pairs).rstrip()


def lines(*texts: str) -> Callable[[Console], None]:
    """Plain lines."""

    def show(console: Console) -> None:
        for text in texts:
            console.print(Text(text))

    return show


def cell_text(cell: object) -> str:
    """Absent is a dash; control characters never reach a terminal."""
    text = "-" if cell is None else str(cell)
    return "".join(c if c.isprintable() else "?" for c in text)


def refuse(problem: Problem, *, as_json: bool) -> int:
    """Say what went wrong and how to cure it, in one line each; returns the exit code."""
    if as_json:
        error = {
            "code": problem.code.text,
            "kind": problem.kind.value,
            "message": problem.public,
            "param": problem.param,
            "detail": problem.detail or None,
            "cure": problem.code.value.cure,
            **problem.facts,
        }
        sys.stdout.write(json.dumps({"error": error}, indent=2) + "\n")
    console = stderr()
    console.print(Text(f"error: {cell_text(problem.public)}", style="red"))
    if problem.detail:
        console.print(Text(f"detail: {cell_text(problem.detail)}"))
    if problem.code is not Code.STATE_CONFLICT:  # its message names the cure itself
        console.print(Text(f"cure: {problem.code.value.cure}"))
    return EXIT_REFUSED


@contextmanager
def step_progress() -> Iterator[Callable[[str, int, int], None]]:
    """Named stages with counts on standard error, and only on a terminal."""
    console = stderr()
    if not console.is_terminal:
        yield lambda _stage, _done, _total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("", total=None)
        yield lambda stage, done, total: progress.update(
            bar, description=stage, completed=done, total=total or None
        )


@contextmanager
def byte_progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar of bytes on standard error, and only on a terminal."""
    console = stderr()
    if not console.is_terminal:
        yield lambda _done, _total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total or None)
