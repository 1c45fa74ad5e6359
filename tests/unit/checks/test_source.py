import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.source import (
    Source,
    definitions,
    dotted,
    enclosing,
    imported_modules,
    python_sources,
    text_paths,
    under,
    words,
)

TEXT = """\
class A:
    def f(self):
        async def g():
            return 1

if True:
    def h(): ...
"""


def test_definitions_are_named_by_their_place() -> None:
    source = Source("tokenbooth/a.py", TEXT)
    assert [(named.name, named.line_count) for named in definitions(source)] == [
        ("A", 4),
        ("A.f", 3),
        ("A.f.g", 2),
        ("h", 1),
    ]


@pytest.mark.parametrize(
    ("line", "name"), [(1, "A"), (2, "A.f"), (4, "A.f.g"), (6, "<module>"), (7, "h")]
)
def test_a_line_belongs_to_its_innermost_definition(line: int, name: str) -> None:
    assert enclosing(Source("tokenbooth/a.py", TEXT), line) == name


@pytest.mark.parametrize(
    ("identifier", "split"),
    [
        ("body_bytes_max", ("body", "bytes", "max")),
        ("HTTPFrontData", ("http", "front", "data")),
        ("_data", ("data",)),
        ("metadata", ("metadata",)),
        ("DATA_DIR", ("data", "dir")),
        ("sha256", ("sha", "256")),
        ("__all__", ("all",)),
    ],
)
def test_identifiers_split_into_words(identifier: str, split: tuple[str, ...]) -> None:
    assert words(identifier) == split


@given(st.lists(st.from_regex(r"[a-z]+", fullmatch=True), min_size=1))
def test_snake_case_splits_at_every_underscore(parts: list[str]) -> None:
    assert words("_".join(parts)) == tuple(parts)


def test_dotted_names_are_read_and_other_expressions_are_not() -> None:
    assert dotted(ast.parse("a.b.c", mode="eval").body) == "a.b.c"
    assert dotted(ast.parse("a().b", mode="eval").body) == ""
    assert dotted(ast.parse("1", mode="eval").body) == ""


@pytest.mark.parametrize(
    ("statement", "modules"),
    [
        ("import a.b, c", ("a.b", "c")),
        ("from a import b, c as d", ("a.b", "a.c")),
        ("from . import b", ()),
        ("a = 1", ()),
    ],
)
def test_imports_tell_what_they_may_reach(statement: str, modules: tuple[str, ...]) -> None:
    assert imported_modules(ast.parse(statement).body[0]) == modules


def test_a_path_is_under_a_folder_or_is_the_file_itself() -> None:
    assert under("tokenbooth/web/a.py", "tokenbooth/web")
    assert under("tokenbooth/config.py", "tokenbooth/config.py")
    assert not under("tokenbooth/website.py", "tokenbooth/web")


def test_files_are_found_in_a_fixed_order_without_leftovers(tmp_path: Path) -> None:
    for path in ("tests/b.py", "tests/a.py", "tests/__pycache__/a.py", "tests/c.bin", "docs/d.md"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("a = 1\n")
    assert [source.path for source in python_sources(tmp_path)] == ["tests/a.py", "tests/b.py"]
    assert text_paths(tmp_path) == ("docs/d.md", "tests/a.py", "tests/b.py")


def test_the_module_of_a_package_is_its_folder() -> None:
    assert Source("tokenbooth/money/__init__.py", "").module == "tokenbooth.money"
    assert Source("tokenbooth/money/a.py", "").module == "tokenbooth.money.a"
