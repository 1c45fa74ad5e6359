"""Runs the tests of one module a second time, in a place with other fixtures."""

from types import ModuleType


def again(module: ModuleType) -> dict[str, object]:
    """Everything public of a test module, its fixtures too: ``globals().update(again(module))``."""
    return {name: value for name, value in vars(module).items() if not name.startswith("_")}
