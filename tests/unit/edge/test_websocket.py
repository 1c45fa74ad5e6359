"""A connection after its upgrade: frames, bounds of memory and time, and every way to end."""

import asyncio
import json
import random

import pytest
from websockets.frames import Frame, Opcode

from tests.support.front import LOG, in_loop
from tests.support.sockets import PATH, TEXT_BYTES_MAX, Peer, Talker, answering
from tokenbooth.core.problem import Problem
from tokenbooth.edge.http1.websocket import CLOSE_WAIT_S, PING_EVERY_S, SILENT_MAX_S

SPACE_BYTES = 1_000_000
TEXT, CONT, CLOSE = Opcode.TEXT, Opcode.CONT, Opcode.CLOSE


def plays(scenario):
    """Each scenario is a coroutine over an opened peer with a Talker."""

    def test():
        async def played():
            await scenario(await Peer(bodies_bytes_max=SPACE_BYTES).opened())

        in_loop(played)

    test.__name__ = scenario.__name__
    test.__doc__ = scenario.__doc__
    return test


def free_bytes(peer: Peer) -> int:
    space = peer.front.space
    low, high = 0, SPACE_BYTES
    while low < high:
        middle = (low + high + 1) // 2
        try:
            space.take(middle)
        except Problem:
            high = middle - 1
        else:
            space.give_back(middle)
            low = middle
    return low


@plays
async def test_the_upgrade_is_answered_and_texts_go_both_ways(peer):
    assert peer.answer.headers["x-request-id"] == "req_1"
    assert peer.answer.headers["x-more"] == "1"
    assert peer.answer.headers["date"]
    peer.text('{"a":1}')
    await peer.settled()
    assert peer.endpoint.texts == [b'{"a":1}']
    assert peer.endpoint.head.path == PATH
    peer.endpoint.talk.say(b'{"b":2}')
    await peer.settled()
    assert peer.heard() == [{"b": 2}]


@plays
async def test_texts_of_every_length_arrive_as_they_were(peer):
    sizes = [0, 1, 125, 126, 127, 65_535, 65_536, 300_000]
    for size in sizes:
        peer.endpoint.talk.say(b"x" * size)
    await peer.settled()
    assert [len(frame.data) for frame in peer.frames] == sizes
    assert {frame.opcode for frame in peer.frames} == {TEXT}


def test_a_fault_of_the_endpoint_is_told_by_the_close_and_to_the_log():
    async def broken(op, head, talk, calls):
        talk.open(())
        raise RuntimeError

    async def scenario():
        LOG.faults.clear()
        peer = await Peer(broken).opened()
        code, reason = peer.closed
        assert code == 1011
        assert "req_1" in reason
        assert LOG.faults == ["call_broke"]
        await peer.front.idle()

    in_loop(scenario)


@plays
async def test_fragments_make_one_text_also_inside_a_character(peer):
    word = "größe".encode()
    peer.say(Frame(TEXT, word[:3], fin=False), Frame(Opcode.PING, b"p"), Frame(CONT, word[3:]))
    await peer.settled()
    assert peer.endpoint.texts == [word]
    assert [f.data for f in peer.frames if f.opcode is Opcode.PONG] == [b"p"]


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([(Opcode.BINARY, b"x")], 1003),
        ([(TEXT, b"\xff")], 1007),
        ([(TEXT, b"x" * (TEXT_BYTES_MAX + 1))], 1009),
        ([Frame(TEXT, b"x" * TEXT_BYTES_MAX, fin=False), (CONT, b"y")], 1009),
        ([(CONT, b"x")], 1002),
        ([Frame(TEXT, b"x", fin=False), (TEXT, b"y")], 1002),
        ([b"\xc1\x80abcd"], 1002),
        ([Frame(TEXT, b"x", fin=False), (CLOSE, b"")], 1002),
    ],
)
def test_what_may_not_be_sent_ends_it_with_its_code(frames, code):
    async def scenario():
        peer = await Peer(bodies_bytes_max=SPACE_BYTES).opened()
        peer.say((TEXT, b"before"), *frames, (TEXT, b"after"))
        await peer.settled()
        assert peer.closed[0] == code
        assert peer.endpoint.told == ["gone"]
        assert b"after" not in peer.endpoint.texts
        assert peer.endpoint.over.is_set()
        peer.line.send(b"whatever else comes")
        # Only the half that is ours is closed, so that the reason is not lost in a reset.
        both = frames[-1][0] is CLOSE
        assert (peer.link.half_closed, peer.link.fate) == (not both, "closing" if both else "open")
        peer.line.later(CLOSE_WAIT_S)
        assert peer.link.fate == ("closing" if both else "aborted")
        assert free_bytes(peer) == SPACE_BYTES
        peer.line.lose()
        await peer.front.idle()

    in_loop(scenario)


@plays
async def test_a_frame_without_a_mask_ends_it(peer):
    peer.line.send(Frame(TEXT, b"x").serialize(mask=False))
    await peer.settled()
    assert peer.closed[0] == 1002


@plays
async def test_a_front_is_not_idle_while_somebody_talks(peer):
    idle = asyncio.create_task(peer.front.idle())
    await peer.settled()
    assert not idle.done()
    peer.line.lose()
    await idle


@plays
async def test_the_peer_may_close(peer):
    peer.say((CLOSE, (1000).to_bytes(2)))
    await peer.settled()
    assert peer.closed == (1000, "")
    assert (peer.link.fate, peer.endpoint.told) == ("closing", ["gone"])
    peer.endpoint.talk.say(b"too late")
    peer.endpoint.talk.close(1001, "")
    peer.line.lose()
    await peer.front.idle()


@plays
async def test_a_lost_connection_is_told_once(peer):
    peer.line.lose()
    await peer.settled()
    assert peer.endpoint.told == ["gone"]
    assert peer.endpoint.over.is_set()
    late = Talker()
    peer.endpoint.talk.listen(late)
    assert late.told == ["gone"]
    assert len(peer.line.all) == 0


@plays
async def test_a_sender_of_many_texts_is_not_read_on(peer):
    peer.endpoint.hears.clear()
    for text in (b"one", b"two"):
        peer.text(text)
        await peer.settled()
    assert peer.endpoint.texts == [b"one"]
    peer.say((TEXT, b"three"), (TEXT, b"four"))
    assert not peer.link.reading
    peer.endpoint.hears.set()
    await peer.settled()
    assert peer.endpoint.texts == [b"one", b"two", b"three", b"four"]
    assert peer.link.reading


@plays
async def test_hearing_may_be_given_up_and_begun_again(peer):
    peer.endpoint.hears.clear()
    peer.text(b"first")
    await peer.settled()
    waiting = asyncio.create_task(peer.endpoint.talk.hear())
    await asyncio.sleep(0)
    waiting.cancel()
    peer.text(b"second")
    peer.endpoint.hears.set()
    await peer.settled()
    assert peer.endpoint.texts == [b"first", b"second"]


def test_what_is_held_counts_until_it_is_forgotten():
    async def scenario():
        peer = await Peer(Talker(forgets=False), bodies_bytes_max=SPACE_BYTES).opened()
        whole = Frame(TEXT, b"x" * 5000).serialize(mask=True)
        peer.line.send(whole[:3000])
        header_bytes = len(whole) - 5000
        assert free_bytes(peer) == SPACE_BYTES - (3000 - header_bytes)
        peer.line.send(whole[3000:])
        await peer.settled()
        assert free_bytes(peer) == SPACE_BYTES - 5000
        peer.say(Frame(TEXT, b"y" * 10, fin=False), Frame(CONT, b"z" * 10, fin=False))
        assert free_bytes(peer) == SPACE_BYTES - 5020
        peer.endpoint.talk.forget(peer.endpoint.texts[0])
        assert free_bytes(peer) == SPACE_BYTES - 20
        peer.line.lose()
        assert free_bytes(peer) == SPACE_BYTES

    in_loop(scenario)


def test_where_there_is_no_room_it_ends_and_says_so():
    async def scenario():
        peer = await Peer(Talker(forgets=False), bodies_bytes_max=SPACE_BYTES).opened()
        peer.front.space.take(SPACE_BYTES - 100)
        peer.line.send(Frame(TEXT, b"x" * 5000).serialize(mask=True)[:200])
        await peer.settled()
        assert peer.closed[0] == 1013
        assert peer.endpoint.told == ["gone"]
        assert free_bytes(peer) == 100

    in_loop(scenario)


@plays
async def test_a_slow_reader_is_told_of_and_one_that_takes_nothing_is_cut_off(peer):
    peer.link.blocked = True
    stall_max_s = peer.front.options.stall_max_s
    peer.endpoint.talk.say(b"x" * peer.front.options.pressure_high_bytes * 2)
    assert peer.endpoint.told == [True]
    peer.line.later(stall_max_s - 1)
    peer.link.take(1)
    peer.line.later(1)
    assert peer.link.fate == "open", "it took something"
    peer.line.later(stall_max_s)
    assert peer.link.fate == "aborted"


@plays
async def test_a_reader_that_catches_up_is_told_of_too(peer):
    peer.link.blocked = True
    peer.endpoint.talk.say(b"x" * peer.front.options.pressure_high_bytes * 2)
    peer.link.take(peer.link.unsent_bytes, low=True)
    assert peer.endpoint.told == [True, False]
    peer.line.later(peer.front.options.stall_max_s)
    assert peer.link.fate == "open"


@plays
async def test_a_quiet_peer_is_asked_whether_it_lives(peer):
    for asked in range(1, 4):
        peer.line.later(PING_EVERY_S)
        peer.read()
        assert [f.opcode for f in peer.frames] == [Opcode.PING] * asked
    peer.say((Opcode.PONG, b""))
    peer.line.later(PING_EVERY_S)
    assert peer.link.fate == "open"
    peer.line.later(SILENT_MAX_S)
    assert peer.link.fate == "aborted"


@plays
async def test_who_is_not_read_cannot_answer(peer):
    peer.endpoint.hears.clear()
    peer.say((TEXT, b"one"), (TEXT, b"two"))
    await peer.settled()
    assert not peer.link.reading
    for _ in range(10):
        peer.line.later(SILENT_MAX_S)
    assert peer.link.fate == "open"


@plays
async def test_at_a_stop_what_was_heard_comes_to_its_end(peer):
    peer.endpoint.hears.clear()
    peer.say((TEXT, b"one"), (TEXT, b"two"))
    await peer.settled()
    peer.line.all.drain()
    peer.text(b"three")
    peer.endpoint.hears.set()
    await peer.settled()
    assert peer.endpoint.texts == [b"one", b"two"]
    assert peer.endpoint.over.is_set()
    assert peer.closed == (1000, "")
    peer.confirm_close()
    assert peer.link.fate == "closing"
    await peer.front.idle()


@plays
async def test_a_close_that_is_not_answered_has_its_time(peer):
    peer.endpoint.talk.close(1001, "going")
    peer.endpoint.talk.close(1000, "again")
    await peer.settled()
    assert peer.closed == (1001, "going")
    peer.line.later(CLOSE_WAIT_S - 1)
    assert peer.link.fate == "open"
    peer.line.later(1)
    assert peer.link.fate == "aborted"


@plays
async def test_a_close_behind_much_that_is_unsent_gets_the_time_of_a_slow_reader(peer):
    peer.link.blocked = True
    peer.endpoint.talk.say(b"x" * peer.front.options.pressure_high_bytes * 2)
    peer.endpoint.talk.close(1001, "going")
    peer.line.later(CLOSE_WAIT_S)
    assert peer.link.fate == "open"
    peer.line.later(peer.front.options.stall_max_s)
    assert peer.link.fate == "aborted"


class Way:
    """Where a call in a talk answers."""

    def __init__(self) -> None:
        self.said: list[object] = []
        self.started = False

    def start(self, status, headers):
        self.started = True
        self.said.append(status)

    def write(self, chunk):
        self.said.append(json.loads(chunk))

    def end(self):
        if self.said[-1:] != ["end"]:
            self.said.append("end")


def test_calls_in_a_talk_are_counted_refused_and_waited_for_as_any():
    async def broken(op, head, body, sink):
        raise RuntimeError

    async def scenario():
        peer = await Peer(calls_max=1).opened()
        calls, head = peer.endpoint.calls, peer.endpoint.head
        one, two = Way(), Way()
        begun = [calls.begin(answering(), head, b"", way) for way in (one, two)]
        await asyncio.wait(begun)
        assert one.said == [503, one.said[1], "end"]
        assert one.said[1]["error"]["request_id"] == "req_2"
        assert two.said == [200, {"well": True}, "end"]
        well, bad = Way(), Way()
        await calls.begin(answering(b"1"), head, b"2", well)
        assert well.said == [200, 12, "end"]
        await calls.begin(broken, head, b"", bad)
        assert bad.said[1]["error"]["code"] == "internal_error"
        last = calls.begin(answering(), head, b"", Way())
        peer.front.cut_short()
        peer.front.draining = True
        late = Way()
        await calls.begin(answering(), head, b"", late)
        assert late.said[1]["error"]["code"] == "server_shutting_down"
        await last
        peer.line.lose()
        await peer.front.idle()

    in_loop(scenario)


@pytest.mark.parametrize("seed", range(40))
def test_nothing_that_is_sent_breaks_it_or_stays_in_memory(seed):
    async def scenario():
        noise = random.Random(seed)
        peer = await Peer(bodies_bytes_max=SPACE_BYTES).opened()
        good = Frame(TEXT, noise.randbytes(noise.randint(0, 300)).hex().encode())
        raw = bytearray(good.serialize(mask=True) * 3 + noise.randbytes(noise.randint(0, 99)))
        for _ in range(noise.randint(0, 3)):
            raw[noise.randrange(len(raw))] = noise.randrange(256)
        while raw and not peer.link.is_closing():
            size = noise.randint(1, 200)
            peer.line.send(bytes(raw[:size]))
            del raw[:size]
            await peer.settled()
        if not peer.link.is_closing():
            peer.line.lose()
        await peer.settled()
        peer.line.later(CLOSE_WAIT_S)
        if len(peer.line.all):
            peer.line.lose()
        await peer.front.idle()
        assert free_bytes(peer) == SPACE_BYTES

    in_loop(scenario)
