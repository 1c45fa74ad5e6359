"""JSON as it is written to the wire."""

import json

import msgspec

_json = msgspec.json.Encoder().encode


def encode(value: object) -> bytes:
    """JSON bytes; half a surrogate pair, as some engines split them, goes out as an escape."""
    try:
        return _json(value)
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"), default=_plain).encode("ascii")


def _plain(written: object) -> object:
    """What stands in a value as JSON already."""
    return json.loads(msgspec.json.encode(written))
