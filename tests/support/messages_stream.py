"""Reads a stream of Messages as a careful client does, and puts the message together again."""

import json
from typing import Any

Json = dict[str, Any]

TERMINAL = ("message_stop", "error")


def events_of(raw: bytes) -> list[Json]:
    """The data of each event; the name of an event must be its type."""
    assert raw == b"" or raw.endswith(b"\n\n")
    found = []
    for block in raw.decode("utf-8").split("\n\n")[:-1]:
        name, body = block.split("\n")
        document = json.loads(body.removeprefix("data: "))
        assert name == f"event: {document['type']}"
        assert body.startswith("data: ")
        found.append(document)
    return found


def kinds_of(raw: bytes) -> list[str]:
    """The types of the events; of a piece, what it is a piece of."""
    return [event.get("delta", {}).get("type") or event["type"] for event in events_of(raw)]


class Folder:
    """Checks the order of events while it gathers them."""

    def __init__(self) -> None:
        self.message: Json = {}
        self.error: Json | None = None
        self.pings = 0
        self._open: str | None = None
        self._json: list[str] = []
        self._over = False

    def take(self, event: Json) -> None:
        assert not self._over, "nothing follows the terminal event"
        kind = event["type"]
        if kind == "error":
            self.error, self._over = event, True
            return
        if kind == "message_start":
            assert not self.message
            self.message = event["message"]
            assert self.message["content"] == []
            return
        assert self.message, "message_start comes first"
        getattr(self, f"_{kind}")(event)

    def _ping(self, event: Json) -> None:
        assert event == {"type": "ping"}
        self.pings += 1

    def _content_block_start(self, event: Json) -> None:
        assert self._open is None, "one block at a time"
        assert event["index"] == len(self.message["content"])
        block = event["content_block"]
        self._open = block["type"]
        self._json = []
        self.message["content"].append(block)

    def _content_block_delta(self, event: Json) -> None:
        block = self._at(event)
        delta = event["delta"]
        match self._open, delta["type"]:
            case "text", "text_delta":
                block["text"] += delta["text"]
            case "thinking", "thinking_delta":
                block["thinking"] += delta["thinking"]
            case "thinking", "signature_delta":
                assert block["signature"] == ""
                block["signature"] = delta["signature"]
            case "tool_use", "input_json_delta":
                self._json.append(delta["partial_json"])
            case unfit:
                raise AssertionError(unfit)

    def _content_block_stop(self, event: Json) -> None:
        block = self._at(event)
        if self._open == "tool_use":
            block |= input_of("".join(self._json))
        self._open = None

    def _message_delta(self, event: Json) -> None:
        assert self._open is None
        assert self.message["stop_reason"] is None, "one message_delta"
        self.message |= event["delta"]
        self.message["usage"] = {**self.message["usage"], **event["usage"]}
        if "stopped" in event:
            self.message["stopped"] = event["stopped"]

    def _message_stop(self, event: Json) -> None:
        assert event == {"type": "message_stop"}
        assert self.message["stop_reason"] is not None
        self._over = True

    def _at(self, event: Json) -> Json:
        assert event["index"] == len(self.message["content"]) - 1
        assert self._open is not None
        block: Json = self.message["content"][-1]
        return block


def input_of(text: str) -> Json:
    """What a call's argument text means; what is no object is kept as it is."""
    try:
        joined: str = json.loads(json.dumps(text))
        found = json.loads(joined.encode().strip(b" \t\n\r") or "{}", parse_constant=_refuse)
    except ValueError:
        return {"input": {}, "partial_json": text}
    return {"input": found} if isinstance(found, dict) else {"input": {}, "partial_json": text}


def _refuse(text: str) -> None:
    raise ValueError(text)


def folded(raw: bytes) -> Json:
    """The message of a stream that ended well."""
    folder = Folder()
    for event in events_of(raw):
        folder.take(event)
    assert folder.error is None
    assert folder.message["stop_reason"] is not None
    return folder.message
