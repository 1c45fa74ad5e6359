"""A parsed file, a finding in it, and small questions that several rules ask."""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PYTHON_ROOTS = ("tokenbooth", "checks", "scripts", "tests")
TEXT_ROOTS = (*PYTHON_ROOTS, "docs", "locks", ".ci")
TEXT_SUFFIXES = frozenset(
    {"", ".py", ".md", ".toml", ".txt", ".in", ".sh", ".json", ".svg", ".mako"}
)
UNREAD_FOLDERS = frozenset({"__pycache__", ".hypothesis"})

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Finding:
    """``subject`` is what an exemption would name: a function, a class, a name, a module."""

    rule: str
    path: str
    line: int
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: [{self.rule}] {self.text}"


@dataclass(frozen=True)
class Source:
    """One Python file; ``path`` is relative to the checkout, with forward slashes."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=self.path)

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        return tuple(ast.walk(self.tree))

    @property
    def module(self) -> str:
        """The dotted name; a package is named by its folder."""
        return self.path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")

    @property
    def line_count(self) -> int:
        return len(self.text.splitlines())


@dataclass(frozen=True)
class Named:
    """A function or class with its dotted place inside the file, such as ``Writer.delta``."""

    name: str
    node: FunctionNode | ast.ClassDef

    @property
    def line_count(self) -> int:
        return (self.node.end_lineno or self.node.lineno) - self.node.lineno + 1


def definitions(source: Source) -> Iterator[Named]:
    """Every function and class, nested ones included, outer ones first."""
    yield from _definitions_in(source.tree, "")


def _definitions_in(node: ast.AST, prefix: str) -> Iterator[Named]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, FunctionNode | ast.ClassDef):
            yield Named(prefix + child.name, child)
            yield from _definitions_in(child, f"{prefix}{child.name}.")
        else:
            yield from _definitions_in(child, prefix)


def enclosing(source: Source, line: int) -> str:
    """The innermost definition around a line, or ``<module>``."""
    around = [
        named.name
        for named in definitions(source)
        if named.node.lineno <= line <= (named.node.end_lineno or named.node.lineno)
    ]
    return around[-1] if around else "<module>"


def dotted(node: ast.AST) -> str:
    """``os.environ`` for that attribute chain, ``""`` for anything but plain names and dots."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name) if dotted(value):
            return f"{dotted(value)}.{name}"
        case _:
            return ""


def imported_modules(node: ast.AST) -> tuple[str, ...]:
    """The modules an import statement may reach; ``from a import b`` reaches ``a.b`` or ``a``."""
    match node:
        case ast.Import(names=names):
            return tuple(alias.name for alias in names)
        case ast.ImportFrom(module=str(module), names=names):
            return tuple(f"{module}.{alias.name}" for alias in names)
        case _:
            return ()


def words(identifier: str) -> tuple[str, ...]:
    """``HTTPFrontData_max`` is ``http front data max``."""
    parts = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+", identifier)
    return tuple(part.lower() for part in parts)


def under(path: str, *folders: str) -> bool:
    """Whether the file is one of these files or lies in one of these folders."""
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)


def python_sources(root: Path, folders: Iterable[str] = PYTHON_ROOTS) -> tuple[Source, ...]:
    """All Python files of the checkout, in a fixed order."""
    return tuple(
        Source(path, (root / path).read_text(encoding="utf-8"))
        for path in text_paths(root, folders)
        if path.endswith(".py")
    )


def text_paths(root: Path, folders: Iterable[str] = TEXT_ROOTS) -> tuple[str, ...]:
    """All text files of the checkout below ``folders``, relative, in a fixed order."""
    found = (path for folder in folders for path in (root / folder).rglob("*"))
    relative = (path.relative_to(root) for path in found if path.is_file())
    return tuple(
        sorted(
            path.as_posix()
            for path in relative
            if path.suffix in TEXT_SUFFIXES and not UNREAD_FOLDERS & set(path.parts)
        )
    )
