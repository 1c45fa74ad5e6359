"""The mock upstream as a process of its own: an engine that can be killed and looked at."""

import asyncio
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from tokenbooth.proving.child import Child, clean_environment, own_command
from tokenbooth.proving.client import Address, Ask, call
from tokenbooth.proving.wire import BrokenWire

UP_WAIT_S = 60
POLL_S = 0.05


class MockEngine:
    """``with MockEngine(...) as engine``: started inside, ended on every way out.

    ``options`` are those of ``tokenbooth mock-upstream``. Its port stays the same at every start.
    """

    def __init__(self, directory: Path, *options: str) -> None:
        self.address = Address("127.0.0.1", free_port())
        command = own_command("mock-upstream", "--port", str(self.address.port), *options)
        self._child = Child(command, directory / "engine.log", clean_environment({}))

    def __enter__(self) -> "MockEngine":
        self._child.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._child.kill()

    @property
    def url(self) -> str:
        """What an upstream deployment is given."""
        return f"{self.address.base_url}/v1"

    def start(self) -> None:
        self._child.start()

    def kill(self) -> None:
        """End it with SIGKILL, in the middle of whatever it does."""
        self._child.kill()

    async def up(self, within_s: int = UP_WAIT_S) -> None:
        """Wait until it answers. Raises TimeoutError."""
        until = time.monotonic() + within_s
        while True:
            try:
                await call(self.address, Ask("GET", "/v1/models"), within_s=5)
            except (OSError, BrokenWire, TimeoutError):
                if time.monotonic() > until:
                    raise TimeoutError(f"no engine at {self.address.base_url}") from None
                await asyncio.sleep(POLL_S)
            else:
                return

    async def calls(self) -> dict[str, int | None]:
        """When each chat call was left by its client, by its last text; ``None``: it was not."""
        answer = await call(self.address, Ask("GET", "/mock/calls"))
        document: Any = answer.document()
        return {noted["text"]: noted["left_us"] for noted in document["data"]}


def free_port() -> int:
    """A port that is free now; nobody guarantees that it stays so."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
