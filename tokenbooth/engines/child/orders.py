"""Writes a turn down as an order for the child."""

from array import array
from dataclasses import dataclass
from sys import byteorder
from typing import Any

import msgspec

from tokenbooth.core.turn import Turn
from tokenbooth.engines.child.frames import Begin, Count, Words
from tokenbooth.engines.child.prompt import template_json, words_of
from tokenbooth.engines.gguf.template import RAW, Traits
from tokenbooth.engines.grammar.answer import THINK_OPEN, Thinking, answer_grammar

NO_TRAITS = Traits()
TEMPLATE_REFUSES = "The model's chat template refuses these messages."


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model is to read: ``template_json`` where the model's own template must see more
    than texts, else ``words``."""

    words: Words
    template_json: str = ""
    images: tuple[str, ...] = ()

    @property
    def characters(self) -> int:
        return len(self.template_json) + sum(len(text) for _, text in self.words)


def prompt_of(turn: Turn, traits: Traits = NO_TRAITS) -> Prompt:
    """Raises Problem INVALID_VALUE for text that UTF-8 cannot hold."""
    asked = "" if turn.raw else template_json(turn, traits)
    images = tuple(part.url.partition(",")[2] for part in turn.media)
    return Prompt((), asked, images) if asked else Prompt(words_of(turn), images=images)


def begin_of(
    run: int,
    turn: Turn,
    prompt: Prompt,
    ids: "array[int] | None",
    thinking: Thinking = Thinking.NONE,
) -> Begin:
    """Raises Problem for a schema that cannot be followed."""
    sampling = turn.sampling
    return Begin(
        run=run,
        input_ids=None if ids is None else _little_endian(ids),
        messages=prompt.words if ids is None else (),
        template_json=prompt.template_json if ids is None else "",
        images=prompt.images,
        output_tokens_max=turn.output_tokens_max,
        choices=turn.choices,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        presence_penalty=sampling.presence_penalty or 0.0,
        frequency_penalty=sampling.frequency_penalty or 0.0,
        seed=sampling.seed,
        stop=sampling.stop,
        logit_bias=sampling.logit_bias,
        logprobs=None if turn.logprobs is None else turn.logprobs.top,
        grammar=answer_grammar(turn, thinking).text,
    )


def ids_of(raw: bytes) -> "array[int]":
    """The ids of ``Begin.input_ids``."""
    ids = array("I", raw)
    if byteorder == "big":
        ids.byteswap()
    return ids


def _little_endian(ids: "array[int]") -> bytes:
    if byteorder == "big":
        ids = array("I", ids)
        ids.byteswap()
    return ids.tobytes()


class Asked(msgspec.Struct):
    """What a chat template is rendered with."""

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] = []
    variables: dict[str, Any] = {}


def asked_of(ask: Begin | Count) -> Asked:
    """What an order's prompt is rendered with, in the child."""
    if ask.template_json:
        return msgspec.json.decode(ask.template_json, type=Asked)
    return Asked([{"role": role, "content": text} for role, text in ask.messages])


def in_thought(prompt: str) -> bool:
    """Whether a rendered prompt ends inside of a thought."""
    return prompt.rstrip().endswith(THINK_OPEN)


def is_raw(ask: Begin | Count) -> bool:
    """Whether the prompt stands without a template."""
    return bool(ask.messages) and ask.messages[0][0] == RAW
