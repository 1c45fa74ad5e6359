"""An opened instance: its store, clocks, ids, log and secrets, for commands and servers alike."""

import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tokenbooth.config import Settings
from tokenbooth.control.instance import InstanceSecrets, read_secrets
from tokenbooth.control.keys import Mint
from tokenbooth.control.receipts_key import own_signer
from tokenbooth.core.op import Op
from tokenbooth.money.receipts.service import Signer
from tokenbooth.store.open import AsyncStore, open_store
from tokenbooth.store.revision import require_current
from tokenbooth.telemetry.lines import json_line, text_line
from tokenbooth.telemetry.log import JsonLog, LineWriter
from tokenbooth.telemetry.metrics import Gauge, Metrics


class SystemClock:
    """The clocks of the machine."""

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic_us(self) -> int:
        return time.monotonic_ns() // 1000


class SystemRandomness:
    """The kernel's randomness."""

    def token_bytes(self, count: int) -> bytes:
        return os.urandom(count)


class TimeIds:
    """UUIDv7 (RFC 9562): 48 bits of milliseconds, then randomness, so ids sort by time."""

    def __init__(self, clock: SystemClock, randomness: SystemRandomness) -> None:
        self._clock = clock
        self._randomness = randomness

    def new(self, prefix: str) -> str:
        millis = self._clock.now_us() // 1000
        noise = int.from_bytes(self._randomness.token_bytes(10))
        high, low = noise >> 68, noise & (2**62 - 1)
        return f"{prefix}_{millis << 80 | 7 << 76 | high << 64 | 2 << 62 | low:032x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Booth:
    """An opened instance, for commands and for the server alike."""

    settings: Settings
    store: AsyncStore
    clock: SystemClock
    ids: TimeIds
    randomness: SystemRandomness
    log: JsonLog
    metrics: Metrics
    secrets: InstanceSecrets

    @property
    def mint(self) -> Mint:
        """What key secrets are made with."""
        return Mint(self.ids, self.randomness, self.secrets.pepper)

    def signer(self) -> Signer:
        """Signs receipts, with a new key where the instance has none yet."""
        return own_signer(self.settings.data_dir, self.randomness)

    def op(self, actor: str = "operator", request_id: str | None = None) -> Op:
        """The context of one operation of ``actor``."""
        return Op(
            request_id=request_id or self.ids.new("req"),
            now=self.clock.now_us,
            log=self.log,
            actor=actor,
        )


@asynccontextmanager
async def open_booth(settings: Settings) -> AsyncIterator[Booth]:
    """Open the store and read the secrets; both are released on the way out.

    Raises STATE_CONFLICT when the data directory was not set up, or has another program's schema.
    """
    instance_secrets = read_secrets(settings.data_dir)
    clock, randomness = SystemClock(), SystemRandomness()
    layout = json_line if settings.log.format == "json" else text_line
    lines = LineWriter(sys.stderr)
    log = JsonLog(lines, clock.now_us, level=settings.log.level, layout=layout)
    store = open_store(settings.store)
    metrics = Metrics()
    metrics.watch(Gauge.LOG_LINES_LOST, lambda: lines.lost)
    try:
        await store.read(require_current)
        yield Booth(
            settings=settings,
            store=store,
            clock=clock,
            ids=TimeIds(clock, randomness),
            randomness=randomness,
            log=log,
            metrics=metrics,
            secrets=instance_secrets,
        )
    finally:
        await store.close()
        lines.close()
