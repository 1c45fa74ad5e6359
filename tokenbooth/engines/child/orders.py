"""Writes a turn down as an order for the child."""

from array import array
from sys import byteorder

from tokenbooth.core.codes import Code
from tokenbooth.core.features import Feature
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import FormatKind, OutputFormat, Role, Turn
from tokenbooth.engines.child.frames import Begin, Words
from tokenbooth.engines.gguf.template import RAW
from tokenbooth.engines.grammar.schema import ANY_OBJECT, grammar_of

_ROLES = {Role.DEVELOPER: Role.SYSTEM}


def words_of(turn: Turn) -> Words:
    """(role, text) pairs; a developer speaks as the system, since templates know no developer, and
    a raw prompt stands alone without a role.

    Raises Problem INVALID_VALUE for text that UTF-8 cannot hold, and UNSUPPORTED_FEATURE for a
    tool's answer: each engine would write it into the prompt in a way of its own.
    """
    if any(message.role is Role.TOOL for message in turn.messages):
        raise Problem(
            Code.UNSUPPORTED_FEATURE,
            "This model's engine does not support tools, so no message can be a tool's answer.",
            param=Feature.TOOLS.value,
        )
    words = tuple(
        (RAW if turn.raw else _ROLES.get(message.role, message.role).value, message.text)
        for message in turn.messages
    )
    for _, text in words:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise Problem(
                Code.INVALID_VALUE, "A message holds half of a surrogate pair.", param="messages"
            ) from error
    return words


def begin_of(run: int, turn: Turn, words: Words, ids: "array[int] | None") -> Begin:
    """Raises Problem for a schema that cannot be followed."""
    sampling = turn.sampling
    return Begin(
        run=run,
        input_ids=None if ids is None else _little_endian(ids),
        messages=words if ids is None else (),
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
        grammar=_grammar(turn.output_format),
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


def _grammar(wish: OutputFormat) -> str | None:
    if wish.kind is FormatKind.JSON_OBJECT:
        return grammar_of(ANY_OBJECT)
    if wish.kind is FormatKind.JSON_SCHEMA:
        return grammar_of(wish.schema_json or ANY_OBJECT)
    return None
