"""Rules over the whole tree: READMEs of rooms, use and documentation of error codes, dead code."""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from checks.source import Finding, Source, definitions, dotted, under

README_PARTS = ("Owns", "Does not own", "Invariants")
CODES_FILE = "tokenbooth/core/codes.py"
ERRORS_PAGE = "docs/errors.md"


def rooms(sources: Iterable[Source]) -> frozenset[str]:
    """Folders directly below the package: ``tokenbooth/money``."""
    paths = (source.path.split("/") for source in sources)
    return frozenset("/".join(path[:2]) for path in paths if path[0] == "tokenbooth" and path[2:])


def room_readme(room: str, readme: str | None) -> Iterator[Finding]:
    """Each room says what it owns, what it does not own, and what always holds."""
    path = f"{room}/README.md"
    for part in README_PARTS:
        if not re.search(rf"\*\*{part}\*\*", readme or ""):
            yield Finding("room-readme", path, 1, part, f"the README of {room} has no **{part}**")


def codes_used(codes: Mapping[str, str], sources: Iterable[Source]) -> Iterator[Finding]:
    """``codes`` maps the member's name to its wire text; each is raised or mapped somewhere."""
    used = {
        node.attr
        for source in sources
        if under(source.path, "tokenbooth") and source.path != CODES_FILE
        for node in source.nodes
        if isinstance(node, ast.Attribute) and dotted(node.value).rpartition(".")[2] == "Code"
    }
    for name in codes:
        if name not in used:
            yield Finding("unused-code", CODES_FILE, 1, name, f"Code.{name} is never used")


def codes_documented(codes: Mapping[str, str], page: str) -> Iterator[Finding]:
    for name, text in codes.items():
        if f"`{text}`" not in page:
            said = f"`{text}` is missing; run python -m checks.errors_page"
            yield Finding("undocumented-code", ERRORS_PAGE, 1, name, said)


def dead_functions(sources: Iterable[Source]) -> Iterator[Finding]:
    """A public function or class of the product that nothing in the product mentions.

    Names are compared without their modules, so a name used anywhere counts as used everywhere.
    Decorated ones are registered elsewhere; methods answer to ports and are not looked at.
    """
    product = [source for source in sources if under(source.path, "tokenbooth")]
    mentioned: Counter[str] = Counter()
    for source in product:
        for node in source.nodes:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                mentioned[node.id] += 1
            elif isinstance(node, ast.Attribute):
                mentioned[node.attr] += 1
            elif isinstance(node, ast.alias) and node.asname and node.asname != node.name:
                mentioned[node.name] += 1
    for source in product:
        for named in definitions(source):
            plain = "." not in named.name and not named.name.startswith("_")
            if plain and not named.node.decorator_list and not mentioned[named.name]:
                said = f"{named.name} is used by nothing in the product"
                yield Finding("dead", source.path, named.node.lineno, named.name, said)
