"""A front for tests: counted ids, a log that remembers, and a bound on every scenario."""

import asyncio
from collections.abc import Callable, Sequence

from tests.support.memory_loop import run
from tokenbooth.core.op import Op
from tokenbooth.edge.asgi import AsgiFront
from tokenbooth.edge.front import Front
from tokenbooth.edge.options import EdgeOptions
from tokenbooth.edge.routes import Route, TalkRoute
from tokenbooth.protocols.problems import openai_refusal


class Notes:
    """A log that remembers."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def event(self, name: str, **fields: object) -> None:
        """Normal events do not matter here."""

    def fault(self, name: str, error: BaseException | None = None, **fields: object) -> None:
        self.faults.append(name)


class Counter:
    def __init__(self) -> None:
        self.made = 0

    def new(self, prefix: str) -> str:
        self.made += 1
        return f"{prefix}_{self.made}"


LOG = Notes()


def front(
    *routes: Route, log: Notes = LOG, talks: Sequence[TalkRoute] = (), **options: int
) -> Front:
    def new_op(request_id: str) -> Op:
        return Op(request_id=request_id, now=lambda: 0, log=log)

    return Front(
        routes,
        new_op=new_op,
        ids=Counter(),
        refusal=openai_refusal,
        options=EdgeOptions(**options),
        talks=talks,
    )


def asgi(*routes: Route, log: Notes = LOG, **options: int) -> AsgiFront:
    return AsgiFront(front(*routes, log=log, **options))


def in_loop(scenario: Callable[[], object]) -> None:
    """Run an async scenario with a bound, so that a hang is a failure; waiting takes no time."""

    async def bounded() -> None:
        async with asyncio.timeout(10):
            await scenario()  # type: ignore[misc]

    run(bounded())


async def hello(op, head, body, sink):
    sink.start(200, (("content-type", "text/plain"),))
    sink.write(b"hello")
    sink.end()
