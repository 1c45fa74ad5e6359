"""The loads of the benchmark: who serves, and what is asked of whom."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tokenbooth.proving.bench.cpu import children
from tokenbooth.proving.bench.gateway import asks
from tokenbooth.proving.bench.gateway.plan import RATE_STEPS, GatewayOptions, Load, Side
from tokenbooth.proving.bench.gateway.programs import LoadAsk
from tokenbooth.proving.client import Address

RATE_CONNECTIONS = 128
# It answers some dozens a second; more at once only make it dearer.
PEER_CALLS = 8
HOLD_PATIENCE_MS = 240_000
MODEL_OF = {
    Load.WARM: "whole",
    Load.WHOLE: "whole",
    Load.SHORT: "short",
    Load.LONG: "long",
    Load.SHORT_TRANSLATED: "short",
    Load.LONG_TRANSLATED: "long",
    Load.RATE: "rate",
}


@dataclass(frozen=True, slots=True)
class Target:
    """Somebody who serves: ``pid`` answers, its children and ``beside`` help it; of several
    processes, ``answering`` do."""

    side: Side
    port: int
    pid: int
    secret: str
    models: Mapping[str, str]
    beside: tuple[int, ...] = ()
    answering: tuple[int, ...] = ()

    def answerers(self) -> tuple[int, ...]:
        return self.answering or (self.pid,)

    def others(self) -> tuple[int, ...]:
        nearest = children(self.pid)
        if not self.answering:
            return (*self.beside, *nearest)
        below = (each for one in nearest for each in children(one))
        return (self.pid, *(each for each in nearest if each not in self.answering), *below)


@dataclass(frozen=True, slots=True)
class Loads:
    """Each call is written into ``folder``, from where the caller reads it."""

    options: GatewayOptions
    folder: Path

    def ask(self, target: Target, load: Load) -> LoadAsk:
        """A window of that load."""
        options, name = self.options, MODEL_OF[load]
        steps, pause_us = options.models[name]
        path = asks.path_of(target.side, load, (steps, pause_us))
        ask_body = asks.body(target.models[name], stream=load.stream, translated=load.translated)
        ask = LoadAsk(
            mode="closed",
            port=target.port,
            requests=(self._file(target, path, ask_body, f"{target.side}-{load}"),),
            end=asks.end_of(load),
            connections=options.streams_at_once,
            steps=steps,
            stagger_ms=steps * pause_us // 1000,
            warm_ms=options.warm_ms // 2,
            window_ms=options.stream_window_ms,
        )
        if not load.stream:
            peer = target.side is Side.PEER
            return replace(
                ask,
                connections=PEER_CALLS if peer else options.calls_at_once,
                warm_ms=options.warm_ms,
                window_ms=options.window_ms * (2 if peer else 1),
            )
        if load is Load.RATE:
            return replace(
                ask,
                mode="rate",
                rate=options.calls_per_s,
                connections=RATE_CONNECTIONS,
                steps=RATE_STEPS,
                stagger_ms=0,
                window_ms=options.rate_window_ms,
            )
        return ask

    def _file(self, target: Target, path: str, ask_body: bytes, name: str) -> Path:
        file = self.folder / f"ask-{name}"
        file.write_bytes(
            asks.call(Address("127.0.0.1", target.port), ask_body, path, target.secret)
        )
        return file

    def idle(self, target: Target) -> LoadAsk:
        """Streams of which nothing comes but their first chunk, until they are let go."""
        names = [name for name in self.options.models if name.startswith("idle")]
        path = asks.path_of(target.side, Load.LONG, self.options.models[names[0]])
        files = tuple(
            self._file(
                target,
                path,
                asks.body(target.models[name], stream=True, translated=False),
                f"{target.side}-{name}",
            )
            for name in names
        )
        return LoadAsk(
            mode="hold",
            port=target.port,
            requests=files,
            end=asks.DONE,
            connections=self.options.idle_streams,
            patience_ms=HOLD_PATIENCE_MS,
        )
