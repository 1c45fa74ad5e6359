"""Every documented parameter of Embeddings and what becomes of it: one table.

It drives the reader, ``docs/parameters.md`` and the request schema of the OpenAPI document.
"""

from dataclasses import dataclass

from tokenbooth.protocols.parameters import Parameter, Treatment
from tokenbooth.protocols.shape import (
    Either,
    Field,
    Json,
    Listed,
    Record,
    Strangers,
    Text,
    Whole,
    unsupported,
)

TEXTS_MAX = 2048
DIMENSIONS_MAX = 65_536
MODEL_CHARS_MAX = 256
END_CUSTOMER_CHARS_MAX = 256
BASE64 = "base64"


@dataclass(frozen=True, slots=True)
class Texts:
    """A string, or several; read as a tuple. Arrays of token ids are refused by name."""

    wanted: str = "a string or an array of strings"

    def read(self, value: object, path: str, strangers: Strangers) -> tuple[str, ...]:
        if isinstance(value, list) and any(isinstance(one, int | list) for one in value):
            unsupported(path, "token ids are not read here, send the text")
        read: str | tuple[str, ...] = _TEXTS.read(value, path, strangers)
        return (read,) if isinstance(read, str) else read

    def schema(self) -> Json:
        return _TEXTS.schema()


_TEXTS = Either(Text(low=1), Listed(Text(low=1), 1, TEXTS_MAX))
_H = Treatment.HONOURED

PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "model",
        _H,
        Text(low=1, high=MODEL_CHARS_MAX),
        "A name from GET /v1/models.",
        required=True,
    ),
    Parameter(
        "input",
        _H,
        Texts(),
        "A text, or up to 2048 of them, each within the model's window. Arrays of token ids are "
        "refused.",
        required=True,
    ),
    Parameter(
        "encoding_format",
        _H,
        Text(choices=("float", BASE64)),
        "float, or base64 of little-endian 32-bit floats.",
    ),
    Parameter(
        "dimensions",
        _H,
        Whole(1, DIMENSIONS_MAX),
        "The first so many numbers of each vector, brought to length one again; an upstream gets "
        "the parameter itself. More than the model has are refused.",
    ),
    Parameter(
        "user",
        _H,
        Text(high=END_CUSTOMER_CHARS_MAX),
        "The end customer, at most 256 characters; kept with the record of the call.",
    ),
)

BODY = Record({row.name: Field(row.shape, row.required, row.text) for row in PARAMETERS})
