"""All rules over one checkout."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from checks.source import TEXT_ROOTS, Finding, Source, python_sources, text_paths, under
from checks.tidy import hazards, imports, money, names, reach, rooms, sizes, testing, words
from tokenbooth.core.codes import Code

FileRule = Callable[[Source], Iterator[Finding]]

FILE_RULES: tuple[FileRule, ...] = (
    sizes.file_length,
    sizes.function_length,
    sizes.class_length,
    sizes.parameter_count,
    names.banned_names,
    names.mistaken_names,
    names.unit_last,
    money.no_float_in_money,
    money.no_division_of_amounts,
    imports.impure_part,
    imports.import_in_function,
    imports.private_noun_file,
    imports.service_names_its_surface,
    imports.environment_read,
    hazards.broad_except,
    hazards.global_state,
    hazards.hidden_cache,
    hazards.unbounded_queue,
    hazards.built_sql,
    hazards.printed,
    reach.program_start,
    reach.connection,
    words.unfinished_code,
    testing.constant_assertion,
    testing.sleep_in_unit_test,
)
TOP_TEXTS = ("*.md", "pyproject.toml", ".gitignore")


@dataclass(frozen=True)
class Checkout:
    """The texts of one checkout, read once."""

    root: Path
    sources: tuple[Source, ...]

    @staticmethod
    def read(root: Path) -> "Checkout":
        return Checkout(root, python_sources(root))

    def text(self, path: str) -> str | None:
        file = self.root / path
        return file.read_text(encoding="utf-8") if file.is_file() else None


def all_findings(checkout: Checkout) -> list[Finding]:
    """What every rule finds, before exemptions, in the order of the files."""
    found = [finding for rule in FILE_RULES for s in checkout.sources for finding in rule(s)]
    found.extend(finding for rule in TREE_RULES for finding in rule(checkout))
    return sorted(found, key=lambda finding: (finding.path, finding.line, finding.rule))


def texts(checkout: Checkout) -> Iterator[Finding]:
    """The words of the workshop, in every text file."""
    top = (path.name for pattern in TOP_TEXTS for path in checkout.root.glob(pattern))
    for path in (*text_paths(checkout.root, TEXT_ROOTS), *sorted(top)):
        yield from words.words_of_the_workshop(path, checkout.text(path) or "")


def assertions(checkout: Checkout) -> Iterator[Finding]:
    inside = [source for source in checkout.sources if under(source.path, "tests")]
    rule = partial(testing.missing_assertion, asserting=testing.asserting_functions(inside))
    for source in inside:
        yield from rule(source)


def readmes(checkout: Checkout) -> Iterator[Finding]:
    for room in sorted(rooms.rooms(checkout.sources)):
        yield from rooms.room_readme(room, checkout.text(f"{room}/README.md"))


def codes(checkout: Checkout) -> Iterator[Finding]:
    texts_by_name = {code.name: code.text for code in Code}
    yield from rooms.codes_used(texts_by_name, checkout.sources)
    yield from rooms.codes_documented(texts_by_name, checkout.text(rooms.ERRORS_PAGE) or "")


def dead(checkout: Checkout) -> Iterator[Finding]:
    yield from rooms.dead_functions(checkout.sources)


TREE_RULES: tuple[Callable[[Checkout], Iterator[Finding]], ...] = (
    texts,
    assertions,
    readmes,
    codes,
    dead,
)
