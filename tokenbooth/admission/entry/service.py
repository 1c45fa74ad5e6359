"""Who may start: ``Desk`` decides."""

from tokenbooth.admission.entry.desk import Desk, Listener
from tokenbooth.admission.entry.values import Limits, Pace, Reason, Refusal, Visit, rank_of

__all__ = ["Desk", "Limits", "Listener", "Pace", "Reason", "Refusal", "Visit", "rank_of"]
