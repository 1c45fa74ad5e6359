"""Weights on this machine: pulling them with a progress bar, and looking at what is there."""

from pathlib import Path

from tokenbooth.catalog.weights import service as weights
from tokenbooth.cli.output import byte_progress
from tokenbooth.control.checkup import Finding
from tokenbooth.control.instance import InstancePaths


def pull_weights(name: str, directory: Path) -> Path:
    """The verified file; nothing is downloaded when it is there. Raises NAME_NOT_FOUND."""
    wanted = weights.known(name)
    with byte_progress(f"Pulling {name}") as progress:
        return weights.pull(wanted, directory, progress)


def weights_finding(data_dir: Path) -> Finding:
    """Each pulled file must be the pinned one; none at all is no fault."""
    directory = InstancePaths(data_dir).weights
    present = [known for known in weights.KNOWN.values() if (directory / known.file_name).exists()]
    broken = [known.name for known in present if weights.pulled(known, directory) is None]
    if broken:
        cure = f"tokenbooth model pull {broken[0]}"
        return Finding("weights", ok=False, text=f"changed or cut: {', '.join(broken)}", cure=cure)
    text = ", ".join(known.name for known in present) or "none pulled"
    return Finding("weights", ok=True, text=text)
