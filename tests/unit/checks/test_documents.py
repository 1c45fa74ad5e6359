"""The documents name tests, packages and parts that exist."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from checks.source import Source, definitions
from tokenbooth.telemetry.metrics import Gauge, Metrics

ROOT = Path(__file__).resolve().parents[3]
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_of_ours_that_a_document_names_exists(document: Path) -> None:
    for path in re.findall(
        r"`((?:tests|checks|tokenbooth|docs|scripts)/[\w./-]+)", document.read_text()
    ):
        assert (ROOT / path).exists(), f"{document.name} names {path}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_that_a_document_names_exists(document: Path) -> None:
    for path, name in re.findall(r"`(tests/[\w./]+\.py)::(\w+)`", document.read_text()):
        source = Source(path, (ROOT / path).read_text())
        names = {named.node.name for named in definitions(source)}
        assert name in names, f"{document.name} names {path}::{name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_inside_the_checkout_leads_to_a_file(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#\s]+)", document.read_text()):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda path: path.name)
def test_a_decision_has_a_number_and_its_four_parts(decision: Path) -> None:
    text = decision.read_text()
    number = decision.name[:4]
    assert re.match(rf"# {number} \S", text)
    heads = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert heads == ["Context", "Decision", "Proof", "Consequences"]


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = [int(decision.name[:4]) for decision in DECISIONS]
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_direct_dependency_has_its_reason_and_no_other() -> None:
    project = PYPROJECT["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    direct = {Requirement(line).name for line in [*project["dependencies"], *extras]}
    text = (ROOT / "docs" / "decisions" / "0003-dependencies.md").read_text()
    reasons = set(re.findall(r"^\| `([\w-]+)` \| \S", text, re.MULTILINE))
    assert reasons == direct - {project["name"]}


def test_the_changelog_tells_of_this_version() -> None:
    heads = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert heads[0] == "Unreleased" or heads[0] == PYPROJECT["project"]["version"]


def test_operators_are_told_of_every_event_and_every_metric() -> None:
    text = (ROOT / "docs" / "operating.md").read_text()
    sources = [path.read_text() for path in (ROOT / "tokenbooth").rglob("*.py")]
    logged = {
        name
        for source in sources
        for name in re.findall(r"log\.(?:event|fault)\(\s*\"(\w+)\"", source)
    }
    assert {"serving", "call_settled", "loop_failed"} <= logged
    measured = re.findall(r"# TYPE (\w+) ", Metrics().render().decode())
    gauges = {f"tokenbooth_{gauge.name.lower()}" for gauge in Gauge}
    told = {*logged, *gauges, *measured}
    assert {name for name in told if f"`{name}`" not in text} == set()
