"""What a server made of a case: what it answered, and which calls it let through."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass

from tests.smuggling.corpus import Case
from tests.support.link import Line
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Body, CallHead, Sink
from tokenbooth.edge.routes import Route

BODY_BYTES_MAX = 1 << 20
PATHS = ("/outer", "/inner")


@dataclass(frozen=True)
class Verdict:
    """``calls`` are method, path and body of what was let through, in order."""

    statuses: tuple[int, ...]
    calls: tuple[tuple[str, str, str], ...]


class Ear:
    """Notes every call that gets through."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str]] = []

    async def __call__(self, op: Op, head: CallHead, body: Body, sink: Sink) -> None:
        raw = await body.read(BODY_BYTES_MAX)
        self.calls.append((head.method, head.path, raw.decode("latin-1")))
        sink.start(200, (("content-type", "text/plain"),))
        sink.write(b"ok")
        sink.end()

    def routes(self) -> list[Route]:
        return [Route(method, path, self) for method in ("GET", "POST") for path in PATHS]


async def ours(case: Case) -> Verdict:
    """Without a socket, so that nothing depends on time."""
    ear = Ear()
    line = Line(*ear.routes())
    for piece in case.pieces:
        if line.link.is_closing():
            break
        line.send(piece)
        for _ in range(3):
            await asyncio.sleep(0)
    if case.half_closed or line.link.is_closing():
        line.lose()
    else:
        line.later(0)
        line.later(line.front.options.body_wait_max_s)
    for _ in range(64):  # as many as a connection may have in a row
        await line.answered()
    return Verdict(statuses_in(line.link.written), tuple(ear.calls))


def statuses_in(heard: bytes) -> tuple[int, ...]:
    """Of final answers."""
    found = [part[:3] for part in heard.split(b"HTTP/1.1 ")[1:]]
    return tuple(int(each) for each in found if each.isdigit() and each != b"100")


def laxer(ours: Verdict, theirs: Verdict) -> str | None:
    """Why our verdict is laxer than theirs; ``None`` when it is not.

    Ours may let through less, from some call on, but nothing else and nothing more.
    """
    for place, call in enumerate(ours.calls):
        if place >= len(theirs.calls):
            return f"lets {call} through, which the other does not"
        if call != theirs.calls[place]:
            return f"reads {call}, where the other reads {theirs.calls[place]}"
    return None


def as_json(found: Mapping[str, Verdict]) -> str:
    return json.dumps({name: [each.statuses, each.calls] for name, each in found.items()}, indent=1)


def from_json(text: str) -> dict[str, Verdict]:
    return {
        name: Verdict(tuple(statuses), tuple((m, p, b) for m, p, b in calls))
        for name, (statuses, calls) in json.loads(text).items()
    }
