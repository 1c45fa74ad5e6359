"""The table of budgets with today's figures; fails where one is exceeded.

``python -m checks.budgets`` prints plain text. Coverage is read from what the last run of the unit
tests left in ``.coverage.json``; without that file it is shown as not measured.
"""

import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import grimp

from checks.exemptions import EXEMPTIONS, remaining
from checks.source import Finding, Source, under
from checks.tidy import hazards, imports, sizes
from checks.tidy.tree import Checkout

ROOT = Path(__file__).resolve().parent.parent
COVERAGE_FILE = ".coverage.json"
DEPENDENCIES_MAX = 25
TEST_PERCENT_MIN = 150
PROOF = "tokenbooth/proving"
COVERED_FULLY = re.compile(
    r"^tokenbooth/(([\w/]+/)?rules\.py|(protocols|money)/.+|core/money\.py)$"
)
OK, EXEMPT, OVER = "ok", "exempt", "OVER"

Figure = tuple[int, str]


@dataclass(frozen=True)
class Row:
    """``where`` names the place of the figure; ``state`` is OK, EXEMPT or OVER."""

    budget: str
    today: str
    limit: str
    state: str
    where: str


def rows(checkout: Checkout) -> list[Row]:
    product = [source for source in checkout.sources if under(source.path, "tokenbooth")]
    return [
        *size_rows(product),
        cycle_row(import_cycles()),
        *site_rows(product),
        ratio_row(checkout.sources),
        dependency_row(tomllib.loads(checkout.text("pyproject.toml") or "")),
        coverage_row(checkout.text(COVERAGE_FILE), [source.path for source in product]),
        Row("named exemptions", str(len(EXEMPTIONS)), "-", OK, "checks/exemptions.py"),
    ]


def size_rows(product: Iterable[Source]) -> Iterator[Row]:
    sources = tuple(product)
    files = [(source.line_count, source.path) for source in sources]
    functions = [
        (named.line_count, f"{source.path} {named.name}")
        for source in sources
        for named in sizes.functions(source)
    ]
    taken = [
        (sizes.parameters(named), f"{source.path} {named.name}")
        for source in sources
        for named in sizes.functions(source)
    ]
    bodies = [
        (named.line_count, f"{source.path} {named.name}")
        for source in sources
        for named in sizes.classes(source)
    ]
    for budget, figures, limit, rule in (
        ("largest file, lines", files, sizes.FILE_LINES, sizes.file_length),
        ("longest function, lines", functions, sizes.FUNCTION_LINES, sizes.function_length),
        ("largest class, lines", bodies, sizes.CLASS_LINES, sizes.class_length),
        ("most parameters", taken, sizes.PARAMETERS, sizes.parameter_count),
    ):
        yield size_row(budget, figures, limit, _found(rule, sources))


def size_row(budget: str, figures: Iterable[Figure], limit: int, found: list[Finding]) -> Row:
    """The largest figure; an excess that is exempt by name does not fail."""
    today, where = max(figures, default=(0, "-"))
    state = OVER if remaining(found) else EXEMPT if found else OK
    return Row(budget, str(today), str(limit), state, where)


def _found(rule: Callable[[Source], Iterator[Finding]], sources: Iterable[Source]) -> list[Finding]:
    return [finding for source in sources for finding in rule(source)]


def site_rows(product: Iterable[Source]) -> Iterator[Row]:
    """Places where a rule is broken by name; each one has its reason in the exemptions."""
    sources = tuple(product)
    for budget, rule in (
        ("broad excepts, named sites", hazards.broad_except),
        ("imports in functions, named sites", imports.import_in_function),
        ("rebound or shared module state", hazards.global_state),
    ):
        found = _found(rule, sources)
        bad = remaining(found)
        state = OVER if bad else EXEMPT if found else OK
        where = ", ".join(dict.fromkeys(finding.path for finding in bad or found)) or "-"
        yield Row(budget, str(len(found)), "named", state, where)


def import_cycles(package: str = "tokenbooth") -> dict[str, frozenset[str]]:
    """Each module of the package that imports itself by way of others, with what it imports."""
    graph = grimp.build_graph(package, cache_dir=None)
    direct = {
        module: frozenset(graph.find_modules_directly_imported_by(module))
        for module in graph.modules
    }
    return {
        module: reached
        for module, reached in direct.items()
        if module in reached or any(module in graph.find_upstream_modules(r) for r in reached)
    }


def cycle_row(cycles: Mapping[str, frozenset[str]]) -> Row:
    where = ", ".join(sorted(cycles)) or "-"
    return Row("modules in import cycles", str(len(cycles)), "0", OVER if cycles else OK, where)


def ratio_row(sources: Iterable[Source]) -> Row:
    """All lines of ``tests`` for 100 lines of the product.

    What ``proving`` ships (drills, simulator, measurements) is proof itself: it counts on neither
    side, though its own tests do (decision 0026).
    """
    lines = {"tests": 0, "tokenbooth": 0}
    for source in sources:
        for folder in lines:
            counts = under(source.path, folder) and not under(source.path, PROOF)
            lines[folder] += source.line_count if counts else 0
    percent = 100 * lines["tests"] // max(1, lines["tokenbooth"])
    state = OK if percent >= TEST_PERCENT_MIN else OVER
    where = f"{lines['tests']} lines of tests, {lines['tokenbooth']} of the product"
    limit = f">= {TEST_PERCENT_MIN} %"
    return Row("tests / source", f"{percent} %", limit, state, where)


def dependency_row(pyproject: Mapping[str, object]) -> Row:
    """Different packages that the product and its extras name directly, itself excluded."""
    project = pyproject.get("project")
    assert isinstance(project, dict)
    extras = project.get("optional-dependencies", {})
    named = [*project["dependencies"], *(line for lines in extras.values() for line in lines)]
    packages = {re.split(r"[\s\[<>=!~;]", line, maxsplit=1)[0].lower() for line in named}
    packages.discard(project["name"])
    state = OK if len(packages) <= DEPENDENCIES_MAX else OVER
    base = len(project["dependencies"])
    where = f"{base} in the base install, the rest in extras"
    return Row("direct dependencies", str(len(packages)), str(DEPENDENCIES_MAX), state, where)


def coverage_row(report: str | None, product: Iterable[str] = ()) -> Row:
    """Lines and branches of rules, protocols and money that the unit tests reach.

    A file of the ``product`` that no test ever loaded is not in the report, and is named.
    """
    budget = "coverage of rules, protocols, money"
    if report is None:
        return Row(budget, "not measured", "100 %", OK, "run scripts/test")
    wanted = missed = 0
    places = []
    files = json.loads(report)["files"]
    for path, measured in files.items():
        if COVERED_FULLY.match(path):
            counts = measured["summary"]
            gap = counts["missing_lines"] + counts["missing_branches"]
            wanted += counts["num_statements"] + counts["num_branches"]
            missed += gap
            places += [f"{path} misses {gap}"] if gap else []
    unloaded = {path for path in product if COVERED_FULLY.match(path)} - files.keys()
    places += [f"{path} was never loaded" for path in sorted(unloaded)]
    tenths = 1000 * (wanted - missed) // max(1, wanted)
    today = f"{tenths // 10}.{tenths % 10} %"
    return Row(budget, today, "100 %", OVER if places else OK, ", ".join(places) or "-")


def table(shown: Iterable[Row]) -> str:
    """Aligned plain text, one line for each row; no colour, no markup."""
    head = ("Budget", "Today", "Limit", "State", "Where")
    cells = [head, *((r.budget, r.today, r.limit, r.state, r.where) for r in shown)]
    widths = [max(len(line[column]) for line in cells) for column in range(4)]
    return "\n".join(
        "  ".join(
            [*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[4]]
        )
        for line in cells
    )


def main() -> int:
    found = rows(Checkout.read(ROOT))
    print(table(found))
    return int(any(row.state == OVER for row in found))


if __name__ == "__main__":
    sys.exit(main())
