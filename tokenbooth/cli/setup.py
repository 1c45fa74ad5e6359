"""Makes an instance from the settings that are in force."""

from pathlib import Path

from tokenbooth.boot import SystemRandomness
from tokenbooth.config import commented_defaults, load_settings
from tokenbooth.control.setup import InitReport, init_instance


def set_up(data_dir: Path | None) -> InitReport:
    """Idempotent. Raises STATE_CONFLICT when the directory cannot be written."""
    settings = load_settings(data_dir).settings
    return init_instance(
        settings.data_dir, settings.store, commented_defaults(), SystemRandomness()
    )
