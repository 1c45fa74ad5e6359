"""Calls that something went wrong with, each a function of its seed: in the structure of the body,
in its bytes, or around it."""

import copy
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.support.client_bodies import BODIES
from tests.support.spoiled import Place, holder_of, places

Header = tuple[bytes, bytes]
PATHS = {
    "openai_chat": ("/v1/chat/completions",),
    "openai_responses": ("/v1/responses",),
    "anthropic_messages": ("/v1/messages", "/v1/messages", "/v1/messages/count_tokens"),
}
WORDS = (
    "",
    " ",
    "demo",
    "auto",
    "none",
    "user",
    "tool",
    "text",
    "function",
    "\0",
    "a\0b",
    "\ud800",
    "\udc00x",
    "é" * 40,
    "\u2028\u202e\ufeff",
    "😀" * 9,
    "%s%d%n{0}",
    "../../etc/passwd",
    "<script>",
    "' OR 1=1 --",
    "x" * 5000,
    "http://127.0.0.1/x.png",
    "file:///etc/passwd",
    "data:image/png;base64,!!!!",
    "rs_1",
    "true",
    "1e999",
    "\r\nx-evil: 1",
)
NUMBERS = (0, -1, 1, 2, 129, 2**31, 2**53 + 1, 2**63, -(2**63), 2**64, 10**30, 0.5, -0.0, 1e308)
LITERALS = (b"NaN", b"Infinity", b"-Infinity", b"1e999999", b"9" * 4000, b"-", b"01", b".5", b"+1")
SPOKEN = (
    (
        b"content-type",
        (b"text/plain", b"application/xml", b"", b"text/json; charset=utf-16"),
    ),
    (b"content-encoding", (b"gzip", b"br", b"identity")),
    (b"content-length", (b"0", b"1", b"-5", b"9" * 30, b"x", b"99999999", b"\xff")),
    (b"accept", (b"text/event-stream", b"image/png", b"*/*;q=2")),
    (b"x-tokenbooth-strict", (b"1", b"0", b"maybe", b"\xff", b"")),
    (b"idempotency-key", (b"k", b"", b"\xff\x00", b"k" * 5000, b"a b")),
    (b"anthropic-version", (b"2023-06-01", b"1999", b"", b"\xe9")),
    (b"anthropic-beta", (b"a,b", b",,,", b"x" * 4000)),
    (b"openai-organization", (b"org", b"\x00")),
    (b"x-request-id", (b"mine", b"\r\n", b"r" * 900)),
    (b"x-forwarded-for", (b"127.0.0.1", b"::1, evil")),
    (b"traceparent", (b"00-0-0-00", b"\xff" * 60)),
    (b"", (b"", b"x")),
    (b"\xff\xfe", (b"\xff",)),
    (b"expect", (b"100-continue",)),
    (b"authorization", (b"Basic x", b"Bearer", b"", b"Bearer tb_live_" + b"0" * 46, b"\xff")),
    (b"x-api-key", (b"", b"sk-ant", b"\xff")),
)
QUERIES = (b"beta=true", b"%00=%ff", b"a&a&a", b"=", b"&" * 90, b"x=" + b"y" * 3000, b"\xff\xfe")


@dataclass(frozen=True)
class Attempt:
    """One call; ``keyed`` says whether the true key goes in the header that most clients use."""

    seed: int
    dialect: str
    path: str
    query: bytes
    headers: tuple[Header, ...]
    body: bytes
    keyed: bool
    pieces: int

    def replay(self) -> str:
        """How to see it again."""
        return (
            f"seed {self.seed} of {self.dialect}: TOKENBOOTH_TEST_FUZZ=1"
            f" TOKENBOOTH_TEST_FUZZ_SEED={self.seed}\nPOST {self.path}?{self.query!r}"
            f"\nkey sent: {self.keyed}, headers: {self.headers!r}\n{self.body[:4000]!r}"
        )


def attempt(dialect: str, seed: int) -> Attempt:
    """The call of this seed."""
    draw = random.Random(f"{dialect} {seed}")
    body: Any = copy.deepcopy(draw.choice(BODIES[dialect]))
    for _ in range(draw.choice((0, 1, 1, 1, 2, 3))):
        body = draw.choice(STRUCTURAL)(draw, body)
    raw = json.dumps(body, ensure_ascii=draw.random() < 0.5).encode("utf-8", "surrogatepass")
    if draw.random() < 0.35:
        raw = draw.choice(IN_BYTES)(draw, raw)
    headers = [(b"content-type", b"application/json")]
    if draw.random() < 0.3:
        for _ in range(draw.choice((1, 1, 2, 6))):
            name, values = draw.choice(SPOKEN)
            headers.append((name, draw.choice(values)))
    path, query = draw.choice(PATHS[dialect]), b""
    if draw.random() < 0.12:
        path, query = "/v1/quote", b"dialect=" + dialect.encode()
    if draw.random() < 0.08:
        query = draw.choice(QUERIES)
    keyed, pieces = draw.random() < 0.98, draw.choice((1, 1, 1, 2, 7))
    return Attempt(seed, dialect, path, query, tuple(headers), raw, keyed, pieces)


def _junk(draw: random.Random, depth: int = 0) -> Any:
    kind = draw.randrange(7 if depth < 3 else 5)
    if kind == 0:
        return draw.choice((None, True, False))
    if kind in (1, 2):
        return draw.choice(NUMBERS)
    if kind in (3, 4):
        return draw.choice(WORDS)
    inner = [_junk(draw, depth + 1) for _ in range(draw.randrange(4))]
    if kind == 5:
        return inner
    return {draw.choice((*WORDS, "type", "role", "content", "name")): each for each in inner}


def _place(draw: random.Random, body: Any) -> Place | None:
    found = list(places(body))
    return draw.choice(found) if found else None


def _at_a_place(change: Callable[[random.Random, Any, Any], None]) -> "Structural":
    """A change of the container of one place, which it is told with the last step to it."""

    def mutate(draw: random.Random, body: Any) -> Any:
        place = _place(draw, body)
        if place is not None:
            change(draw, holder_of(body, place), place[-1])
        return body

    return mutate


def _replace(draw: random.Random, holder: Any, step: Any) -> None:
    holder[step] = _junk(draw)


def _another_type(draw: random.Random, holder: Any, step: Any) -> None:
    value = holder[step]
    holder[step] = draw.choice((str(value), [value], {"value": value}, [value, value], not value))


def _remove(draw: random.Random, holder: Any, step: Any) -> None:
    del holder[step]


def _repeat(draw: random.Random, holder: Any, step: Any) -> None:
    if isinstance(holder, list):
        holder[step : step + 1] = [holder[step]] * draw.choice((2, 5, 130))
    else:
        holder[f"{step}{draw.choice(WORDS)}"] = holder[step]


def _deepen(draw: random.Random, holder: Any, step: Any) -> None:
    for _ in range(draw.choice((1, 5, 40, 120))):
        holder[step] = draw.choice(([holder[step]], {"properties": holder[step]}))


def _rename(draw: random.Random, holder: Any, step: Any) -> None:
    if isinstance(holder, dict):
        value = holder.pop(step)
        holder[draw.choice((step.upper(), f" {step}", f"{step}\0", draw.choice(WORDS)))] = value


def _shuffle(draw: random.Random, holder: Any, step: Any) -> None:
    if isinstance(holder, list):
        draw.shuffle(holder)
    else:
        other = draw.choice(list(holder))
        holder[step], holder[other] = holder[other], holder[step]


def _unknown(draw: random.Random, body: Any) -> Any:
    if isinstance(body, dict):
        body[draw.choice(("unheard_of", "__proto__", "betas", "extra_body", *WORDS))] = _junk(draw)
    return body


def _whole(draw: random.Random, body: Any) -> Any:
    return draw.choice((_junk(draw), [body], {"body": body}, body))


Structural = Callable[[random.Random, Any], Any]
STRUCTURAL: tuple[Structural, ...] = (
    *map(_at_a_place, (_replace, _replace, _another_type, _remove, _repeat, _deepen, _rename)),
    _at_a_place(_shuffle),
    _unknown,
    _unknown,
    _whole,
)


def _cut(draw: random.Random, raw: bytes) -> bytes:
    return raw[: draw.randrange(len(raw) + 1)]


def _flipped(draw: random.Random, raw: bytes) -> bytes:
    changed = bytearray(raw)
    for _ in range(draw.choice((1, 1, 4, 30))):
        if changed:
            changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed)


def _inserted(draw: random.Random, raw: bytes) -> bytes:
    bad = (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\0", b"\\u", b'"', b"//")
    place = draw.randrange(len(raw) + 1)
    return raw[:place] + draw.choice(bad) + raw[place:]


def _literal(draw: random.Random, raw: bytes) -> bytes:
    """One value becomes what is no JSON, or hardly."""
    pieces = raw.split(b": ")
    place = draw.randrange(len(pieces))
    depth = draw.choice((50, 500, 20_000))
    nested = draw.choice((b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth))
    value = draw.choice((*LITERALS, nested, b'"\\ud800"', b'"\\udc00\\ud800"'))
    _, comma, rest = pieces[place].partition(b",")
    return b": ".join((*pieces[:place], value + comma + rest, *pieces[place + 1 :]))


def _twice(draw: random.Random, raw: bytes) -> bytes:
    return raw.replace(b"{", draw.choice((b'{"model": "demo", ', b'{"type": 1, "type": 2, ')), 1)


def _around(draw: random.Random, raw: bytes) -> bytes:
    text = raw.decode("utf-8", "replace")
    return draw.choice(
        (
            b"\xef\xbb\xbf" + raw,
            raw + b"x",
            raw + raw,
            b" \n\t" * 50 + raw + b" " * 50,
            text.encode("utf-16"),
            text.encode("utf-32"),
            text.encode("latin-1", "replace"),
            b"",
            b"hello=world&model=demo",
            b"--x\r\ncontent-disposition: form-data\r\n\r\n" + raw,
        )
    )


IN_BYTES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _cut,
    _flipped,
    _inserted,
    _literal,
    _literal,
    _twice,
    _around,
)
