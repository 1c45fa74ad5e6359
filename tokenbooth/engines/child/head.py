"""The head of a call in the text of a model: the name, up to where its arguments begin; pure."""

import json
import re
from enum import Enum, auto

HEAD_CHARACTERS_MAX = 1024
_HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*(?=\S)')


class Head(Enum):
    """No head, or not yet."""

    UNFINISHED = auto()
    NONE = auto()


def head_of(text: str) -> tuple[str, str] | Head:
    """The name of the called tool and what follows its head."""
    found = _HEAD.match(text)
    if found is None:
        return Head.NONE if len(text) > HEAD_CHARACTERS_MAX else Head.UNFINISHED
    try:
        name = json.loads(found[1], strict=False)
    except ValueError:
        return Head.NONE
    return str(name), text[found.end() :]
