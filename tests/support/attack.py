"""What an attacker's program does to a running instance: raw bytes, many calls, cut links."""

import asyncio
import contextlib
import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

from tests.support.instances import in_booth
from tokenbooth.control import accounts, keys
from tokenbooth.core.caller import CallLimits
from tokenbooth.money.ledger import service as ledger
from tokenbooth.proving.client import Address, Ask, WholeAnswer, bearer, call, json_ask
from tokenbooth.proving.instance import PrivateInstance

T = TypeVar("T")
CHAT = "/v1/chat/completions"
UNBOUNDED = CallLimits(10**9, 10**12, 10**6)
ANSWER_WAIT_S = 20


def body(model: str, **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "hello"}], **fields}


def account(instance: PrivateInstance, name: str, credit_nano: int = 10**15, **key: Any) -> str:
    """A key of an organization that no rate limit stops; the organization is made if need be."""

    def make(booth: Any, op: Any, tx: Any) -> str:
        if not any(line.org.name == name for line in accounts.organizations(op, tx)):
            ask = accounts.OrganizationAsk(name, UNBOUNDED)
            accounts.create_organization(op, tx, ask, booth.ids)
            accounts.add_credit(op, tx, name, credit_nano, f"first-{name}")
        mint = keys.Mint(booth.ids, booth.randomness, booth.secrets.pepper)
        return keys.create_key(op, tx, keys.NewKey(org=name, name="k", **key), mint).secret

    return in_booth(instance, make)


def raw_post(secret: str, fields: dict[str, Any], *headers: str) -> bytes:
    """The bytes of one chat call on a connection that stays open."""
    raw = json.dumps(fields).encode()
    lines = [
        f"POST {CHAT} HTTP/1.1",
        "host: x",
        f"authorization: Bearer {secret}",
        f"content-length: {len(raw)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + raw


def connect(address: Address, *, buffer_bytes: int | None = None) -> socket.socket:
    link = socket.socket()
    link.settimeout(ANSWER_WAIT_S)
    if buffer_bytes is not None:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    link.connect((address.host, address.port))
    return link


def until_closed(link: socket.socket) -> bytes:
    """Everything that comes until the other side ends the connection."""
    heard = b""
    with contextlib.suppress(ConnectionError):
        while piece := link.recv(65536):
            heard += piece
    return heard


def was_cut(link: socket.socket) -> bool:
    """Whether the process behind has let go of a connection that it had taken, though its bytes
    still wait."""
    ends = [link.getpeername()[1], link.getsockname()[1]]
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        columns = line.split()
        if [int(end.partition(":")[2], 16) for end in columns[1:3]] == ends:
            return columns[9] == "0"  # the inode: an orphan is the kernel's alone
    return True


def reset(link: socket.socket) -> None:
    """End the connection as a crashed program's kernel would."""
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    link.close()


def until(holds: Callable[[], object]) -> None:
    """Ask again and again, within a bound."""
    end = time.monotonic() + ANSWER_WAIT_S
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def spoken(address: Address, raw: bytes) -> bytes:
    """Say it on a fresh connection and hear until its end."""
    with connect(address) as link:
        with contextlib.suppress(ConnectionError):
            link.sendall(raw)
        return until_closed(link)


def get(address: Address, path: str, secret: str) -> WholeAnswer:
    return asyncio.run(call(address, Ask("GET", path, bearer(secret))))


def chat(address: Address, secret: str, fields: dict[str, Any]) -> WholeAnswer:
    return asyncio.run(call(address, json_ask(CHAT, secret, fields)))


def record_of(address: Address, secret: str, request_id: str) -> dict[str, Any]:
    return get(address, f"/v1/requests/{request_id}", secret).document()


def records(address: Address, secret: str) -> list[dict[str, Any]]:
    """Every call of the organization, newest first."""
    found: list[dict[str, Any]] = []
    after: Any = ""
    while after is not None:
        page: Any = get(address, f"/v1/requests?limit=100{after}", secret).document()
        found += page["data"]
        after = page["next_after"] and f"&after={page['next_after']}"
    return found


def spent_nano(address: Address, secret: str) -> int:
    balance: Any = get(address, "/v1/balance", secret).document()
    return int(balance["limits"][0]["spent"]["amount_nano"])


async def many(address: Address, secret: str, count: int, fields: dict[str, Any]) -> Counter[int]:
    """``count`` calls at once; how often each status came."""

    async def one() -> int:
        return (await call(address, json_ask(CHAT, secret, fields))).status

    return Counter(await asyncio.gather(*(one() for _ in range(count))))


def ended_record(address: Address, secret: str, request_id: str) -> dict[str, Any]:
    """The record of a call, once it is no longer running."""
    until(lambda: record_of(address, secret, request_id).get("status", "running") != "running")
    return record_of(address, secret, request_id)


def open_holds(instance: PrivateInstance) -> int:
    """Calls that the ledger shows as running."""
    return in_booth(instance, lambda booth, op, tx: ledger.verify(op, tx).open_holds)


def queued(address: Address, secret: str) -> int:
    """Calls that wait for a place, over all deployments."""
    rows = get(address, "/metrics", secret).body.decode().splitlines()
    return sum(int(float(row.split()[1])) for row in rows if row.startswith("tokenbooth_queued{"))


def assert_sound(instance: PrivateInstance) -> None:
    """The ledger proves itself and nothing is held."""
    found = in_booth(instance, lambda booth, op, tx: ledger.verify(op, tx))
    assert (found.difference_nano, found.open_holds, found.problems) == (0, 0, ())


def open_files(instance: PrivateInstance) -> int:
    return sum(1 for _ in Path(f"/proc/{instance.pid}/fd").iterdir())


class Elsewhere:
    """An event loop in a thread, for servers that a test talks to through another process."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(ANSWER_WAIT_S)

    def close(self) -> None:
        async def end_all() -> None:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.run(end_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextlib.contextmanager
def elsewhere() -> Iterator[Elsewhere]:
    loop = Elsewhere()
    try:
        yield loop
    finally:
        loop.close()


class CutSocket:
    """A Unix socket before PostgreSQL's own, with which a test can take the database away."""

    def __init__(self, loop: Elsewhere, behind: Path, directory: Path) -> None:
        self._loop, self._behind = loop, behind / ".s.PGSQL.5432"
        self._path = directory / ".s.PGSQL.5432"
        self._pipes: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.back()

    def __enter__(self) -> "CutSocket":
        return self

    def __exit__(self, *_: object) -> None:
        self.away()

    def away(self) -> None:
        """Every connection breaks and no new one is taken."""
        self._loop.run(self._away())

    def back(self) -> None:
        self._loop.run(self._back())

    async def _away(self) -> None:
        assert self._server is not None
        self._server.close()
        self._path.unlink(missing_ok=True)
        for pipe in self._pipes:
            pipe.transport.abort()

    async def _back(self) -> None:
        self._server = await asyncio.start_unix_server(self._hear, self._path)

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(str(self._behind))
        ends = {writer, far_writer}
        self._pipes |= ends
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            self._pipes -= ends
            for end in ends:
                end.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    writer.close()
