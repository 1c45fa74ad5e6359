"""The shared words are frozen, whole, and count money and tokens in integers."""

import ast
import dataclasses
import importlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.source import Source, imported_modules, words
from tokenbooth.core import caller, codes, delta, features, op, ports, receipt, turn
from tokenbooth.core.receipt import LimitScope, LimitState

ROOT = Path(__file__).resolve().parents[3]
MODULES = (caller, codes, delta, features, op, ports, receipt, turn)
PURE_MODULES = {"collections.abc", "dataclasses", "enum", "types", "typing"}
VALUES = [
    value
    for module in MODULES
    for value in vars(module).values()
    if dataclasses.is_dataclass(value) and value.__module__ == module.__name__  # type: ignore[union-attr]
]
NANO = st.integers(0, 2**63 - 1)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.__name__)
def test_every_value_is_frozen_and_has_slots(value: type) -> None:
    """A noun is frozen to the type checker alone, which reads every file of ours."""
    made = value.__dataclass_params__  # type: ignore[attr-defined]
    assert made.frozen or (made.unsafe_hash and made.eq)
    assert "__slots__" in vars(value)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.__name__)
def test_amounts_counts_and_times_are_integers(value: type) -> None:
    for field in dataclasses.fields(value):
        units = {"nano", "pico", "tokens", "us", "ms", "s"} & set(words(field.name)[-1:])
        if units:
            assert field.type in (int, int | None), f"{value.__name__}.{field.name}"


@pytest.mark.parametrize("path", sorted((ROOT / "tokenbooth" / "core").glob("*.py")))
def test_core_imports_itself_and_pure_parts_of_the_standard_library(path: Path) -> None:
    source = Source("tokenbooth/core/x.py", path.read_text())
    for node in source.nodes:
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            assert module in PURE_MODULES or module.startswith("tokenbooth.core."), module
        else:
            assert imported_modules(node) == ()


@given(NANO, NANO, NANO)
def test_what_remains_is_the_limit_less_spent_and_held(limit: int, spent: int, held: int) -> None:
    state = LimitState(LimitScope.KEY, "k", limit, spent, held)
    assert state.remaining_nano == limit - spent - held


def test_without_a_limit_nothing_is_said_to_remain() -> None:
    assert LimitState(LimitScope.KEY, "k", None, 5, 5).remaining_nano is None


def test_the_limits_are_named_from_the_outside_in() -> None:
    assert [scope.value for scope in LimitScope] == ["balance", "organization", "project", "key"]


def test_the_ports_say_what_they_give() -> None:
    module = importlib.import_module("tokenbooth.core.ports")
    for name in ("Clock", "Ids", "Randomness", "Store", "Body", "Sink", "SinkListener", "Tx"):
        port = getattr(module, name)
        methods = [member for member in vars(port).values() if callable(member)]
        assert port.__doc__ or any(method.__doc__ for method in methods), name
