"""Frozen nouns of imported reports."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImportedFigure:
    """``figure`` is in thousandths of ``unit``, as the report says it: nobody here measured it."""

    name: str
    figure_milli: int
    unit: str

    @property
    def figure(self) -> str:
        return f"{self.figure_milli / 1000:.3f}"


@dataclass(frozen=True, slots=True)
class Imported:
    """What a report of ``tool`` says; ``digest`` is that of its file."""

    tool: str
    version: str
    digest: str
    figures: tuple[ImportedFigure, ...]
