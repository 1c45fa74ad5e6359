"""The vectors of a turn to one Embeddings body."""

import base64
from array import array
from sys import byteorder

from tokenbooth.core.delta import Delta, RunEnd
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Receipt
from tokenbooth.protocols.dialect import AnswerFrame, Parsed
from tokenbooth.protocols.openai_embeddings.parameters import BASE64
from tokenbooth.protocols.problems import error_body
from tokenbooth.protocols.receipts import receipt_json, tokens_json
from tokenbooth.protocols.wire_json import encode

Json = dict[str, object]


class VectorWriter:
    """Nothing goes out before the end."""

    content_type = "application/json"

    def __init__(self, parsed: Parsed, frame: AnswerFrame) -> None:
        self._frame = frame
        self._packed = BASE64 in parsed.echo
        self._vectors: tuple[tuple[float, ...], ...] = ()
        self._ended = False

    def delta(self, delta: Delta) -> bytes:
        self._vectors = delta.vectors or self._vectors
        return b""

    def closing(self, end: RunEnd, receipt: Receipt | None) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        body: Json = {
            "object": "list",
            "model": self._frame.model,
            "data": [
                {
                    "object": "embedding",
                    "index": index,
                    "embedding": packed(vector) if self._packed else vector,
                }
                for index, vector in enumerate(self._vectors)
            ],
        }
        if receipt is not None:
            body["usage"] = receipt_json(receipt)
        elif end.usage is not None:
            body["usage"] = tokens_json(end.usage)
        return encode(body)

    def problem(self, problem: Problem) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        return error_body(problem, self._frame.request_id)

    def heartbeat(self) -> bytes:
        return b""


def packed(vector: tuple[float, ...]) -> str:
    """Base64 of little-endian 32-bit floats."""
    numbers = array("f", vector)
    if byteorder == "big":
        numbers.byteswap()
    return base64.b64encode(numbers.tobytes()).decode()
