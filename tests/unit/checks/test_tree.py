"""The rules hold for this checkout."""

from pathlib import Path

import pytest

from checks.errors_page import PAGE, render
from checks.exemptions import EXEMPTIONS, idle, remaining
from checks.source import Finding
from checks.tidy.tree import Checkout, all_findings

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def found() -> list[Finding]:
    return all_findings(Checkout.read(ROOT))


def test_no_rule_is_broken_without_a_named_reason(found: list[Finding]) -> None:
    broken = remaining(found)
    assert not broken, "\n" + "\n".join(map(str, broken))


def test_every_exemption_is_needed(found: list[Finding]) -> None:
    assert not idle(found)


def test_every_exemption_has_a_reason_and_none_lifts_a_hard_limit() -> None:
    assert all(len(exemption.reason) > 10 for exemption in EXEMPTIONS)
    assert not [exemption for exemption in EXEMPTIONS if exemption.rule.endswith("-hard")]


def test_the_page_of_errors_is_the_one_that_the_codes_make() -> None:
    assert PAGE.read_text(encoding="utf-8") == render()
