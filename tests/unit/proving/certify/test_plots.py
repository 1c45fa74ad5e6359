"""A plot is one well-formed element: everything inside of its frame, and names that stay names."""

import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenbooth.proving.certify.plots import (
    BAD,
    BOTTOM,
    GOOD,
    HEIGHT,
    LEFT,
    PLAIN,
    RIGHT,
    TOP,
    WIDTH,
    Plot,
    Point,
    svg,
)

SPACE = "{http://www.w3.org/2000/svg}"
POINTS = (Point(1, 40, 30, 60, BAD, "one"), Point(2, 70, 70, 70, PLAIN), Point(5, 95, 90, 99, GOOD))
PLOT = Plot("Title", " %", "calls", POINTS, (0, 100), (0, 50, 100), 95, "promised")
FRAME = (LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM)

number = st.floats(-1e9, 1e9)
point = st.builds(Point, number, number, number, number, st.sampled_from([GOOD, BAD, PLAIN]))


def drawn(plot: Plot) -> ET.Element:
    return ET.fromstring(svg(plot))


def of_class(root: ET.Element, tag: str, kind: str) -> list[ET.Element]:
    return [each for each in root.iter(SPACE + tag) if kind in each.get("class", "").split()]


def said(root: ET.Element) -> list[str]:
    return [each.text or "" for each in root.iter(SPACE + "text")]


def test_each_point_is_a_circle_of_its_kind_and_a_span_where_it_has_one() -> None:
    root = drawn(PLOT)
    assert [each.get("class") for each in root.iter(SPACE + "circle")] == [BAD, PLAIN, GOOD]
    assert [each.get("class") for each in of_class(root, "line", "span")] == [
        "span bad",
        "span good",
    ]


def test_more_is_higher_and_later_is_further_right() -> None:
    circles = list(drawn(PLOT).iter(SPACE + "circle"))
    for one, two in pairwise(circles):
        assert float(one.get("cx", 0)) < float(two.get("cx", 0))
        assert float(one.get("cy", 0)) > float(two.get("cy", 0))


def test_the_axis_is_marked_at_its_steps_with_the_unit() -> None:
    root = drawn(PLOT)
    assert {"0 %", "50 %", "100 %", "calls", "Title"} <= set(said(root))
    assert len(of_class(root, "line", "axis")) == 3 + 1
    assert PLOT.y_at(0) == HEIGHT - BOTTOM
    assert PLOT.y_at(100) == TOP


def test_a_goal_is_a_named_line_at_its_height() -> None:
    root = drawn(PLOT)
    (goal,) = of_class(root, "line", "goal")
    assert float(goal.get("y1", 0)) == pytest.approx(PLOT.y_at(95), abs=0.1)
    assert "promised" in said(root)
    assert not of_class(drawn(replace(PLOT, goal=None)), "line", "goal")


def test_a_goal_of_nothing_is_a_goal_too() -> None:
    (goal,) = of_class(drawn(replace(PLOT, goal=0)), "line", "goal")
    assert float(goal.get("y1", 0)) == HEIGHT - BOTTOM


def test_without_points_there_are_axes_and_no_more() -> None:
    root = drawn(replace(PLOT, points=()))
    assert not list(root.iter(SPACE + "circle"))
    assert not of_class(root, "line", "goal")
    assert of_class(root, "line", "axis")


def test_a_curve_goes_through_its_points_and_keeps_their_labels() -> None:
    root = drawn(replace(PLOT, curve=True))
    (curve,) = root.iter(SPACE + "polyline")
    places = [tuple(map(float, each.split(","))) for each in curve.get("points", "").split()]
    expected = [(PLOT.x_at(each.x), PLOT.y_at(each.y)) for each in POINTS]
    assert places == [pytest.approx(place, abs=0.1) for place in expected]
    assert "one" in said(root)
    assert not list(root.iter(SPACE + "circle"))


def test_a_single_point_stands_in_the_middle() -> None:
    (circle,) = drawn(replace(PLOT, points=POINTS[:1])).iter(SPACE + "circle")
    assert float(circle.get("cx", 0)) == LEFT + (WIDTH - RIGHT - LEFT) / 2


HOSTILE = [
    "</svg><script>alert(1)</script>",
    '" onload="x',
    "a & b",
    "<!--",
    "]]>",
    "&#0;",
    "\u202e",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text_and_nothing_else(name: str) -> None:
    plot = replace(
        PLOT,
        title=name,
        x_name=name,
        y_unit=name,
        goal_name=name,
        points=(replace(POINTS[0], label=name),),
    )
    root = drawn(plot)
    assert said(root).count(name) == 4
    tags = {each.tag.removeprefix(SPACE) for each in root.iter()}
    assert tags == {"svg", "title", "text", "line", "circle"}
    assert all("onload" not in each.attrib for each in root.iter())


@given(st.lists(point, min_size=1, max_size=6), st.booleans())
@settings(max_examples=40)
def test_everything_is_drawn_inside_of_the_frame(points: list[Point], curve: bool) -> None:
    """What lies beyond an end is drawn at the end."""
    root = drawn(replace(PLOT, points=points, curve=curve))
    left, right, top, bottom = FRAME
    for circle in root.iter(SPACE + "circle"):
        assert left <= float(circle.get("cx", 0)) <= right
        assert top <= float(circle.get("cy", 0)) <= bottom
    for span in of_class(root, "line", "span"):
        assert top <= float(span.get("y2", 0)) <= float(span.get("y1", 0)) <= bottom


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
@settings(max_examples=40)
def test_heights_keep_the_order_of_values(one: float, two: float) -> None:
    low, high = sorted((one, two))
    assert PLOT.y_at(low) >= PLOT.y_at(high)
