"""Whether the published API has a field, as the official packages know it."""

import typing
from collections.abc import Iterator, Mapping
from types import NoneType, UnionType
from typing import Any

import anthropic.types as anthropic
import openai.types as openai
from openai.types import chat, responses, shared
from pydantic import BaseModel

from tests.oracle.cases import Case
from tests.oracle.families import Family, Mode


class _OpenAiError(BaseModel):
    error: shared.ErrorObject


_WHOLE: Mapping[Family, Any] = {
    Family.CHAT: chat.ChatCompletion,
    Family.COMPLETIONS: openai.Completion,
    Family.RESPONSES: responses.Response,
    Family.MESSAGES: anthropic.Message,
}
_EVENTS: Mapping[Family, Any] = {
    Family.CHAT: chat.ChatCompletionChunk,
    Family.COMPLETIONS: openai.Completion,
    Family.RESPONSES: responses.ResponseStreamEvent,
    Family.MESSAGES: anthropic.RawMessageStreamEvent,
}
# What a count answers holds one field; the package names its type apart from the others.
_COUNTED_FIELDS = frozenset({"input_tokens", "object"})
_NAMED = (Family.RESPONSES, Family.MESSAGES)


def is_published(case: Case, place: str, *, refused: bool = False) -> bool:
    """Whether the field at that place of the answer is in the types of the official package."""
    event, _, path = place.rpartition(": ")
    steps = [step for step in path.replace("[]", ".[]").split(".") if step]
    if refused:
        root = anthropic.ErrorResponse if case.family is Family.MESSAGES else _OpenAiError
    elif case.mode is Mode.COUNTED:
        return steps[0] in _COUNTED_FIELDS
    else:
        root = (_EVENTS if event else _WHOLE)[case.family]
    found = list(_models(root))
    if event and case.family in _NAMED:
        found = [model for model in found if _is_event(model, event)]
    for step in steps:
        found = [inner for outer in found for inner in _step(outer, step)]
    return bool(found)


def _is_event(model: Any, event: str) -> bool:
    return event in typing.get_args(model.model_fields["type"].annotation)


def _step(outer: Any, step: str) -> Iterator[Any]:
    if step == "[]":
        if typing.get_origin(outer) is list:
            yield from _models(typing.get_args(outer)[0])
    elif isinstance(outer, type) and issubclass(outer, BaseModel):
        named = outer.model_fields.get(step)
        if named is not None:
            yield from _models(named.annotation)
    elif typing.get_origin(outer) is dict or outer is object:
        yield object


def _models(annotation: Any) -> Iterator[Any]:
    """The types that a value may have, out of their unions."""
    inner = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, UnionType):
        for each in inner:
            yield from _models(each)
    elif hasattr(annotation, "__metadata__"):
        yield from _models(annotation.__origin__)
    elif annotation is not NoneType:
        yield annotation
