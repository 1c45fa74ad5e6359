"""A peer of an ASGI application, without a socket: sends a call, keeps what comes back."""

import asyncio
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Peer:
    """``hang_up`` closes the connection; with ``hold_body`` the body never ends."""

    method: str = "GET"
    path: str = "/"
    body: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    query: bytes = b""
    client: tuple[str, int] | None = ("127.0.0.1", 5)
    hold_body: bool = False
    body_pieces: int = 1
    messages: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._gone = asyncio.Event()
        self._pieces = self._cut()
        self.on_message: Any = None
        self.takes = asyncio.Event()
        self.takes.set()

    def _cut(self) -> list[bytes]:
        size = max(1, -(-len(self.body) // self.body_pieces))
        return [self.body[i : i + size] for i in range(0, len(self.body), size)] or [b""]

    @property
    def scope(self) -> dict[str, Any]:
        return {
            "type": "http",
            "method": self.method,
            "path": self.path,
            "query_string": self.query,
            "headers": self.headers,
            "client": self.client,
        }

    async def receive(self) -> dict[str, Any]:
        if self._pieces and not self.hold_body:
            piece = self._pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(self._pieces)}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        await self.takes.wait()
        self.messages.append(message)
        if self.on_message is not None:
            self.on_message(message)

    def hang_up(self) -> None:
        self._gone.set()

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def answer_headers(self) -> dict[str, str]:
        return {k.decode(): v.decode() for k, v in self.messages[0]["headers"]}

    @property
    def answer(self) -> bytes:
        return b"".join(m.get("body", b"") for m in self.messages[1:])

    @property
    def complete(self) -> bool:
        return bool(self.messages) and self.messages[-1].get("more_body") is False
