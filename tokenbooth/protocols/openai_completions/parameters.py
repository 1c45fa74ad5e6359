"""Every documented parameter of the text completions and what becomes of it: one table.

It drives the reader, ``docs/parameters.md`` and the request schema of the OpenAPI document.
"""

from dataclasses import dataclass

from tokenbooth.protocols.parameters import Parameter, Treatment
from tokenbooth.protocols.shape import (
    Either,
    Field,
    Flag,
    Json,
    Listed,
    Numbers,
    Real,
    Record,
    Strangers,
    Text,
    Whole,
    unsupported,
)

OUTPUT_TOKENS_MAX = 2**31 - 1
OUTPUT_TOKENS_DEFAULT = 16
CHOICES_MAX = 8
PROMPTS_MAX = 16
STOPS_MAX = 4
MODEL_CHARS_MAX = 256
END_CUSTOMER_CHARS_MAX = 256
ALTERNATIVES_MAX = 5


@dataclass(frozen=True, slots=True)
class Prompts:
    """A string, or several; read as a tuple. Arrays of token ids are refused by name."""

    wanted: str = "a string or an array of strings"

    def read(self, value: object, path: str, strangers: Strangers) -> tuple[str, ...]:
        if isinstance(value, list) and any(isinstance(one, int | list) for one in value):
            unsupported(path, "token ids are not read here, send the text")
        read: str | tuple[str, ...] = _PROMPTS.read(value, path, strangers)
        return (read,) if isinstance(read, str) else read

    def schema(self) -> Json:
        return _PROMPTS.schema()


_PROMPTS = Either(Text(low=1), Listed(Text(low=1), 1, PROMPTS_MAX))
_H, _T, _I, _R = Treatment
_PENALTY = Real(-2, 2)

PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "model",
        _H,
        Text(low=1, high=MODEL_CHARS_MAX),
        "A name from GET /v1/models.",
        required=True,
    ),
    Parameter(
        "prompt",
        _H,
        Prompts(),
        "The raw text, without a chat template; or up to 16 texts, which are answered one after "
        "another and charged together. Arrays of token ids are refused.",
        required=True,
    ),
    Parameter(
        "suffix",
        _H,
        Text(),
        "What follows the completion; passed to an upstream, refused by other engines.",
    ),
    Parameter(
        "max_tokens",
        _H,
        Whole(1, OUTPUT_TOKENS_MAX),
        "Upper limit of output tokens for each completion, 16 where it is left out; lowered to "
        "what the context window and the money allow, and said so.",
    ),
    Parameter("stream", _H, Flag(), "Server-sent events instead of one body."),
    Parameter(
        "stream_options",
        _H,
        Record({"include_usage": Field(Flag()), "include_obfuscation": Field(Flag())}),
        "include_usage is honoured. include_obfuscation is ignored with a note, and so is the "
        "whole object without stream.",
    ),
    Parameter(
        "echo",
        _H,
        Flag(),
        "Each completion begins with its prompt. Refused together with logprobs, because engines "
        "do not tell those of a prompt.",
    ),
    Parameter("n", _H, Whole(1, CHOICES_MAX), "1 to 8 completions of each prompt, all charged."),
    Parameter(
        "best_of",
        _H,
        Whole(1, 20),
        "As many as n, which is its meaning where it is left out; any other number is refused, "
        "because no completion is made that is not returned.",
    ),
    Parameter(
        "logprobs",
        _H,
        Whole(0, ALTERNATIVES_MAX),
        "Log probabilities of the chosen tokens, and of 0 to 5 alternatives at each place.",
    ),
    Parameter("temperature", _H, Real(0, 2), "0 to 2."),
    Parameter("top_p", _H, Real(0, 1, open_low=True), "Over 0, to 1."),
    Parameter("presence_penalty", _H, _PENALTY, "-2 to 2."),
    Parameter("frequency_penalty", _H, _PENALTY, "-2 to 2."),
    Parameter(
        "stop",
        _H,
        Either(Text(low=1, high=1024), Listed(Text(low=1, high=1024), 0, STOPS_MAX)),
        "One string or up to 4; the answer does not contain it.",
    ),
    Parameter("seed", _H, Whole(-(2**63), 2**63 - 1), "A 64-bit integer."),
    Parameter(
        "logit_bias",
        _H,
        Numbers(r"^[0-9]{1,9}$", Real(-100, 100), 1024),
        "Token ids to values from -100 to 100; at most 1024.",
    ),
    Parameter(
        "user",
        _H,
        Text(high=END_CUSTOMER_CHARS_MAX),
        "The end customer, at most 256 characters; kept with the record of the call.",
    ),
)

BODY = Record({row.name: Field(row.shape, row.required, row.text) for row in PARAMETERS})
