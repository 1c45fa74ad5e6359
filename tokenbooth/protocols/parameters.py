"""What a table of parameters is made of, the same for every dialect."""

from dataclasses import dataclass
from enum import StrEnum

from tokenbooth.protocols.shape import Shape


class Treatment(StrEnum):
    """What becomes of a parameter; whatever is not honoured as sent is said in the answer."""

    HONOURED = "honoured"
    TRANSLATED = "translated"
    IGNORED = "ignored with a note"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Parameter:
    """``note`` is the short word in the answer header, for what is translated or ignored."""

    name: str
    treatment: Treatment
    shape: Shape
    text: str
    note: str = ""
    required: bool = False
