"""What the fuzzer's target says of the strange calls that are known, in any pieces."""

import asyncio
import random

from tests.fuzz.edge import Bench, pieces_of
from tests.smuggling.corpus import cases

TALK = (
    b"GET /talk HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def test_nothing_is_left_of_a_connection_whatever_came():
    async def scene() -> None:
        bench, chance = Bench(), random.Random(7)
        known = [b"".join(case.pieces) for case in cases()] + [TALK, TALK + b"\x81\x82abcd\x09\x0a"]
        answers = 0
        for raw in known:
            for cut in (0, 255, chance.randrange(256)):
                answers += bool(bench.one(pieces_of(bytes([cut]) + raw)))
            spoiled = bytearray(raw[:4000] or b"?")
            for _ in range(3):
                spoiled[chance.randrange(len(spoiled))] = chance.randrange(256)
            bench.one(pieces_of(b"\x37" + bytes(spoiled)))
        assert answers > 2 * len(known)

    asyncio.run(scene())


def test_a_talk_is_answered_and_ends_with_its_connection():
    async def scene() -> None:
        said = Bench().one((TALK, b"\x81\x82abcd\x09\x0a"))
        assert said.startswith(b"HTTP/1.1 101 ")
        assert b"\x81\x02hh" in said

    asyncio.run(scene())
