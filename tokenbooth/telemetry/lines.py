"""How one event becomes one line; pure functions."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import islice
from json.encoder import encode_basestring_ascii as _quoted
from traceback import walk_tb

from tokenbooth.core.problem import Problem

Field = str | int | bool | None

FIELD_CHARACTERS_MAX = 300
FIELDS_MAX = 40
FRAMES_MAX = 12
INTEGER_LIMIT = 2**63
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - of UTC, which `utc` writes behind it
_OWN = frozenset({"time", "level", "event"})


def json_line(time_us: int, level: str, name: str, fields: Mapping[str, Field]) -> str:
    """One JSON object; its own keys ``time``, ``level`` and ``event`` win over fields."""
    pieces = [f'{{"time":"{utc(time_us)}","level":{_quoted(level)},"event":{_quoted(_cut(name))}']
    for key, value in islice(fields.items(), FIELDS_MAX):
        if key in _OWN:
            continue
        if type(value) is str:
            text = _quoted(value if len(value) <= FIELD_CHARACTERS_MAX else _cut(value))
        elif type(value) is int and -INTEGER_LIMIT < value < INTEGER_LIMIT:
            text = str(value)
        else:
            text = json.dumps(_bounded(value))
        pieces.append(f"{_quoted(_cut(key))}:{text}")
    return ",".join(pieces) + "}"


def text_line(time_us: int, level: str, name: str, fields: Mapping[str, Field]) -> str:
    """The same for people: ``time level event key=value …``; values are quoted where needed."""
    pairs = [
        f"{_plain(_cut(key))}={_plain(_bounded(value))}"
        for key, value in list(fields.items())[:FIELDS_MAX]
    ]
    return " ".join([utc(time_us), level, _plain(_cut(name)), *pairs])


def error_fields(error: BaseException) -> dict[str, Field]:
    """Type and place of an error.

    The message is left out, because libraries quote their input in it. A Problem's code and
    ``detail`` are written by us for the log, so they stay.
    """
    kind = type(error)
    fields: dict[str, Field] = {"error": f"{kind.__module__}.{kind.__qualname__}"}
    if isinstance(error, Problem):
        fields["code"] = error.code.text
        fields["detail"] = error.detail or None
    frames = [
        f"{frame.f_globals.get('__name__', '?')}:{line} {frame.f_code.co_name}"
        for frame, line in walk_tb(error.__traceback__)
    ]
    if frames:
        fields["raised_in"] = frames[-1]
        fields["came_by"] = " < ".join(reversed(frames[-FRAMES_MAX:-1])) or None
    if (cause := error.__cause__ or error.__context__) is not None:
        fields["cause"] = f"{type(cause).__module__}.{type(cause).__qualname__}"
    return fields


def utc(time_us: int) -> str:
    """RFC 3339 in UTC with microseconds; exact, because no float is made of the time."""
    moment = EPOCH + timedelta(microseconds=time_us)
    return moment.isoformat(timespec="microseconds") + "Z"


def _cut(text: str) -> str:
    return text if len(text) <= FIELD_CHARACTERS_MAX else text[: FIELD_CHARACTERS_MAX - 1] + "…"


def _bounded(value: object) -> Field:
    """Text is cut, integers beyond 64 bits and undeclared types are only named: no value fails."""
    if isinstance(value, str):
        return _cut(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < INTEGER_LIMIT:
        return value
    return f"<{type(value).__name__}>"


def _plain(value: Field) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    bare = value.isascii() and value.isprintable() and value and not set(' "=\\') & set(value)
    return value if bare else json.dumps(value)
