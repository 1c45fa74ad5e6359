"""A private instance in a directory of its own, started and watched from outside."""

import json
import subprocess
import time
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType

from tokenbooth.config import Settings, load_settings
from tokenbooth.control.serving import serving_now
from tokenbooth.proving.child import Child, clean_environment, own_command
from tokenbooth.proving.client import Address

READY_WAIT_S = 60
COMMAND_WAIT_S = 120
POLL_S = 0.05
ANSWER_WAIT_S = 5


class InstanceFault(Exception):
    """The instance did not do what was asked; the text holds the end of its log."""


class PrivateInstance:
    """``with PrivateInstance(directory) as instance``: made on entering, ended on every way out.

    ``settings`` are by their names, such as ``edge.drain_max_s``. Started and killed as often as
    wanted; the port is another after each start.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        store_url: str | None = None,
        settings: Mapping[str, str] | None = None,
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
        command = own_command("serve", "--data-dir", str(data_dir))
        self._child = Child(command, data_dir / "serve.log", self._environ)

    def __enter__(self) -> "PrivateInstance":
        self.command("init")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._child.kill()

    @property
    def pid(self) -> int | None:
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child.running

    @property
    def log_path(self) -> Path:
        return self.data_dir / "serve.log"

    def start(self, within_s: int = READY_WAIT_S) -> Address:
        """Serve, and wait for ``/readyz``. Raises InstanceFault."""
        self._child.start()
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            if not self._child.running:
                raise InstanceFault(f"The server ended at its start.\n{self.log_tail()}")
            address = self._address()
            if address is not None and is_ready(address):
                return address
            time.sleep(POLL_S)
        raise InstanceFault(f"The server was not ready within {within_s} s.\n{self.log_tail()}")

    def stop(self, within_s: int = 40) -> int | None:
        """Send SIGTERM; the exit status, 0 when it drained in time."""
        return self._child.stop(within_s)

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        self._child.kill()

    def log_tail(self) -> str:
        return self._child.log_tail()

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

    def _address(self) -> Address | None:
        serving = serving_now(self.data_dir)
        if serving is None or serving.pid != self._child.pid:
            return None
        return Address(serving.host, serving.port)


def is_ready(address: Address) -> bool:
    """Whether ``/readyz`` answers 200."""
    connection = HTTPConnection(address.host, address.port, timeout=ANSWER_WAIT_S)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
