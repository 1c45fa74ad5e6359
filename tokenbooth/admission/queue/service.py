"""Places in front of deployments: ``GateBook.enter`` and ``Place.leave``."""

from tokenbooth.admission.queue.gate import Gate, GateBook, Gated, Place

__all__ = ["Gate", "GateBook", "Gated", "Place"]
