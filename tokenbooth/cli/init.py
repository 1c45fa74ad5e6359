"""``tokenbooth init``: makes a data directory."""

from tokenbooth.cli.options import AsJson, DataDir
from tokenbooth.cli.output import emit, lines


def init(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Make the data directory, its secrets and its database; what exists is kept."""
    from tokenbooth.cli.setup import set_up

    report = set_up(data_dir)
    made = ", ".join(report.created) or "nothing; all was there"
    emit(
        {
            "data_dir": str(report.data_dir),
            "created": list(report.created),
            "schema_revision": report.schema_revision,
        },
        as_json=as_json,
        text=lines(f"Booth in {report.data_dir}; made: {made}."),
    )
