"""The real model that tests run: pulled once by the product itself, verified at each use."""

import os
import tempfile
from pathlib import Path

from tokenbooth.catalog.weights.service import known, pull

MODEL = "smollm2-135m"
TABLE = "potion-base-8m"


def cache_directory() -> Path:
    """A folder that outlives the checkout, else a temporary one of this user."""
    named = os.environ.get("TOKENBOOTH_TEST_CACHE") or os.environ.get("XDG_CACHE_HOME")
    home = Path(named) if named else Path.home() / ".cache"
    try:
        (home / "tokenbooth").mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.gettempdir()) / f"tokenbooth-{os.getuid()}"
    return home / "tokenbooth"


def smollm2() -> Path:
    """The verified GGUF; downloaded only when it is not there yet."""
    return pull(known(MODEL), cache_directory(), lambda _done, _total: None)


def potion() -> Path:
    """The verified archive with a real table of static embeddings."""
    return pull(known(TABLE), cache_directory(), lambda _done, _total: None)
