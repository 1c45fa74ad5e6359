"""What the quick reader takes is what the table of all parameters makes of it."""

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import Role, TextPart
from tokenbooth.protocols.openai_chat.parse import parse, parse_any
from tokenbooth.protocols.openai_chat.usual import usual

MESSAGES = [
    {"role": "system", "content": "be short"},
    {"role": "developer", "content": ""},
    {"role": "user", "content": 'say "a": 1 and {"b":2} \\ ä \u2028'},
    {"role": "assistant", "content": ": no"},
]
PLAIN: dict[str, Any] = {"model": "m", "messages": MESSAGES}
FIELDS: dict[str, list[Any]] = {
    "stream": [True, False],
    "stream_options": [{"include_usage": True}, {"include_usage": False}, {}],
    "max_tokens": [1, 256, 2**31 - 1, 0, 2**31, 2.0, "2", None, True],
    "max_completion_tokens": [5, 5.5, None],
    "temperature": [0, 0.7, 2, 2.1, -0.0, 1e-7, None, True],
    "top_p": [0, 0.5, 1, 1.1],
    "user": ["u", "", "x" * 256, "x" * 257, None],
    "model": ["", "a" * 256, "a" * 257, 3],
    "messages": [[], [{"role": "tool", "content": "x"}], [{"role": "user"}], "x"],
    "n": [1],
    "unknown": [1],
}
TAKEN = json.dumps(
    {
        **PLAIN,
        "messages": MESSAGES[:3],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 256,
        "temperature": 0.7,
        "top_p": 1,
        "user": "u",
    },
    separators=(",", ":"),
).encode()


def agrees(raw: bytes) -> bool:
    """Whether the quick reader took it; it must have read what the table reads."""
    quick = usual(raw)
    if quick is not None:
        assert quick == parse_any(raw), raw
        assert quick.echo == {}
    return quick is not None


def test_a_plain_call_is_taken() -> None:
    assert agrees(TAKEN)
    assert agrees(json.dumps(PLAIN | {"messages": MESSAGES[:3]}).encode())
    parsed = parse(TAKEN)
    assert parsed.stream
    assert parsed.include_usage
    assert parsed.turn.messages[0].role is Role.SYSTEM
    assert parsed.turn.messages[1].parts == (TextPart(""),)
    assert (parsed.turn.output_tokens_max, parsed.turn.end_customer) == (256, "u")


@pytest.mark.parametrize(
    "raw",
    [
        TAKEN.replace(b'"model":"m"', b'"model":"m","model":"n"'),
        TAKEN.replace(b'"model":"m"', b'"model":"m","model" :"n"'),
        TAKEN.replace(b'"role":"user"', b'"role":"user","role":"system"'),
        TAKEN.replace(b'"include_usage":true', b'"include_usage":true,"include_usage":false'),
        TAKEN.replace(b"0.7", b"0." + b"7" * 70),
        TAKEN.replace(b"256", b"256." + b"0" * 70),
        TAKEN.replace(b"be short", b"\\u0000"),
        TAKEN.replace(b"be short", b"\\ud800"),
        TAKEN.replace(b"be short", b"\xff"),
        TAKEN.replace(b"be short", b"\x01"),
        TAKEN.replace(b"0.7", b"NaN"),
        TAKEN.replace(b"0.7", b"1e999"),
        TAKEN + b"{}",
        b"[]",
        b"",
    ],
)
def test_what_two_readers_could_read_differently_is_left_alone(raw: bytes) -> None:
    assert usual(raw) is None
    with pytest.raises(Problem):
        parse(raw)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from([(name, value) for name, values in FIELDS.items() for value in values]),
        max_size=4,
    )
)
def test_any_fields_are_read_alike(chosen: list[tuple[str, Any]]) -> None:
    body = PLAIN | dict(chosen)
    for raw in (json.dumps(body), json.dumps(body, indent=1, ensure_ascii=False)):
        agrees(raw.encode())


def test_spoiled_bytes_are_read_alike() -> None:
    chance = random.Random(7)
    taken = 0
    alphabet = b'"\\:,{}[] \n\t0123456789.eE-+aunltr\x00\x1f\xc3\xa4\xff'
    for _ in range(6_000):
        raw = bytearray(TAKEN)
        for _ in range(chance.randrange(1, 3)):
            at = chance.randrange(len(raw))
            match chance.randrange(3):
                case 0:
                    raw[at] = chance.choice(alphabet)
                case 1:
                    raw.insert(at, chance.choice(alphabet))
                case _:
                    piece = raw[at : at + chance.randrange(1, 20)]
                    raw[at:at] = piece
        taken += agrees(bytes(raw))
    assert taken > 200
