"""Who may start: ``GateBook.enter`` and ``Place.leave``; ``Desk`` decides behind it."""

from tokenbooth.admission.entry.desk import Desk, Listener
from tokenbooth.admission.entry.door import GateBook, Gated, Place
from tokenbooth.admission.entry.rules import pace_of
from tokenbooth.admission.entry.values import Limits, Pace, Reason, Refusal, Visit, rank_of

__all__ = [
    "Desk",
    "GateBook",
    "Gated",
    "Limits",
    "Listener",
    "Pace",
    "Place",
    "Reason",
    "Refusal",
    "Visit",
    "pace_of",
    "rank_of",
]
