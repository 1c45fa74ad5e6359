"""Gathers what was translated or ignored, once for each parameter."""

from tokenbooth.protocols.dialect import Note
from tokenbooth.protocols.shape import Strangers


class Notes:
    """In the order in which they were met; the first word on a parameter stays unless replaced."""

    def __init__(self) -> None:
        self._whats: dict[str, str] = {}

    def add(self, param: str, what: str) -> None:
        self._whats.setdefault(param, what)

    def replace(self, param: str, what: str) -> None:
        self._whats[param] = what

    def finished(self, strangers: Strangers) -> tuple[Note, ...]:
        """Everything said, and every unknown field as ignored."""
        for path in strangers.paths:
            self.add(path, "ignored: unknown here")
        return tuple(Note(param, what) for param, what in self._whats.items())
