"""``tokenbooth doctor``: looks at everything that a booth stands on."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tokenbooth.cli.options import AsJson, DataDir
from tokenbooth.cli.output import EXIT_REFUSED, emit, table

if TYPE_CHECKING:
    from tokenbooth.config import Settings
    from tokenbooth.control.checkup import Finding


def doctor(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Check Python, packages, weights, file modes, schema, books and the port."""
    from tokenbooth.config import load_settings
    from tokenbooth.control.checkup import findings_json

    found = list(_findings(load_settings(data_dir).settings))
    emit(
        findings_json(found),
        as_json=as_json,
        text=table(
            ("", "WHAT", "FOUND", "CURE"),
            [("ok" if f.ok else "!!", f.name, f.text, f.cure) for f in found],
        ),
    )
    if not all(finding.ok for finding in found):
        raise typer.Exit(EXIT_REFUSED)


def _findings(settings: "Settings") -> Iterator["Finding"]:
    from tokenbooth.cli.weights import weights_finding
    from tokenbooth.control import checkup
    from tokenbooth.control.instance import is_initialized
    from tokenbooth.control.serving import serving_now

    yield checkup.check_python()
    yield from checkup.check_packages()
    yield from checkup.check_directory(settings.data_dir)
    yield weights_finding(settings.data_dir)
    schema = checkup.check_schema_of(settings.store)
    yield schema
    if schema.ok and is_initialized(settings.data_dir):
        yield _books(settings.data_dir)
    serving = serving_now(settings.data_dir)
    if serving is None:
        yield checkup.check_port(settings.edge.host, settings.edge.port)
    else:
        yield checkup.Finding("port", ok=True, text=f"served by us at {serving.base_url}")
    yield checkup.check_path_files()


def _books(data_dir: Path) -> "Finding":
    from tokenbooth.cli.booth import read
    from tokenbooth.control import reports
    from tokenbooth.control.checkup import Finding

    found = read(data_dir, lambda _booth, op, tx: reports.verification(op, tx))
    ok = reports.is_sound(found)
    text = "sound" if ok else "; ".join(found.problems) or "the sums differ"
    return Finding("ledger", ok, text, "" if ok else "tokenbooth ledger verify")
