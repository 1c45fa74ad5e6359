"""One JSON document, one sequence of bytes: RFC 8785, for the values that signed documents hold.

Members are sorted, there is no white space, text is UTF-8 with the shortest escapes. Fractions are
refused: two programs seldom agree on their digits. Whole numbers stay within 2^53 - 1, beyond which
many readers of JSON lose digits (RFC 7493); ``whole`` writes larger ones as strings.
"""

import msgspec

WHOLE_MAX = 2**53 - 1

_ENCODER = msgspec.json.Encoder(order="sorted")


class NotCanonical(ValueError):
    """The value has no canonical form; the message says why."""


def canonical(value: object) -> bytes:
    """The canonical bytes of dicts, lists, strings, whole numbers, booleans and null.

    Raises NotCanonical for anything else.
    """
    _check(value)
    return encoded(value)


def encoded(value: object) -> bytes:
    """The same bytes without the check, for what this program made of checked parts itself.

    A lone surrogate still raises NotCanonical.
    """
    try:
        return _ENCODER.encode(value)
    except UnicodeEncodeError as error:
        raise NotCanonical("a lone surrogate is no text") from error


def whole(number: int) -> int | str:
    """The number itself where every reader keeps it exactly, else its digits as a string."""
    return number if -WHOLE_MAX <= number <= WHOLE_MAX else str(number)


def _check(value: object) -> None:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return
    if type(value) is int:
        if not -WHOLE_MAX <= value <= WHOLE_MAX:
            raise NotCanonical(f"{value} is beyond 2^53 - 1; write it as a string")
    elif type(value) is dict:
        for name, member in value.items():
            if type(name) is not str or not name.isascii():
                # Beyond ASCII the order of UTF-16 units is not the order of code points.
                raise NotCanonical(f"the name {name!r} is not plain ASCII")
            _check(member)
    elif type(value) is list:
        for element in value:
            _check(element)
    else:
        raise NotCanonical(f"{kind.__name__} has no canonical form")
