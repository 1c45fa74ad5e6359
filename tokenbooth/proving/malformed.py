"""Bodies that no server may accept, each with the one refusal that is right for it."""

import json
from collections.abc import Callable
from dataclasses import dataclass

Body = Callable[[str, str], bytes]

ABSURD = 10**30
ANNOUNCED_BYTES = 2**40
NESTED_LEVELS = 5000


@dataclass(frozen=True, slots=True)
class Malformed:
    """``body`` makes the bytes from a model and an end customer; ``announced_bytes`` is the
    content-length to claim, ``None`` for the true one. ``engine_decides`` where only the engine
    can tell, so that the call passes the hold and is recorded as refused."""

    name: str
    body: Body
    status: int = 400
    engine_decides: bool = False
    announced_bytes: int | None = None


def _fields(**changed: object) -> Body:
    """A good body with some fields replaced; ``...`` leaves a field out."""

    def body(model: str, mark: str) -> bytes:
        good = {"model": model, "messages": _said("hello"), "user": mark}
        fields = {**good, **changed}
        return json.dumps({k: v for k, v in fields.items() if v is not ...}).encode()

    return body


def _raw(raw: bytes) -> Body:
    return lambda _model, _mark: raw


def _twice(model: str, mark: str) -> bytes:
    name = json.dumps(model)
    return (
        f'{{"model":{name},"model":{name},"messages":[{{"role":"user","content":"x"}}]}}'.encode()
    )


def _cut_off(model: str, mark: str) -> bytes:
    return _fields()(model, mark)[:-7]


def _said(content: object) -> list[dict[str, object]]:
    return [{"role": "user", "content": content}]


MALFORMED = (
    Malformed("empty body", _raw(b"")),
    Malformed("cut off", _cut_off),
    Malformed("not JSON", _raw(b"hello=world")),
    Malformed("an array", _raw(b"[]")),
    Malformed("a number", _raw(b"7")),
    Malformed("invalid UTF-8", _raw(b'{"model":"\xff\xfe"}')),
    Malformed("deep nesting", _raw(b"[" * NESTED_LEVELS + b"]" * NESTED_LEVELS)),
    Malformed("duplicate key", _twice),
    Malformed("NUL character", _fields(messages=_said("a\0b"))),
    Malformed("lone surrogate", _fields(messages=_said("\ud800"))),
    Malformed("not a number", _fields(temperature=float("nan"))),
    Malformed("no model", _fields(model=...)),
    Malformed("model of another type", _fields(model=7)),
    Malformed("no messages", _fields(messages=...)),
    Malformed("empty messages", _fields(messages=[])),
    Malformed("messages of another type", _fields(messages="hello")),
    Malformed("unknown role", _fields(messages=[{"role": "oracle", "content": "hello"}])),
    Malformed("message without content", _fields(messages=[{"role": "user"}])),
    Malformed("negative limit", _fields(max_tokens=-1)),
    Malformed("zero limit", _fields(max_completion_tokens=0)),
    Malformed("absurd limit", _fields(max_completion_tokens=ABSURD)),
    Malformed("limit over the model's", _fields(max_completion_tokens=1_000_000)),
    Malformed("limit of another type", _fields(max_tokens="many")),
    Malformed("temperature out of range", _fields(temperature=-3)),
    Malformed("no choices", _fields(n=0)),
    Malformed("stream of another type", _fields(stream="yes")),
    Malformed(
        "too long prompt",
        _fields(messages=_said("word " * 20_000), max_tokens=16),
        engine_decides=True,
    ),
    Malformed("over-size body", _raw(b"{"), status=413, announced_bytes=ANNOUNCED_BYTES),
)
