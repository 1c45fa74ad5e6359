"""Turns at what only a few may do at once: ``Gate.enter`` and ``Place.leave``."""

from tokenbooth.admission.queue.gate import Gate, Place

__all__ = ["Gate", "Place"]
