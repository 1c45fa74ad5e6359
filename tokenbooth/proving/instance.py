"""A private instance in a directory of its own, started and watched from outside."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from tokenbooth.config import Settings, load_settings
from tokenbooth.control.instance import MAIN_REPLICA
from tokenbooth.proving.child import clean_environment, own_command
from tokenbooth.proving.client import Address
from tokenbooth.proving.replica import READY_WAIT_S, InstanceFault, Replica, is_ready

__all__ = ["InstanceFault", "PrivateInstance", "is_ready"]

COMMAND_WAIT_S = 120


class PrivateInstance:
    """``with PrivateInstance(directory) as instance``: made on entering, ended on every way out.

    ``settings`` are by their names, such as ``edge.drain_max_s``. ``replicas`` server processes
    share the directory and the store; what is said of the instance itself is said of all of them,
    or of the first where there can be only one. ``serve`` is the
    command of its servers where it is not the product's own.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        store_url: str | None = None,
        settings: Mapping[str, str] | None = None,
        replicas: int = 1,
        first: str = MAIN_REPLICA,
        serve: Sequence[str] | None = None,
    ) -> None:
        self.data_dir = data_dir
        chosen = {"edge.host": "127.0.0.1", "edge.port": "0", **(settings or {})}
        if store_url is not None:
            chosen["store.url"] = store_url
        self.variables = {
            f"TOKENBOOTH_{name.replace('.', '__')}".upper(): value for name, value in chosen.items()
        }
        self._environ = clean_environment(self.variables)
        data_dir.mkdir(parents=True, exist_ok=True)
        names = [first, *(f"r{number}" for number in range(2, replicas + 1))]
        self.replicas = tuple(Replica(data_dir, self._environ, name, serve) for name in names)

    def __enter__(self) -> "PrivateInstance":
        self.command("init")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int | None:
        return self.replicas[0].pid

    @property
    def running(self) -> bool:
        """Whether one of its processes runs."""
        return any(replica.running for replica in self.replicas)

    @property
    def log_path(self) -> Path:
        return self.replicas[0].log_path

    def start(self, within_s: int = READY_WAIT_S) -> Address:
        """Serve, and wait until every process is ready; the first one's address.

        Raises InstanceFault.
        """
        for replica in self.replicas:
            replica.launch()
        addresses = [replica.wait_ready(within_s) for replica in self.replicas]
        return addresses[0]

    def stop(self, within_s: int = 40) -> int | None:
        """Send SIGTERM to each in turn; the first exit status that is not 0, else 0."""
        statuses = [replica.stop(within_s) for replica in self.replicas]
        return next((status for status in statuses if status != 0), 0)

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        for replica in self.replicas:
            replica.kill()

    def log_tail(self) -> str:
        return "\n".join(replica.log_tail() for replica in self.replicas)

    def settings(self) -> Settings:
        """Its settings, read the way it reads them itself, for work on it from this process."""
        return load_settings(
            self.data_dir, {**self.variables, "TOKENBOOTH_LOG__LEVEL": "error"}
        ).settings

    def command(self, *arguments: str) -> dict[str, object]:
        """Run one command of the product on this directory and read its JSON document.

        Raises InstanceFault when it fails, as with exit status 1.
        """
        status, document, said = self.command_status(*arguments)
        if status != 0:
            raise InstanceFault(f"`tokenbooth {' '.join(arguments)}` exited {status}.\n{said}")
        return document

    def command_status(self, *arguments: str) -> tuple[int, dict[str, object], str]:
        """The exit status, the JSON document if there is one, and what stood on stderr."""
        command = own_command(*arguments, "--json", "--data-dir", str(self.data_dir))
        try:
            done = subprocess.run(  # noqa: S603  our own interpreter
                command,
                env=self._environ,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=COMMAND_WAIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise InstanceFault(f"`tokenbooth {' '.join(arguments)}` did not end.") from error
        said = done.stderr.decode("utf-8", "replace")
        try:
            found = json.loads(done.stdout)
        except ValueError:
            found = {}
        return done.returncode, found if isinstance(found, dict) else {"data": found}, said
