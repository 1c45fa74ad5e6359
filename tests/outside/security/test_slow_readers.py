"""Readers that take nothing of endless answers: what is held for them has a bound."""

import asyncio
import contextlib
import json
from pathlib import Path

from tests.support.attack import account, body, connect, raw_post, until
from tests.support.instances import Script, add_scripts, add_upstream
from tests.support.wire_server import threaded
from tokenbooth.proving.bench.gateway.machine import memory_bytes
from tokenbooth.proving.client import call, json_ask
from tokenbooth.proving.instance import PrivateInstance

READERS, HIGH_BYTES = 20, 64 * 1024
# Per reader: what may be unsent, what one chunk adds to it, and the objects of a call.
READER_BYTES_MAX = 2 * HIGH_BYTES + 64 * 1024
SPARE_BYTES = 12 * 1024 * 1024


async def endless(raw: bytes, writer: asyncio.StreamWriter) -> None:
    """As fast as it is taken, and never done."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
    choice = {"index": 0, "delta": {"content": "word " * 200}, "finish_reason": None}
    event = {"id": "1", "object": "chat.completion.chunk", "model": "x", "choices": [choice]}
    while True:
        writer.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        await writer.drain()


def test_a_slow_reader_never_grows_memory_beyond_its_bound(tmp_path: Path) -> None:
    settings = {
        "edge.stall_max_s": "600",
        "edge.pressure_high_bytes": str(HIGH_BYTES),
        "edge.pressure_low_bytes": str(HIGH_BYTES // 4),
    }
    with (
        contextlib.ExitStack() as links,
        threaded(endless) as far,
        PrivateInstance(tmp_path / "booth", settings=settings) as instance,
    ):
        add_scripts(instance, Script("demo"))
        add_upstream(instance, "flood", f"{far.base_url}/v1")
        secret = account(instance, "slow")
        address = instance.start()
        ask = json_ask("/v1/chat/completions", secret, body("demo"))

        def answered() -> None:
            assert asyncio.run(call(address, ask)).status == 200

        def resident_bytes() -> int:
            assert instance.pid is not None
            return memory_bytes(instance.pid)["Rss"]

        answered()
        before = resident_bytes()
        raw = raw_post(secret, body("flood", stream=True))
        readers = [links.enter_context(connect(address, buffer_bytes=4096)) for _ in range(READERS)]
        for reader in readers:
            reader.sendall(raw)
        for reader in readers:
            assert reader.recv(12).startswith(b"HTTP/1.1 200")
        # While it answers others, each stream gets every turn that it could use.
        for _ in range(20):
            answered()
        held = [resident_bytes()]
        until(lambda: held.append(resident_bytes()) or held[-1] == held[-2])
        assert held[-1] - before < READERS * READER_BYTES_MAX + SPARE_BYTES
        links.close()
        assert instance.stop() == 0
