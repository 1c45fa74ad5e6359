"""Conversations: which calls belong together, where they run, and why a cache served no more."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.booth import TestBooth, chat, open_test_booth
from tokenbooth.core.caller import Caller
from tokenbooth.core.delta import Usage
from tokenbooth.core.terms import ServiceTier
from tokenbooth.core.turn import ImagePart, Message, Role, TextPart, Tool, ToolCall, Turn
from tokenbooth.engines.scripted import ScriptOptions
from tokenbooth.engines.scripted.values import AnswerKind, Fault
from tokenbooth.gateway import prefixes
from tokenbooth.gateway.prefixes import (
    BLOCK_BYTES,
    BLOCKS_MAX,
    DIGEST_BYTES,
    CacheVerdict,
    PrefixBook,
    Why,
    prefix_of,
    rank,
    session_of,
    with_session,
)
from tokenbooth.protocols.dialect import Parsed

ACME = Caller("org_a", "proj_a", "key_a", frozenset())
OTHER = Caller("org_b", "proj_b", "key_b", frozenset())
USAGE = Usage(input_tokens=100, output_tokens=1, cached_input_tokens=90)
LONG = "The quick brown fox jumps over the lazy dog. " * 20


def said(role: Role, text: str) -> Message:
    return Message(role, (TextPart(text),))


def turn(*messages: Message, **fields: Any) -> Turn:
    return Turn(model="demo", messages=messages or (said(Role.USER, LONG),), **fields)


TOOL = Tool("weather", "", "{}")
FIRST = turn(said(Role.SYSTEM, LONG), said(Role.USER, "Hello."))
NEXT = turn(*FIRST.messages, said(Role.ASSISTANT, "Hi."), said(Role.USER, "Go on. " * 40))


def test_a_conversation_keeps_its_session_as_it_grows() -> None:
    assert session_of(ACME, FIRST) == session_of(ACME, NEXT)
    assert session_of(ACME, FIRST) != session_of(ACME, turn(said(Role.USER, "Another.")))
    with_tool = turn(*FIRST.messages, tools=(TOOL,))
    assert session_of(ACME, with_tool) != session_of(ACME, FIRST)
    assert session_of(ACME, turn(*FIRST.messages, end_customer="ann")) != session_of(ACME, FIRST)


def test_a_stated_key_makes_the_session() -> None:
    one, other = turn(hints={"prompt_cache_key": "k"}), turn(*FIRST.messages)
    same = turn(*NEXT.messages, hints={"prompt_cache_key": "k"})
    assert session_of(ACME, one) == session_of(ACME, same) != session_of(ACME, other)


def test_no_session_is_shared_between_projects() -> None:
    book = PrefixBook()
    stated = turn(hints={"prompt_cache_key": "k"})
    book.ran("req_1", book.match(ACME, stated), USAGE, "dep_1")
    assert book.match(OTHER, stated).why is Why.FIRST_CALL
    assert book.match(ACME, stated).why is None


def test_a_header_names_a_session_where_the_body_does_not() -> None:
    parsed = Parsed(turn(), stream=False, include_usage=False)
    headers = {"x-session-id": "s" * 300}
    assert with_session(parsed, {}) is parsed
    named = with_session(parsed, headers)
    assert named.turn.hints == {"prompt_cache_key": "s" * 256}
    affine = with_session(parsed, {**headers, "x-session-affinity": "a"})
    assert affine.turn.hints == {"prompt_cache_key": "a"}
    assert with_session(named, {"x-session-affinity": "a"}) is named


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (NEXT, None),
        (FIRST, None),
        (turn(*FIRST.messages, tools=(TOOL,)), Why.TOOLS_CHANGED),
        (turn(*FIRST.messages, reasoning_effort="high"), Why.REASONING_EFFORT_CHANGED),
        (Turn(model="other", messages=FIRST.messages), Why.MODEL_CHANGED),
        (turn(said(Role.SYSTEM, "x" + LONG), *FIRST.messages[1:]), Why.INPUT_CHANGED),
    ],
)
def test_the_reason_is_the_first_that_tells(now: Turn, why: Why | None) -> None:
    book = PrefixBook()
    key = {"prompt_cache_key": "k"}
    first = Turn(model="demo", messages=FIRST.messages, hints=key)
    book.ran("req_1", book.match(ACME, first), USAGE, "dep_1")
    fields = {name: getattr(now, name) for name in ("model", "messages", "tools")}
    asked = Turn(**fields, reasoning_effort=now.reasoning_effort, hints=key)
    match = book.match(ACME, asked)
    assert match.why is why
    whole = len(match.prefix.blocks) // DIGEST_BYTES * BLOCK_BYTES
    assert (match.matched_bytes > 0) is (why is None)
    assert match.matched_bytes <= whole <= match.prefix.length_bytes


@given(st.integers(0, 6 * BLOCK_BYTES), st.integers(1, 4 * BLOCK_BYTES))
def test_a_match_ends_where_the_prompts_part(place: int, more: int) -> None:
    """Never more is matched than is the same, and never a block less."""
    text = LONG[: 6 * BLOCK_BYTES]
    book = PrefixBook()
    key = {"prompt_cache_key": "k"}
    head = len(prefix_text(turn(said(Role.USER, ""))))
    book.ran("req_1", book.match(ACME, turn(said(Role.USER, text), hints=key)), USAGE, None)
    changed = text[:place] + "\x01" * more
    match = book.match(ACME, turn(said(Role.USER, changed), hints=key))
    same = head + len(text[:place])
    before = (head + len(text)) // BLOCK_BYTES
    assert match.matched_bytes == min(same // BLOCK_BYTES, before) * BLOCK_BYTES


def prefix_text(asked: Turn) -> bytes:
    return b"\0" * prefix_of(asked).length_bytes


def test_everything_in_a_prompt_counts() -> None:
    called = Message(Role.ASSISTANT, (), tool_calls=(ToolCall("c", "weather", '{"a":1}' * 30),))
    other = Message(Role.ASSISTANT, (), tool_calls=(ToolCall("c", "weather", '{"a":2}' * 30),))
    pictured = Message(Role.USER, (ImagePart("data:image/png;base64," + "A" * 300),))
    assert prefix_of(turn(called)).blocks != prefix_of(turn(other)).blocks
    assert prefix_of(turn(pictured)).length_bytes > 300
    assert prefix_of(turn(said(Role.USER, LONG))) != prefix_of(turn(said(Role.SYSTEM, LONG)))


def test_a_long_prompt_is_remembered_by_its_beginning() -> None:
    huge = turn(said(Role.USER, "a" * (BLOCKS_MAX * BLOCK_BYTES)), said(Role.USER, LONG))
    found = prefix_of(huge)
    assert len(found.blocks) == BLOCKS_MAX * DIGEST_BYTES
    assert found.length_bytes > BLOCKS_MAX * BLOCK_BYTES + len(LONG)


@pytest.mark.parametrize(
    ("cached", "deployment", "why"),
    [
        (900, "dep_1", None),
        (900, "dep_2", None),
        (None, "dep_1", Why.NOT_TOLD),
        (None, "dep_2", Why.DEPLOYMENT_CHANGED),
        (0, "dep_1", Why.EVICTED),
        (16, "dep_2", Why.DEPLOYMENT_CHANGED),
    ],
)
def test_what_became_of_a_match(cached: int | None, deployment: str, why: Why | None) -> None:
    book = PrefixBook()
    book.ran("req_1", book.match(ACME, FIRST), USAGE, "dep_1")
    usage = Usage(input_tokens=1000, output_tokens=1, cached_input_tokens=cached)
    book.ran("req_2", book.match(ACME, FIRST), usage, deployment)
    could = 1000 * (len(prefix_of(FIRST).blocks) // DIGEST_BYTES * BLOCK_BYTES)
    assert book.verdict("req_1") == CacheVerdict(0, 90, Why.FIRST_CALL)
    matched_tokens = could // prefix_of(FIRST).length_bytes
    assert book.verdict("req_2") == CacheVerdict(matched_tokens, cached, why)
    assert book.verdict("req_3") is None


def test_a_project_forgets_its_own_sessions_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefixes, "SESSIONS_OF_PROJECT_MAX", 3)
    monkeypatch.setattr(prefixes, "SESSIONS_MAX", 4)
    book = PrefixBook()

    def ran(caller: Caller, key: str) -> None:
        asked = turn(hints={"prompt_cache_key": key})
        book.ran(f"{caller.key_id}-{key}", book.match(caller, asked), USAGE, None)

    def known(caller: Caller) -> str:
        keys = "abcdef"
        found = (book.match(caller, turn(hints={"prompt_cache_key": key})) for key in keys)
        return "".join(k for k, m in zip(keys, found, strict=True) if m.why is None)

    ran(OTHER, "a")
    for key in "abcad":
        ran(ACME, key)
    assert (known(ACME), known(OTHER)) == ("acd", "a")
    ran(OTHER, "b")
    assert (known(ACME), known(OTHER)) == ("acd", "b")
    assert book.verdict("key_b-a") is None
    assert book.verdict("key_b-b") is not None
    third = Caller("org_c", "proj_c", "key_c", frozenset())
    ran(third, "a")
    ran(third, "b")
    assert (known(ACME), known(OTHER), known(third)) == ("d", "b", "ab")


def test_one_deployment_less_moves_its_own_sessions_alone() -> None:
    deployments = ["dep_1", "dep_2", "dep_3"]
    sessions = [("proj", str(number)) for number in range(300)]

    def first(session: tuple[str, str], among: list[str]) -> str:
        return min(among, key=lambda each: rank(session, each))

    before = {session: first(session, deployments) for session in sessions}
    counts = [sum(found == each for found in before.values()) for each in deployments]
    assert min(counts) > 60
    after = {session: first(session, deployments[:2]) for session in sessions}
    assert all(after[s] == before[s] for s in sessions if before[s] != "dep_3")


def booth_of_two(directory: Path, **fields: Any) -> Any:
    scripts = [ScriptOptions(answer=AnswerKind.TEXT, text=text) for text in ("one", "two")]
    return open_test_booth(directory, *scripts, alike=True, **fields)


async def asked(booth: TestBooth, key: str, **fields: Any) -> tuple[str, str]:
    sink = await booth.ask(chat(prompt_cache_key=key, **fields))
    return sink.document["choices"][0]["message"]["content"], sink.headers["x-tokenbooth-prefix"]


def test_a_conversation_stays_where_it_is_and_others_spread(tmp_path: Path) -> None:
    async def work() -> None:
        async with booth_of_two(tmp_path) as booth:
            keys = [str(number) for number in range(12)]
            first = {key: (await asked(booth, key))[0] for key in keys}
            again = {key: (await asked(booth, key))[0] for key in keys}
            assert first == again
            assert set(first.values()) == {"one", "two"}

    asyncio.run(work())


def test_a_header_says_how_much_is_as_before(tmp_path: Path) -> None:
    async def work() -> None:
        async with booth_of_two(tmp_path) as booth:
            length = prefix_of(turn(said(Role.USER, LONG))).length_bytes
            matched = length // BLOCK_BYTES * BLOCK_BYTES
            asks = [LONG, LONG, LONG + "more", LONG[:300]]
            found = [(await asked(booth, "k", messages=chat(text)["messages"]))[1] for text in asks]
            assert found[:2] == [
                f"matched-bytes=0; of-bytes={length}; reason=first_call",
                f"matched-bytes={matched}; of-bytes={length}",
            ]
            assert found[2] == f"matched-bytes={matched}; of-bytes={length + 4}"
            assert found[3].endswith("reason=input_changed")

    asyncio.run(work())


def test_who_is_full_is_not_waited_for(tmp_path: Path) -> None:
    async def work() -> None:
        async with booth_of_two(tmp_path, deployment={"concurrency_max": 1}) as booth:
            home, _ = await asked(booth, "k")
            offered = await booth.rooms.directory.model(booth.op, "demo")
            mine = offered.model.deployments[("one", "two").index(home)]
            asked_for = booth.rooms.gates.place("org", ServiceTier.STANDARD, 1, 1)
            place = await booth.rooms.gates.enter(mine, asked_for)
            assert (await asked(booth, "k"))[0] != home
            place.leave()
            assert (await asked(booth, "k"))[0] == home

    asyncio.run(work())


def test_a_failing_home_is_left_before_the_first_output(tmp_path: Path) -> None:
    async def work() -> None:
        broken = ScriptOptions(fault=Fault.FAIL)
        good = ScriptOptions(answer=AnswerKind.TEXT, text="good")
        async with open_test_booth(tmp_path, broken, good, alike=True) as booth:
            for key in "abcdef":
                assert (await asked(booth, key))[0] == "good"

    asyncio.run(work())
