"""Which local engine a command uses."""

from tokenbooth.catalog.models.service import EngineKind
from tokenbooth.engines.choose import choose


def local_engine(name: str | None) -> EngineKind:
    """The named engine, or the first one that is installed.

    Raises INVALID_VALUE for another name, ENGINE_NOT_INSTALLED with the command that installs one.
    """
    return EngineKind(choose(name).name)
