"""Which local engine a command uses."""

from collections.abc import Sequence

from tokenbooth.catalog.models.service import EngineKind
from tokenbooth.engines.choose import choose


def local_engine(name: str | None, also: Sequence[str] = ()) -> EngineKind:
    """The named engine, or the first one that is installed.

    Raises INVALID_VALUE for another name, ENGINE_NOT_INSTALLED with the command that installs one
    and the extras ``also``.
    """
    return EngineKind(choose(name, also=also).name)
