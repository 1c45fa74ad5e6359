"""Runs of a model that sees: the engine's own completion call, over its loopback port.

The package's callbacks take a prompt with images only in the form of a chat, which would render and
read the answer again. What is heard here is put into the form that those callbacks have.
"""

import http.client
from collections.abc import Callable
from typing import Any

import msgspec

from tokenbooth.engines.child.prompt import IMAGE_MARK

WAIT_S = 600.0
LINE_BYTES_MAX = 8 * 1024 * 1024
_NAMES = {"max_tokens": "n_predict", "logprobs": "n_probs"}
_LIMIT = "limit"

Hear = Callable[[dict[str, Any]], bool]


class Sight:
    """``ask`` makes a call of the engine's port; ``marker`` is what it puts where an image is, and
    what no caller can know."""

    def __init__(self, marker: str) -> None:
        self._marker = marker

    def marked(self, text: str) -> str:
        """The text with the engine's own mark where an image stands."""
        return text.replace(IMAGE_MARK, self._marker)

    def unmarked(self, text: str) -> str:
        """The text without its images, which are counted apart."""
        return text.replace(self._marker, "")


def native(body: dict[str, Any], images: tuple[str, ...]) -> dict[str, Any]:
    """A completion call in the engine's own words; a prompt with images is a text."""
    made = {_NAMES.get(name, name): value for name, value in body.items()}
    if images:
        made["prompt"] = {"prompt_string": body["prompt"], "multimodal_data": list(images)}
    return made


def heard(chunk: dict[str, Any]) -> dict[str, Any]:
    """A chunk of the engine's own call as the callbacks of the package would tell it."""
    if "error" in chunk:
        return chunk
    told = {"timings": chunk.get("timings"), "prompt_tokens": chunk.get("tokens_evaluated")}
    if not chunk["stop"] and not chunk.get("content") and "completion_probabilities" not in chunk:
        return told
    finish = None
    if chunk["stop"]:
        finish = "length" if chunk.get("stop_type") == _LIMIT else "stop"
        told["usage"] = {"completion_tokens": chunk["tokens_predicted"]}
    logprobs = {"content": chunk.get("completion_probabilities") or []}
    choice = {"text": chunk["content"], "finish_reason": finish, "logprobs": logprobs}
    return {**told, "choices": [choice]}


def listen(address: str, headers: dict[str, str], body: dict[str, Any], hear: Hear) -> None:
    """Each chunk to ``hear``, until it says True; leaving tells the engine to stop.

    Raises OSError or http.client.HTTPException when the call breaks off.
    """
    connection = http.client.HTTPConnection(address, timeout=WAIT_S)
    try:
        connection.request("POST", "/completion", msgspec.json.encode(body), headers)
        answer = connection.getresponse()
        if answer.status != http.HTTPStatus.OK:
            hear(msgspec.json.decode(answer.read(LINE_BYTES_MAX)))
            return
        while line := answer.readline(LINE_BYTES_MAX):
            if line.startswith(b"data: ") and hear(heard(msgspec.json.decode(line[6:]))):
                return
    finally:
        connection.close()
