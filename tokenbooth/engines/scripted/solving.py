"""A model that knows a few kinds of question, and answers those without a fault."""

import re
from collections.abc import Callable

_SUM = re.compile(r"Compute (\d+) \* (\d+) \+ (\d+)\.")
_CODE = re.compile(r"; code (\w+);")
_TIMES = re.compile(r"Write the word (\w+) exactly (\d+) times, separated by commas")
_PIECES = re.compile(r'There are (\d+) (\w+)\. .*JSON object.*"thing".*"pieces"', re.DOTALL)
_DOOR = re.compile(r"The number of the blue door is (\d+)\.")
_COUNT = re.compile(r"Count from (\d{1,4}) to (\d{1,4})\.")


def solved(text: str) -> str | None:
    """The answer, or ``None`` for a question of another kind."""
    for pattern, answer in _ANSWERS:
        found = pattern.search(text)
        if found is not None:
            return answer(*found.groups())
    return None


def _sum(one: str, two: str, three: str) -> str:
    return str(int(one) * int(two) + int(three))


def _times(word: str, times: str) -> str:
    return ", ".join([word] * min(int(times), 100))


def _pieces(pieces: str, thing: str) -> str:
    return f'{{"thing": "{thing}", "pieces": {pieces}}}'


def _count(first: str, last: str) -> str:
    return " ".join(map(str, range(int(first), int(last) + 1)))


def _itself(found: str) -> str:
    return found


_ANSWERS: tuple[tuple[re.Pattern[str], Callable[..., str]], ...] = (
    (_SUM, _sum),
    (_CODE, _itself),
    (_TIMES, _times),
    (_PIECES, _pieces),
    (_DOOR, _itself),
    (_COUNT, _count),
)
