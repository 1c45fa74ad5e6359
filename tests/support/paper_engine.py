"""An endpoint on paper: calls take time of a jumping loop only, and answers are as planned.

It serves as a caller of ``certify``; what it would do to a call follows from how many are inside.
"""

import asyncio
from collections.abc import Callable

import pytest

from tokenbooth.proving.certify import caller, legs, measure
from tokenbooth.proving.certify.caller import Caller, Endpoint, Heard
from tokenbooth.verify.packs.service import Family, Probe

Wrong = Callable[[int, Probe], bool]
LoadStatus = Callable[[int], str]


def never_wrong(_inside: int, _probe: Probe) -> bool:
    return False


def always_ok(_inside: int) -> str:
    return "ok"


class PaperEngine(Caller):
    """Takes ``slots`` calls at once, each for ``first_s`` and as long again; others wait."""

    def __init__(
        self,
        *,
        slots: int = 8,
        first_s: float = 0.1,
        wrong: Wrong = never_wrong,
        status: LoadStatus = always_ok,
        name: str = "paper-1",
    ) -> None:
        super().__init__(Endpoint("http://127.0.0.1:1/v1", "toy"))
        self._slots = asyncio.Semaphore(slots)
        self._first_s = first_s
        self._wrong = wrong
        self._status = status
        self._name = name
        self.inside = self.most = self.calls = 0
        self.closed = False

    async def ask(self, probe: Probe, within_s: float) -> Heard:
        self.inside += 1
        self.calls += 1
        inside, self.most = self.inside, max(self.most, self.inside)
        try:
            async with self._slots:
                await asyncio.sleep(self._first_s)
                first_us = caller.now_us()
                await asyncio.sleep(self._first_s)
                return self._heard(probe, inside, first_us)
        finally:
            self.inside -= 1

    async def close(self) -> None:
        self.closed = True

    def _heard(self, probe: Probe, inside: int, first_us: int) -> Heard:
        status = self._status(inside)
        answer, finish = probe.expected or "1 2 3", "stop"
        if probe.family is Family.LENGTH:
            finish = "length"
        if status != "ok" or self._wrong(inside, probe):
            answer = finish = ""
        return Heard(first_us, caller.now_us(), 8, status, finish, answer, self._name)


def loop_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything of ``certify`` reads the clock of the running loop."""

    def now_us() -> int:
        return round(asyncio.get_running_loop().time() * 1_000_000)

    for module in (caller, legs, measure):
        monkeypatch.setattr(module, "now_us", now_us)
