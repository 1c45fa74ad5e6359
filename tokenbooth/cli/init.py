"""``tokenbooth init``: makes a data directory."""

from tokenbooth.cli.options import AsJson, DataDir
from tokenbooth.cli.output import emit, lines


def init(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Make the data directory, its secrets and its database; what exists is kept."""
    from tokenbooth.booth import SystemRandomness
    from tokenbooth.config import commented_defaults, load_settings
    from tokenbooth.control.setup import init_instance

    settings = load_settings(data_dir).settings
    report = init_instance(
        settings.data_dir, settings.store, commented_defaults(), SystemRandomness()
    )
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
