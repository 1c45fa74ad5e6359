"""The calls that both servers get: each wish, whole, streamed and counted."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from tests.oracle.families import (
    COUNTING,
    LIMIT_NAME,
    MODEL,
    NOTHING,
    PATHS,
    Family,
    Fields,
    Mode,
)
from tests.oracle.wishes import CHATTY, PROMPTS, WISHES, Wish


@dataclass(frozen=True)
class Case:
    family: Family
    name: str
    mode: Mode
    path: str
    body: Fields

    @property
    def title(self) -> str:
        return f"{self.family}/{self.name}/{self.mode}"


def cases() -> Iterator[Case]:
    """All of them, in a fixed order."""
    for wish in WISHES:
        for family in wish.only or (*CHATTY, Family.COMPLETIONS):
            yield from _modes(wish, family)
    for name, prompt in PROMPTS:
        wish = Wish(f"prompt: {name}", (("user", prompt),))
        yield from _modes(wish, Family.COMPLETIONS)


def _modes(wish: Wish, family: Family) -> Iterator[Case]:
    if family is Family.COMPLETIONS and not _is_raw(wish):
        return
    body = _body(wish, family)
    whole = {name: value for name, value in body.items() if name != "stream_options"}
    case = Case(family, wish.name, Mode.WHOLE, PATHS[family], whole)
    yield case
    streamed = {**body, "stream": True}
    if family in (Family.CHAT, Family.COMPLETIONS):
        streamed = {"stream_options": {"include_usage": True}, **streamed}
    yield replace(case, mode=Mode.STREAMED, body=streamed)
    if family in COUNTING:
        yield replace(case, mode=Mode.COUNTED, path=COUNTING[family])


def _is_raw(wish: Wish) -> bool:
    """Raw prompts have no roles, and models seldom end them by themselves."""
    (role, _), *others = wish.turns
    return role == "user" and not others and wish.system is None and wish.limit_tokens is not None


def _body(wish: Wish, family: Family) -> dict[str, Any]:
    body: dict[str, Any] = {"model": MODEL, "temperature": 0, **_words(wish, family)}
    if wish.limit_tokens is not None:
        body[LIMIT_NAME[family]] = wish.limit_tokens
    body |= wish.fields | (wish.only or {}).get(family, NOTHING)
    return {name: value for name, value in body.items() if value is not None}


def _item(turn: tuple[str, str]) -> Fields:
    """What an assistant said comes back as it was given, else some servers refuse it."""
    role, text = turn
    if role != "assistant":
        return {"type": "message", "role": role, "content": text}
    part = {"type": "output_text", "text": text, "annotations": []}
    return {
        "type": "message",
        "id": "msg_1",
        "status": "completed",
        "role": role,
        "content": [part],
    }


def _words(wish: Wish, family: Family) -> Fields:
    turns = [{"role": role, "content": text} for role, text in wish.turns]
    match family:
        case Family.COMPLETIONS:
            return {"prompt": wish.turns[0][1]}
        case Family.RESPONSES:
            plain = len(turns) == 1 and turns[0]["role"] == "user"
            asked: Any = wish.turns[0][1] if plain else list(map(_item, wish.turns))
            system = {} if wish.system is None else {"instructions": wish.system}
            return {"input": asked, **system}
        case Family.MESSAGES:
            system = {} if wish.system is None else {"system": wish.system}
            return {"messages": turns, **system}
    first = [] if wish.system is None else [{"role": "system", "content": wish.system}]
    return {"messages": [*first, *turns]}
