"""Whatever a caller sends, through the front and the ten steps: never a 5xx, never an error that is
no JSON, never an answer without a request id.

``TOKENBOOTH_TEST_FUZZ`` is how many calls are made for each dialect and
``TOKENBOOTH_TEST_FUZZ_SEED`` the first of their seeds; ``scripts/nightly`` makes 50,000.
"""

import asyncio
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.asgi import Peer
from tests.support.booth import TestBooth, open_test_booth
from tests.support.caller_view import Close, view
from tests.support.mutations import Attempt, attempt
from tests.support.turns import said
from tokenbooth.core.features import Capabilities, Feature
from tokenbooth.core.turn import Sampling, Turn
from tokenbooth.edge.asgi import AsgiFront
from tokenbooth.edge.front import Front
from tokenbooth.edge.options import EdgeOptions
from tokenbooth.edge.routes import Route
from tokenbooth.engines.port import DeltaSink, Run
from tokenbooth.engines.scripted.engine import ScriptedEngine
from tokenbooth.engines.scripted.values import ScriptOptions
from tokenbooth.gateway.serve import serve
from tokenbooth.protocols.anthropic_messages import ANTHROPIC_MESSAGES
from tokenbooth.protocols.dialect import Dialect
from tokenbooth.protocols.openai_chat import OPENAI_CHAT
from tokenbooth.protocols.openai_responses import OPENAI_RESPONSES
from tokenbooth.protocols.problems import openai_refusal
from tokenbooth.web.count_tokens import count_endpoint
from tokenbooth.web.quote import quote_endpoint

COUNT = int(os.environ.get("TOKENBOOTH_TEST_FUZZ", "500"))
FIRST = int(os.environ.get("TOKENBOOTH_TEST_FUZZ_SEED", "1"))
AT_ONCE = 16
# Rates are counted by a clock that stands still between two batches.
BATCH_US = 2_000_000
DIALECTS = {each.name: each for each in (OPENAI_CHAT, OPENAI_RESPONSES, ANTHROPIC_MESSAGES)}


class Obliging(ScriptedEngine):
    """Refuses no parameter; what it cannot do it leaves out."""

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(frozenset(Feature), super().capabilities.context_tokens)

    def start(self, turn: Turn, sink: DeltaSink) -> Run:
        plain = replace(turn, messages=(said("x"),), sampling=Sampling(), reasoning_effort=None)
        return super().start(plain, sink)


def front_of(booth: TestBooth) -> AsgiFront:
    """The paths of every dialect, as a server has them."""

    def calls(path: str, dialect: Dialect) -> Route:
        async def endpoint(op: Any, head: Any, body: Any, sink: Any) -> None:
            await serve(booth.rooms, dialect, op, head, body, sink)

        return Route("POST", path, endpoint, refusal=dialect.refusal)

    count = count_endpoint(booth.rooms, ANTHROPIC_MESSAGES)
    routes = [
        calls("/v1/chat/completions", OPENAI_CHAT),
        calls("/v1/responses", OPENAI_RESPONSES),
        calls("/v1/messages", ANTHROPIC_MESSAGES),
        Route("POST", "/v1/messages/count_tokens", count, refusal=ANTHROPIC_MESSAGES.refusal),
        Route("POST", "/v1/quote", quote_endpoint(booth.rooms, DIALECTS, OPENAI_CHAT.name)),
    ]
    front = Front(
        routes,
        new_op=lambda request_id: replace(booth.op, request_id=request_id),
        ids=booth.ids,
        refusal=openai_refusal,
        options=EdgeOptions(),
    )
    return AsgiFront(front)


async def answered(booth: TestBooth, front: AsgiFront, asked: Attempt) -> Peer:
    headers = list(asked.headers)
    if asked.keyed:
        headers.insert(0, (b"authorization", f"Bearer {booth.secret}".encode()))
    peer = Peer(
        method="POST",
        path=asked.path,
        body=asked.body,
        headers=headers,
        query=asked.query,
        body_pieces=asked.pieces,
    )
    async with asyncio.timeout(60):
        await front(peer.scope, peer.receive, peer.send)
    return peer


def check(asked: Attempt, peer: Peer) -> str:
    """How the call ended: a status, or what its stream ended with."""
    assert peer.complete
    headers = peer.answer_headers
    request_id = headers["x-request-id"]
    assert request_id
    assert headers["request-id"] == request_id
    assert 200 <= peer.status < 500, peer.answer[:500]
    if headers["content-type"].startswith("text/event-stream"):
        seen = view(asked.dialect, headers["content-type"], peer.answer)
        assert seen.close is Close.WELL, seen.error
        return "streamed"
    document = msgspec.json.decode(peer.answer)
    if peer.status >= 400:
        error = document["error"]
        assert error["code"]
        assert error["message"]
        assert error["code"] != "internal_error"
        assert request_id in (document.get("request_id"), error.get("request_id"))
    return str(peer.status)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_call_breaks_the_booth(tmp_path: Path, dialect: str) -> None:
    tally: Counter[str] = Counter()

    async def scenario() -> None:
        engines = {"0": Obliging(ScriptOptions(chunks=3, reasoning_tokens=2))}
        crowd = {"concurrency_max": AT_ONCE}
        async with open_test_booth(
            tmp_path, engines=engines, credit_nano=10**17, deployment=crowd
        ) as booth:
            front = front_of(booth)
            for begin in range(FIRST, FIRST + COUNT, AT_ONCE):
                seeds = range(begin, min(begin + AT_ONCE, FIRST + COUNT))
                batch = [attempt(dialect, seed) for seed in seeds]
                found = await asyncio.gather(
                    *(answered(booth, front, each) for each in batch), return_exceptions=True
                )
                for asked, peer in zip(batch, found, strict=True):
                    try:
                        assert isinstance(peer, Peer), peer
                        tally[check(asked, peer)] += 1
                    except (AssertionError, KeyError, ValueError) as broken:
                        pytest.fail(f"{broken!r}\n{asked.replay()}")
                assert booth.op.log.faults == []  # type: ignore[attr-defined]
                booth.clock.us += BATCH_US
            assert (await booth.verified()).open_holds == 0

    asyncio.run(scenario())
    print(f"{dialect}: {COUNT} calls from seed {FIRST}: {dict(tally.most_common())}")
    assert sum(tally.values()) == COUNT
    # Neither all taken nor all refused: what is mutated is near to what clients send.
    assert COUNT < 100 or min(tally["streamed"], tally["200"], tally["400"]) > COUNT // 50
