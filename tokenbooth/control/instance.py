"""Where everything of one instance lies, and the secrets that it was made with.

The directory holds ``tokenbooth.toml``, the embedded database, ``weights/`` and ``secrets/``.
"""

from dataclasses import dataclass, field
from pathlib import Path

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

SECRET_BYTES = 32
MAIN_REPLICA = "main"
CONFIG_NAME = "tokenbooth.toml"


@dataclass(frozen=True, slots=True)
class InstancePaths:
    """Where everything of one instance lies."""

    data_dir: Path

    @property
    def config(self) -> Path:
        return self.data_dir / CONFIG_NAME

    @property
    def launch_policy(self) -> Path:
        """The operator's own gates; without it those of the product count."""
        return self.data_dir / "launch-policy.toml"

    @property
    def secrets(self) -> Path:
        return self.data_dir / "secrets"

    @property
    def pepper(self) -> Path:
        return self.secrets / "pepper"

    @property
    def sealing_key(self) -> Path:
        return self.secrets / "sealing.key"

    @property
    def receipts_key(self) -> Path:
        """What receipts are signed with; made at the first need."""
        return self.secrets / "receipts.key"

    @property
    def up_key(self) -> Path:
        """The key that ``up`` made, kept so that it can print the same call again."""
        return self.secrets / "up.key"

    @property
    def weights(self) -> Path:
        return self.data_dir / "weights"

    def running(self, replica: str = MAIN_REPLICA) -> Path:
        """Who serves this directory at the moment under that name; locked while it is served."""
        where = self.data_dir if replica == MAIN_REPLICA else self.replica(replica)
        return where / "serving.json"

    @property
    def replicas(self) -> Path:
        return self.data_dir / "replicas"

    def replica(self, name: str) -> Path:
        """What belongs to one gateway process."""
        return self.replicas / name

    def journal(self, replica: str) -> Path:
        """What that process has charged and the ledger may not know yet."""
        return self.replica(replica) / "journal"


@dataclass(frozen=True, slots=True)
class InstanceSecrets:
    """``pepper`` keys the hashes of API keys; ``sealing_key`` encrypts upstream credentials."""

    pepper: bytes = field(repr=False)
    sealing_key: bytes = field(repr=False)


def read_secrets(data_dir: Path) -> InstanceSecrets:
    """Raises Problem STATE_CONFLICT when the instance was not set up, or a secret was cut."""
    paths = InstancePaths(data_dir)
    return InstanceSecrets(read_secret(paths.pepper), read_secret(paths.sealing_key))


def is_initialized(data_dir: Path) -> bool:
    """Whether ``init_instance`` ran here."""
    paths = InstancePaths(data_dir)
    return paths.pepper.is_file() and paths.sealing_key.is_file()


def read_secret(path: Path) -> bytes:
    """Raises Problem STATE_CONFLICT when it is missing, unreadable, or was cut."""
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise Problem(
            Code.STATE_CONFLICT,
            f"{path} is missing: run `tokenbooth init`, or restore it from a backup.",
        ) from error
    except OSError as error:
        raise Problem(Code.STATE_CONFLICT, f"{path} cannot be read: {error.strerror}.") from error
    if len(content) != SECRET_BYTES:
        raise Problem(
            Code.STATE_CONFLICT,
            f"{path} holds {len(content)} bytes instead of {SECRET_BYTES}:"
            " restore it from a backup, or delete it if this booth never made a key.",
        )
    return content
