"""A test asserts behaviour, and waits for events instead of sleeping."""

import ast
from collections.abc import Iterable, Iterator

from checks.source import (
    Finding,
    FunctionNode,
    Named,
    Source,
    definitions,
    dotted,
    enclosing,
    under,
)

ASSERTING_CALLS = frozenset(
    {"raises", "warns", "fail", "assert_never", "run_state_machine_as_test"}
)


def asserting_functions(sources: Iterable[Source]) -> frozenset[str]:
    """Names of functions in the tests that assert, themselves or through another such function."""
    calls: dict[str, set[str]] = {}
    found = set(ASSERTING_CALLS)
    for source in sources:
        for named in definitions(source):
            name = named.node.name
            calls.setdefault(name, set()).update(_called(named.node))
            if any(_asserts(node) for node in ast.walk(named.node)):
                found.add(name)
    grown = True
    while grown:
        more = {name for name, called in calls.items() if called & found} - found
        found |= more
        grown = bool(more)
    return frozenset(found)


def missing_assertion(source: Source, asserting: frozenset[str]) -> Iterator[Finding]:
    for named in _tests(source):
        nodes = list(ast.walk(named.node))
        if not any(map(_asserts, nodes)) and not _called(named.node) & asserting:
            said = f"{named.name} asserts nothing"
            yield Finding("no-assertion", source.path, named.node.lineno, named.name, said)


def constant_assertion(source: Source) -> Iterator[Finding]:
    for node in source.nodes:
        match node:
            case ast.Assert(test=ast.Constant(value=value)) if value:
                subject = enclosing(source, node.lineno)
                said = f"{subject} asserts a constant"
                yield Finding("constant-assertion", source.path, node.lineno, subject, said)
            case _:
                pass


def sleep_in_unit_test(source: Source) -> Iterator[Finding]:
    """``asyncio.sleep(0)`` only lets others run and is allowed."""
    if not under(source.path, "tests/unit"):
        return
    for node in source.nodes:
        match node:
            case ast.Call(func=called, args=[ast.Constant(value=span), *_]) if (
                dotted(called) in {"time.sleep", "asyncio.sleep", "sleep"} and span
            ):
                subject = enclosing(source, node.lineno)
                said = f"{subject} sleeps; wait for an event, or give it a clock"
                yield Finding("sleep", source.path, node.lineno, subject, said)
            case _:
                pass


def _tests(source: Source) -> Iterator[Named]:
    for named in definitions(source):
        parents = named.name.rpartition(".")[0]
        plain = not parents or parents.startswith("Test")
        is_test = isinstance(named.node, FunctionNode) and named.node.name.startswith("test_")
        if is_test and plain and source.path.rpartition("/")[2].startswith("test_"):
            yield named


def _asserts(node: ast.AST) -> bool:
    return isinstance(node, ast.Assert) or (
        isinstance(node, ast.Raise)
        and node.exc is not None
        and "AssertionError" in ast.dump(node.exc)
    )


def _called(function: ast.AST) -> set[str]:
    """Names that are called, or handed on to be called."""
    called = {
        getattr(node.func, "attr", getattr(node.func, "id", ""))
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
    }
    handed = {
        argument.id
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
        for argument in node.args
        if isinstance(argument, ast.Name)
    }
    return called | handed
