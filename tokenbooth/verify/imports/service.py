"""What others may use of imported reports."""

from tokenbooth.verify.imports.rules import UnknownReport, imported
from tokenbooth.verify.imports.values import Imported, ImportedFigure

__all__ = ["Imported", "ImportedFigure", "UnknownReport", "imported", "imported_json"]


def imported_json(found: Imported) -> dict[str, object]:
    return {
        "object": "imported_report",
        "tool": found.tool,
        "version": found.version,
        "sha256": found.digest,
        "measured_here": False,
        "figures": [
            {"name": each.name, "value": each.figure, "unit": each.unit} for each in found.figures
        ],
    }
