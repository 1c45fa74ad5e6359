"""A policy and what it says of a turn."""

import unicodedata
from dataclasses import dataclass

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

PHRASES_MAX = 1000
PHRASE_CHARACTERS_MAX = 256


def normalised(text: str) -> str:
    """NFKC (Unicode Standard Annex 15), case folded, without invisible format characters, and with
    each run of blanks as one space."""
    visible = "".join(c for c in text if unicodedata.category(c) != "Cf")
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", visible).casefold())
    return " ".join(folded.split())


@dataclass(frozen=True, slots=True)
class Policy:
    """``blocked_phrases`` are kept normalised. Raises Problem INVALID_VALUE for an empty one."""

    blocked_phrases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.blocked_phrases) > PHRASES_MAX:
            raise _invalid(f"must be at most {PHRASES_MAX}")
        phrases = tuple(map(normalised, self.blocked_phrases))
        if not all(1 <= len(phrase) <= PHRASE_CHARACTERS_MAX for phrase in phrases):
            raise _invalid(f"must each have 1 to {PHRASE_CHARACTERS_MAX} visible characters")
        object.__setattr__(self, "blocked_phrases", phrases)


@dataclass(frozen=True, slots=True)
class Verdict:
    """``reason`` is fit for the caller, and empty when the turn is allowed."""

    allowed: bool
    reason: str = ""


def _invalid(must: str) -> Problem:
    return Problem(
        Code.INVALID_VALUE, f"safety.blocked_phrases {must}.", param="safety.blocked_phrases"
    )
