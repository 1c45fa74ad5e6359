"""A real engine under twice the load that it carries: a private booth, open-loop callers over HTTP.

First the engine is measured without promises, as many calls at once as it may run. The promises
follow from that: a time for each token, with room, and a time to the first. Then callers come at
0.9, 1.1 and 2 times the measured rate, whatever becomes of the calls before.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tokenbooth.proving.bench.books import machine_load
from tokenbooth.proving.bench.figures import US_PER_MS, quantile
from tokenbooth.proving.client import Address, Ask, Exchange, json_ask
from tokenbooth.proving.drills.play import Progress
from tokenbooth.proving.instance import PrivateInstance
from tokenbooth.proving.wire import BrokenWire

MODEL = "measured"
CHAT = "/v1/chat/completions"
LOADS_MILLI = (900, 1100, 2000)
TTFT_MS = 2_000
OUTPUT_TOKENS_MAX = 48
_CALL_MAX_S = 60
_DONE = "[DONE]"
_TPOT_ROOM_PERCENT = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class OverloadOptions:
    gguf: Path
    seconds: int = 30
    places: int = 8


@dataclass(slots=True)
class Heard:
    """One call as its caller saw it; times in microseconds, from when it was due."""

    status: int = 0
    first_us: int = 0
    end_us: int = 0
    chunks: int = 0
    retry_after_s: int = 0

    @property
    def tpot_us(self) -> int:
        return (self.end_us - self.first_us) // max(1, self.chunks - 1)


@dataclass(frozen=True, slots=True)
class Turn:
    """One load; ``good_per_ks`` is what kept both promises, of 1,000 seconds."""

    load_milli: int
    sent: int
    answered: int
    refused: int
    good_per_ks: int
    ttft_p99_ms: int


@dataclass(frozen=True, slots=True)
class OverloadReport:
    options: OverloadOptions
    machine_load: str
    carried_per_ks: int
    tpot_ms: int
    turns: tuple[Turn, ...]

    @property
    def kept_milli(self) -> int:
        """Goodput at twice the load, in thousandths of the best below 1.2 times."""
        best = max(turn.good_per_ks for turn in self.turns[:-1])
        return self.turns[-1].good_per_ks * 1000 // max(1, best)

    @property
    def exact(self) -> bool:
        """Each call was answered or told to come back."""
        return all(turn.sent == turn.answered + turn.refused for turn in self.turns)

    def document(self) -> dict[str, object]:
        return {
            "object": "bench",
            "bench": "overload",
            "exact": self.exact,
            "machine_load": self.machine_load,
            "carried_per_ks": self.carried_per_ks,
            "promises": {"ttft_ms": TTFT_MS, "tpot_ms": self.tpot_ms},
            "goals": {"kept_milli": 950, "ttft_p99_ms": TTFT_MS},
            "kept_milli": self.kept_milli,
            "turns": [
                {name: getattr(turn, name) for name in Turn.__slots__} for turn in self.turns
            ],
        }

    def lines(self) -> Iterator[str]:
        yield (
            f"the engine carries {self.carried_per_ks / 1000:.2f} calls/s; promised"
            f" {TTFT_MS} ms to the first token, {self.tpot_ms} ms for each more"
        )
        for turn in self.turns:
            yield (
                f"  {turn.load_milli / 1000:.1f}x  good {turn.good_per_ks / 1000:.2f} calls/s,"
                f" answered {turn.answered}, refused {turn.refused} of {turn.sent},"
                f" p99 to the first token {turn.ttft_p99_ms} ms"
            )
        yield f"kept at 2x: {self.kept_milli / 10:.1f} % of the best below 1.2x (goal 95 %)"
        yield f"load of the machine {self.machine_load}"


def run_overload(options: OverloadOptions, progress: Progress) -> OverloadReport:
    """Takes about five times ``seconds``. Raises InstanceFault."""
    load = machine_load(os.getloadavg())
    with tempfile.TemporaryDirectory(prefix="tokenbooth-overload-") as directory:
        place = Path(directory)
        progress("measuring", 0, len(LOADS_MILLI) + 1)
        with PrivateInstance(place / "free") as instance:
            caller = _Caller(*_opened(instance, options))
            heard = asyncio.run(caller.closed(options.places, options.seconds))
        ended = [each for each in heard if each.status == 200]
        per_ks = len(ended) * 1000 // options.seconds
        tpot_us = quantile([each.tpot_us for each in ended], 50) * _TPOT_ROOM_PERCENT // 100
        tpot_ms = max(1, tpot_us // US_PER_MS)
        pace = f'["{MODEL} {TTFT_MS} {tpot_ms} 1 {options.places}"]'
        turns: list[Turn] = []
        with PrivateInstance(place / "paced", settings={"gateway.paces": pace}) as instance:
            caller = _Caller(*_opened(instance, options))
            asyncio.run(caller.closed(options.places, max(1, options.seconds // 5)))
            for number, milli in enumerate(LOADS_MILLI):
                progress("loads", number + 1, len(LOADS_MILLI) + 1)
                heard = asyncio.run(caller.open(per_ks * milli // 1000, options.seconds))
                turns.append(_turn(milli, heard, tpot_ms * US_PER_MS, options.seconds))
    return OverloadReport(options, load, per_ks, tpot_ms, tuple(turns))


def _opened(instance: PrivateInstance, options: OverloadOptions) -> tuple[Address, str]:
    where = ("--gguf", str(options.gguf), "--concurrency", str(options.places))
    instance.command("model", "add", MODEL, *where)
    instance.command("price", "set", MODEL, "--input", "0.1", "--output", "0.1")
    instance.command("org", "create", "callers")
    instance.command("org", "credit", "callers", "1000")
    secret = str(instance.command("key", "create", "callers")["secret"])
    return instance.start(), secret


class _Caller:
    """Makes calls of different lengths, the same for every run."""

    def __init__(self, address: Address, secret: str) -> None:
        self._address = address
        self._secret = secret
        self._random = Random(20)  # noqa: S311 - lengths of prompts, no secret

    async def closed(self, at_once: int, seconds: int) -> list[Heard]:
        """The next call when one has ended."""
        heard: list[Heard] = []
        until = time.monotonic() + seconds

        async def line() -> None:
            while time.monotonic() < until:
                heard.append(await self._call())

        await asyncio.gather(*(line() for _ in range(at_once)))
        return heard

    async def open(self, per_ks: int, seconds: int) -> list[Heard]:
        """Calls when they are due, however the others fare."""
        tasks: list[asyncio.Task[Heard]] = []
        begun = time.monotonic()
        due_s = 0.0
        while due_s < seconds:
            await asyncio.sleep(max(0.0, begun + due_s - time.monotonic()))
            tasks.append(asyncio.create_task(self._call()))
            due_s += self._random.expovariate(1) * 1000 / per_ks
        return list(await asyncio.gather(*tasks))

    async def _call(self) -> Heard:
        """Never raises for what a server can do wrong: it has no status then."""
        heard, due = Heard(), time.monotonic_ns()
        try:
            async with asyncio.timeout(_CALL_MAX_S), Exchange(self._address, self._ask()) as call:
                head = await call.head()
                if head.status != 200:
                    told = head.headers.get("retry-after", "")
                    heard.retry_after_s = int(told) if told.isdecimal() else 0
                    heard.status = head.status
                    return heard
                done = False
                async for event in call.events():
                    heard.end_us = (time.monotonic_ns() - due) // 1000
                    heard.first_us = heard.first_us or heard.end_us
                    heard.chunks += event != _DONE
                    done = event == _DONE
                heard.status = head.status if done and heard.chunks else 0
        except (TimeoutError, BrokenWire, OSError):
            heard.status = 0
        return heard

    def _ask(self) -> Ask:
        words = " ".join(f"word{self._random.randint(0, 99)}" for _ in range(20))
        output_tokens_max = self._random.randint(OUTPUT_TOKENS_MAX // 2, OUTPUT_TOKENS_MAX)
        fields = {
            "model": MODEL,
            "messages": [{"role": "user", "content": f"Tell a long story of {words}"}],
            "max_tokens": output_tokens_max,
            "stream": True,
        }
        return json_ask(CHAT, self._secret, fields)


def _turn(load_milli: int, heard: list[Heard], tpot_us: int, seconds: int) -> Turn:
    ended = [each for each in heard if each.status == 200]
    good = [
        each for each in ended if each.first_us <= TTFT_MS * US_PER_MS and each.tpot_us <= tpot_us
    ]
    return Turn(
        load_milli=load_milli,
        sent=len(heard),
        answered=len(ended),
        refused=sum(each.status in {429, 503} and each.retry_after_s > 0 for each in heard),
        good_per_ks=len(good) * 1000 // seconds,
        ttft_p99_ms=quantile([each.first_us for each in ended], 99) // US_PER_MS,
    )
