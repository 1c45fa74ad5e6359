"""A child that only exists in the test: what the gateway says is kept, the answers are given."""

import asyncio
from collections.abc import Callable

from tokenbooth.engines.child.frames import Broken, FromChild, Ready, Step, ToChild


class FakeLink:
    """Stands in for ``tokenbooth.engines.child.link.Link``."""

    def __init__(self, hear: Callable[[FromChild], None]) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._hear = hear
        self.lost: asyncio.Future[str] = loop.create_future()
        self.heard_at = loop.time()
        self.pid = 4711
        self.said: list[ToChild] = []
        self.started = asyncio.Event()
        self.stopped = False
        self.may_stop = asyncio.Event()
        self.may_stop.set()

    async def start(self, module: str, options_json: bytes) -> None:
        self.module, self.options_json = module, options_json
        self.started.set()

    def send(self, message: ToChild) -> None:
        self.said.append(message)

    async def stop(self) -> str:
        await self.may_stop.wait()
        self.stopped = True
        return "last words"

    def answer(self, message: FromChild) -> None:
        self.heard_at = self._loop.time()
        self._hear(message)

    def die(self, reason: str = "it died") -> None:
        if not self.lost.done():
            self.lost.set_result(reason)


class Nursery:
    """Makes links, and gives the test each one as it is started."""

    def __init__(self, *, refuse: OSError | None = None) -> None:
        self.links: list[FakeLink] = []
        self._made: asyncio.Queue[FakeLink] = asyncio.Queue()
        self.refuse = refuse

    def link_to(self, hear: Callable[[FromChild], None]) -> FakeLink:
        link = FakeLink(hear)
        if self.refuse is not None:
            refusal = self.refuse

            async def refused(module: str, options_json: bytes) -> None:
                raise refusal

            link.start = refused  # type: ignore[method-assign]
        self.links.append(link)
        self._made.put_nowait(link)
        return link

    async def next(self) -> FakeLink:
        async with asyncio.timeout(20):
            link = await self._made.get()
            await link.started.wait()
        return link

    async def ready(self, context_tokens: int | None = 64) -> FakeLink:
        link = await self.next()
        link.answer(Ready(context_tokens, "fake"))
        return link

    async def broken(self, code: str = "ENGINE_NOT_READY") -> FakeLink:
        link = await self.next()
        link.answer(Broken(code, "it is broken"))
        return link


def step(**parts: object) -> Step:
    return Step(**parts)  # type: ignore[arg-type]
