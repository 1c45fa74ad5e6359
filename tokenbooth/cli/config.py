"""``tokenbooth config``: what is set, and by what."""

from tokenbooth.cli.options import AsJson, DataDir, group
from tokenbooth.cli.output import emit, table

app = group("config", "Settings.")


@app.callback()
def config() -> None:
    """Settings: one TOML file, overruled by environment variables."""


@app.command("show")
def show(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Show every setting with its value and where it comes from."""
    from tokenbooth.config import load_settings, shown

    loaded = load_settings(data_dir)
    rows = list(shown(loaded))
    emit(
        {
            "data_dir": str(loaded.settings.data_dir),
            "settings": [
                {
                    "name": row.name,
                    "value": row.value,
                    "origin": row.origin.source.value,
                    "where": row.origin.where or None,
                    "text": row.text,
                }
                for row in rows
            ],
        },
        as_json=as_json,
        text=table(
            ("SETTING", "VALUE", "ORIGIN"), [(row.name, row.value, row.origin) for row in rows]
        ),
    )
