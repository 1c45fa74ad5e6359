"""``tokenbooth migrate``, ``backup`` and ``restore``: the database as a whole."""

from pathlib import Path
from typing import Annotated

import typer

from tokenbooth.cli.options import AsJson, DataDir, Yes
from tokenbooth.cli.output import emit, lines

Copy = Annotated[Path, typer.Argument(help="File of the copy.", dir_okay=False)]


def migrate(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Bring the schema up to date; a copy is made first."""
    from tokenbooth.booth import SystemClock
    from tokenbooth.config import load_settings
    from tokenbooth.control.backup import migrate_safely

    settings = load_settings(data_dir).settings
    report = migrate_safely(settings.data_dir, settings.store, SystemClock().now_us())
    unchanged = report.before == report.after
    emit(
        {
            "before": report.before,
            "after": report.after,
            "backup": None if report.backup is None else str(report.backup),
        },
        as_json=as_json,
        text=lines(
            f"Schema {report.after}, unchanged."
            if unchanged
            else f"Schema {report.before} became {report.after}; copy: {report.backup}."
        ),
    )


def backup(path: Copy, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Write a consistent copy of the database, also while the booth serves.

    The files in secrets/ are not in it. Keep them too: without them no key works again.
    """
    from tokenbooth.config import load_settings
    from tokenbooth.control.backup import back_up

    target = back_up(load_settings(data_dir).settings.store, path)
    size = target.stat().st_size
    emit(
        {"path": str(target), "bytes": size},
        as_json=as_json,
        text=lines(f"{target}: {size} bytes. Keep secrets/ too: it is not in this file."),
    )


def restore(
    path: Copy, yes: Yes = False, as_json: AsJson = False, data_dir: DataDir = None
) -> None:
    """Replace the database by a copy. The booth must not be serving."""
    from tokenbooth.config import load_settings
    from tokenbooth.control.backup import restore as restore_copy
    from tokenbooth.core.codes import Code
    from tokenbooth.core.problem import Problem

    settings = load_settings(data_dir).settings
    if not yes:
        raise Problem(
            Code.STATE_CONFLICT,
            f"This replaces everything in {settings.data_dir}. Confirm it with --yes.",
        )
    source = restore_copy(settings.data_dir, settings.store, path)
    emit({"restored": str(source)}, as_json=as_json, text=lines(f"Restored from {source}."))
