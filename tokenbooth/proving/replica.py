"""One server process of a private instance: started, killed and started again, from outside."""

import time
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from tokenbooth.control.instance import MAIN_REPLICA
from tokenbooth.control.serving import serving_now
from tokenbooth.proving.child import Child, own_command
from tokenbooth.proving.client import Address

READY_WAIT_S = 60
POLL_S = 0.05
ANSWER_WAIT_S = 5


class InstanceFault(Exception):
    """The instance did not do what was asked; the text holds the end of its log."""


class Replica:
    """One of several servers of a data directory, by its name. A new port at each start."""

    def __init__(
        self,
        data_dir: Path,
        environ: Mapping[str, str],
        name: str = MAIN_REPLICA,
        serve: Sequence[str] | None = None,
    ) -> None:
        """``serve`` is the command of a server where it is not the product's own."""
        self.name = name
        self._data_dir = data_dir
        main = name == MAIN_REPLICA
        named = () if main else ("--replica", name)
        self.log_path = data_dir / ("serve.log" if main else f"serve-{name}.log")
        ends = ("--data-dir", str(data_dir), *named)
        command = own_command("serve", *ends) if serve is None else [*serve, *ends]
        self._child = Child(command, self.log_path, environ)
        self._address: Address | None = None

    @property
    def pid(self) -> int | None:
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child.running

    @property
    def address(self) -> Address:
        """Where it answered last. Raises InstanceFault before its first start."""
        if self._address is None:
            raise InstanceFault("The server was never started.")
        return self._address

    def launch(self) -> None:
        """Start the process without waiting for it."""
        self._child.start()

    def start(self, within_s: int = READY_WAIT_S) -> Address:
        """Start it and wait until it is ready. Raises InstanceFault."""
        self.launch()
        return self.wait_ready(within_s)

    def wait_ready(self, within_s: int = READY_WAIT_S) -> Address:
        """Wait for ``/readyz``. Raises InstanceFault."""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            if not self._child.running:
                raise InstanceFault(f"The server ended at its start.\n{self.log_tail()}")
            address = self._serving_at()
            if address is not None and is_ready(address):
                self._address = address
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

    def _serving_at(self) -> Address | None:
        serving = serving_now(self._data_dir, self.name)
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
