"""One connection fed with any bytes, and what must hold of it."""

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from tests.support.link import NOON_US, Link, ManualLoop
from tokenbooth.core.problem import Problem
from tokenbooth.edge.front import Asked, Front
from tokenbooth.edge.http1.connections import Connections
from tokenbooth.edge.options import EdgeOptions
from tokenbooth.edge.routes import TalkRoute
from tokenbooth.protocols.problems import openai_refusal

BODY_BYTES_MAX = 2000
BODIES_BYTES_MAX = 100_000


class Ids:
    def new(self, prefix: str) -> str:
        return f"{prefix}_1"


class Log:
    def event(self, name: str, **fields: object) -> None:
        """Nothing of it matters here."""

    def fault(self, name: str, error: BaseException | None = None, **fields: object) -> None:
        raise AssertionError(name) from error


class Loop(ManualLoop):
    """Keeps what is to be done soon; nothing runs by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.soon: list[Callable[[], None]] = []

    def call_soon(self, act: Callable[[], None]) -> None:
        self.soon.append(act)


class Target(Front):
    """Answers every call with its body, and every text of a talk with itself, without tasks."""

    def __init__(self) -> None:
        async def nowhere(*ignored: object) -> None:
            """The endpoint of a talk; ``begin_talk`` here asks nobody."""

        super().__init__(
            (),
            new_op=lambda request_id: None,  # type: ignore[arg-type,return-value]
            ids=Ids(),
            refusal=openai_refusal,
            options=EdgeOptions(bodies_bytes_max=BODIES_BYTES_MAX),
            talks=[TalkRoute("/talk", nowhere, openai_refusal, BODY_BYTES_MAX)],
        )
        self.running: list[tuple[Coroutine[Any, Any, None], Any]] = []

    def begin(self, asked: Asked, body: Any, sink: Any) -> Any:
        self.running.append((self._echo(body, sink), None))

    def begin_talk(self, asked: Asked, route: TalkRoute, talk: Any) -> None:
        self.running.append((self._talk_back(talk), None))

    def step(self) -> bool:
        """Go on with every call whose future is there; whether any was."""
        due = [each for each in self.running if each[1] is None or each[1].done()]
        for each in due:
            self.running.remove(each)
            try:
                self.running.append((each[0], each[0].send(None)))
            except StopIteration:
                continue
        return bool(due)

    async def _echo(self, body: Any, sink: Any) -> None:
        try:
            raw = await body.read(BODY_BYTES_MAX)
            assert len(raw) <= BODY_BYTES_MAX
            sink.start(200, (("content-type", "text/plain"),))
            sink.write(raw)
        except Problem as problem:
            answer = openai_refusal(problem, "req_1")
            sink.start(answer.status, answer.headers)
            sink.write(answer.body)
        sink.end()
        body.release()

    async def _talk_back(self, talk: Any) -> None:
        try:
            talk.open(())
        except Problem as problem:
            talk.refuse(openai_refusal(problem, "req_1"))
            return
        while (text := await talk.hear()) is not None:
            talk.say(text)
            talk.forget(text)
        talk.close(1000, "")


class Bench:
    """One server, and one connection after the other."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.front = Target()
        self.all = Connections(
            self.front,
            self.loop,  # type: ignore[arg-type]
            connections_max=4,
            now_us=lambda: NOON_US,
        )

    def one(self, pieces: Iterable[bytes]) -> bytes:
        """What a peer that sends these pieces and hangs up is answered. Raises AssertionError where
        anything is left of it, or it was answered with what is not HTTP."""
        link = Link()
        connection = self.all.accepted()
        link.protocol = connection
        connection.connection_made(link)  # type: ignore[arg-type]
        for piece in pieces:
            if link.fate != "open":
                break
            link.protocol.data_received(piece)
            self._settle()
        if link.fate == "open":
            self.loop.now_s += 3600
            self.all.tick()
            self._settle()
        link.protocol.connection_lost(None)
        self._settle()
        assert not self.front.running, "a call outlives its connection"
        assert not len(self.all), "a connection is remembered"
        assert self.front.space._free_bytes == BODIES_BYTES_MAX, "bytes are held for nobody"
        assert link.written[:9] in (b"", b"HTTP/1.1 "), link.written[:100]
        return link.written

    def _settle(self) -> None:
        while self.front.step() or self.loop.soon:
            due, self.loop.soon = self.loop.soon, []
            for act in due:
                act()


def pieces_of(found: bytes) -> tuple[bytes, ...]:
    """The input behind its first byte, whole or in up to three pieces."""
    if len(found) < 3:
        return (found[1:],)
    rest, cut = found[1:], found[0]
    one = len(rest) * (cut & 15) // 16
    other = one + (len(rest) - one) * (cut >> 4) // 16
    return tuple(piece for piece in (rest[:one], rest[one:other], rest[other:]) if piece)
