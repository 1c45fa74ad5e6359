"""The chart is well-formed, in proportion, inside of its frame, and stands on light and dark."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.proving.bench.chart import LABEL_WIDTH, WIDTH, Bar, Chart, svg

NS = "{http://www.w3.org/2000/svg}"
DIGIT_WIDTH = 8.5
BARS = st.lists(st.builds(Bar, st.text(max_size=20), st.integers(0, 10**6)), min_size=1, max_size=6)


def drawn(chart: Chart) -> ET.Element:
    return ET.fromstring(svg(chart))


def widths(chart: Chart) -> list[int]:
    return [int(bar.attrib["width"]) for bar in drawn(chart).iter(f"{NS}rect")]


def test_bars_are_in_proportion_to_their_values() -> None:
    whole, half, none = widths(Chart("t", "x/s", (Bar("a", 1000), Bar("b", 500), Bar("c", 0))))
    assert (whole // 2, none) == (half, 1)


def test_a_goal_above_all_bars_sets_the_scale() -> None:
    chart = Chart("t", "x/s", (Bar("a", 100),), goal=200)
    (line,) = drawn(chart).iter(f"{NS}line")
    assert widths(chart)[0] * 2 == int(line.attrib["x1"]) - LABEL_WIDTH
    assert "goal 200" in svg(chart)


def test_without_a_goal_there_is_no_line() -> None:
    assert list(drawn(Chart("t", "x/s", (Bar("a", 1),))).iter(f"{NS}line")) == []


def test_what_is_compared_with_looks_otherwise() -> None:
    first, second = drawn(Chart("t", "x", (Bar("a", 1), Bar("b", 1, plain=True)))).iter(f"{NS}rect")
    assert (first.attrib["class"], second.attrib["class"]) == ("bar", "bar plain")


def test_both_backgrounds_have_colours_of_their_own() -> None:
    style = svg(Chart("t", "x", (Bar("a", 1),)))
    assert "prefers-color-scheme: dark" in style
    assert "background" not in style


@pytest.mark.parametrize("value", [0, 12_345, 999_999])
def test_the_widest_value_stays_inside_of_the_frame(value: int) -> None:
    chart = Chart("t", "settled/s", (Bar("a", value),), goal=1)
    for text in drawn(chart).iter(f"{NS}text"):
        if text.attrib["text-anchor" if "text-anchor" in text.attrib else "x"] == "start":
            assert int(text.attrib["x"]) + len(text.text or "") * DIGIT_WIDTH <= WIDTH


@given(BARS)
def test_any_label_is_text_and_no_markup(bars: list[Bar]) -> None:
    printable = [Bar("".join(c for c in bar.label if c.isprintable()), bar.value) for bar in bars]
    chart = Chart("<a> & b", "x/s", printable, note="<b>")
    labels = [text.text or "" for text in drawn(chart).iter(f"{NS}text")]
    assert "<a> & b" in labels
    assert all(bar.label in labels for bar in printable)


def test_who_sees_nothing_hears_the_figures() -> None:
    (description,) = drawn(Chart("t", "x/s", (Bar("a", 1234),))).iter(f"{NS}desc")
    assert description.text == "a: 1,234 x/s"
