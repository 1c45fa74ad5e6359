"""The page about a certificate is one well-formed document, whatever names stand in it."""

import xml.etree.ElementTree as ET

import pytest

from tests.support.measured import Measurement
from tokenbooth.control.certificates import DAY_US, signed
from tokenbooth.proving.certify.plots import Plot, Point, svg
from tokenbooth.proving.certify.report import page
from tokenbooth.signing.keys import SigningKey


@pytest.mark.parametrize("knee", [20_000, 0])
def test_a_page_holds_verdict_plots_and_escaped_names(knee: int) -> None:
    subject = {"model": "<script>alert(1)</script>", "note": "a & b"}
    evidence = Measurement(knee=knee).evidence
    document = signed(evidence, subject, (10**15, DAY_US), SigningKey(bytes(32)))
    made = page(document)
    assert made.count("<svg") == 3
    assert "<script>" not in made
    assert "a &amp; b" in made
    assert ("Nothing is certified" in made) == (knee == 0)
    assert "Not tested" in made


def test_a_plot_is_well_formed_with_and_without_points() -> None:
    points = [Point(1, 50, 40, 60, "good", "1 <"), Point(2, 90, 90, 90)]
    for shown in ([], points, points[:1]):
        made = svg(Plot("a < b", " %", "x", shown, (0, 100), (0, 100), 95, "goal"))
        assert ET.fromstring(made).tag.endswith("svg")
        assert made.count("<circle") == len(shown)
