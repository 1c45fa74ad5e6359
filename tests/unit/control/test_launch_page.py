"""The page of a report stays the page that it is, whatever anybody called anything."""

from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.launches import GATE, HOUR_US, KEY, NOW_US
from tokenbooth.control.launch_documents import report_json
from tokenbooth.control.launch_page import document, page
from tokenbooth.launch.gates.service import Gate, Mark, Outcome, Reading, Sense, Waiver
from tokenbooth.launch.readiness.service import (
    Forecast,
    Line,
    Point,
    Report,
    Room,
    Trend,
    Verdict,
)
from tokenbooth.launch.stages.service import Stage
from tokenbooth.signing.attestation import Finding, attest

DAY_US = 24 * HOUR_US
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></title></table><h1>GO</h1>",
    "<!-- ' -->",
    "&lt;b&gt; & co",
    "]]><svg onload=alert(1)>",
    "javascript:alert(1)",
)
EMPTY = Room(
    certified_milli=None,
    replicas=None,
    demand_milli=None,
    stated=False,
    admitted=0,
    population=0,
    admissible=None,
    invite=None,
    replicas_needed=None,
)
# Elements that stand alone, as HTML has them.
ALONE = {"meta", "br", "line", "polyline"}


class Read(HTMLParser):
    """What a browser would make of a page: its elements with their attributes, and its words."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.comments: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(attrs)))
        if tag not in ALONE:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def said(self) -> str:
        return " ".join("".join(self.words).split())


def called(name: str) -> Gate:
    return replace(GATE, name=name, title=name, reproduce=name)


def line(gate: Gate = GATE, mark: Mark = Mark.FAIL, **fields: Any) -> Line:
    """One gate of private preview; ``fields`` are the line's own, then those of its outcome."""
    own = {"history": (), "trend": Trend.UNKNOWN, "waiver": None}
    own |= {name: fields.pop(name) for name in tuple(own) if name in fields}
    outcome = Outcome(gate=gate, mark=mark, **fields)
    return Line(stage=Stage.PRIVATE_PREVIEW, outcome=outcome, **own)


def report(*lines: Line, **fields: Any) -> Report:
    """A report of ``demo`` that knows nothing but these lines."""
    found: Mapping[str, Any] = {
        "model": "demo",
        "fingerprint": "fp_1",
        "stage_now": Stage.WAITLIST,
        "stage": Stage.PRIVATE_PREVIEW,
        "verdict": Verdict.NO_GO,
        "lines": lines,
        "room": EMPTY,
        "predecessor": None,
        "forecast": None,
        "forecast_why": "nothing was measured",
        "promised_us": None,
        "slipped_us": 0,
        "untested": (),
        "policy": "p" * 64,
        "made_us": NOW_US,
    }
    return Report(**{**found, **fields})


def shown(found: Report) -> str:
    subject = {"model": "demo"}
    body = report_json(found)
    return page(found, attest(Finding("a/1", subject, NOW_US, NOW_US + 1, body), KEY))


def waiver(text: str) -> Waiver:
    return Waiver(
        model="demo",
        stage=Stage.PRIVATE_PREVIEW,
        gate=text,
        owner=text,
        reason=text,
        expires_us=NOW_US + DAY_US,
        granted_us=NOW_US,
        granted_by=text,
    )


def all_said(text: str) -> Report:
    """A report with this text wherever an operator, a policy or a measurement may put one."""
    reading = Reading(
        figure=text, sense=Sense.IS, value=text, bound=text, margin_permille=-1000, met=False
    )
    points = (Point(NOW_US - DAY_US, 1), Point(NOW_US, 2))
    return report(
        line(called(text), readings=(reading,), why=(text, text), history=points),
        line(called("x" + text), Mark.STALE, why=(text,), evidence=text[:20], waiver=waiver(text)),
        model=text,
        fingerprint=text,
        forecast_why=text,
        predecessor=text,
        untested=(text, text),
    )


TAME = Read(shown(all_said("tame")))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_name_is_read_as_the_words_that_it_is(text: str) -> None:
    found = Read(shown(all_said(text)))
    assert found.elements == TAME.elements
    assert found.comments == []
    assert found.open == []
    assert found.said.count(" ".join(text.split())) >= 12


@settings(max_examples=25)
@given(st.text(alphabet=st.sampled_from("<>&'\"/!-=abc \n\t\0é"), min_size=1, max_size=30))
def test_no_text_at_all_adds_an_element_or_takes_one(text: str) -> None:
    found = Read(shown(all_said(text)))
    assert found.elements == TAME.elements
    assert found.comments == []


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_title_stays_in_the_title(text: str) -> None:
    found = Read(document(text, ["<p>fine</p>"]))
    assert [tag for tag, _ in found.elements if tag != "meta"] == [
        "html",
        "head",
        "title",
        "style",
        "body",
        "p",
    ]


def test_a_page_asks_nobody_for_anything() -> None:
    for tag, attributes in TAME.elements:
        assert tag not in {"script", "link", "img", "iframe", "object", "form", "a"}
        assert not {"src", "href", "action", "srcset"} & {name for name, _ in attributes}
        assert not any(name.startswith("on") for name, _ in attributes)
    assert "url(" not in shown(report())
    assert "@import" not in shown(report())


def test_a_report_without_gates_is_a_whole_page() -> None:
    found = Read(shown(report(verdict=Verdict.GO)))
    assert found.open == []
    assert "0 of 0 gates stand in the way" in found.said.replace("0 of 0gates", "0 of 0 gates")
    assert "What stands in the way" not in found.said
    assert "Waived" not in found.said
    assert "Capacity unknown: no certificate that counts." in found.said


def test_what_stands_in_the_way_is_told_the_longest_way_first() -> None:
    ways = [
        line(replace(called(name), lead_days=days), why=("so",))
        for name, days in (("short", 1), ("long", 30), ("also-long", 30))
    ]
    passed = line(called("fine"), Mark.PASS)
    said = Read(shown(report(*ways, passed))).said
    table = said.partition("the longest way first")[2].partition("Every gate")[0]
    assert table.index("also-long") < table.index("30 days") < table.index("short")
    assert table.index("also-long") < table.rindex("long")
    assert "fine" not in table
    assert "3 of 4" in said


@pytest.mark.parametrize(
    ("mark", "has_waiver", "word"),
    [
        (Mark.PASS, False, "PASS"),
        (Mark.FAIL, False, "FAIL"),
        (Mark.STALE, False, "STALE"),
        (Mark.MISSING, False, "MISSING"),
        (Mark.MISSING, True, "WAIVED"),
    ],
)
def test_a_mark_is_told_in_a_word_and_not_by_its_colour_alone(
    mark: Mark, has_waiver: bool, word: str
) -> None:
    one = line(mark=mark, waiver=waiver("Ada") if has_waiver else None)
    gates = Read(shown(report(one))).said.partition("Every gate")[2]
    assert word in gates
    assert ("Waived" in Read(shown(report(one))).said) is has_waiver


@pytest.mark.parametrize(
    ("sense", "value", "bound", "told"),
    [
        (Sense.AT_LEAST, 5, 7, "calls 5 ≥ 7"),
        (Sense.AT_MOST, 5, 7, "calls 5 ≤ 7"),
        (Sense.IS, True, False, "calls yes = no"),
        (Sense.IS, None, True, "calls nothing = yes"),
        (Sense.AT_LEAST, 0, None, "calls 0 ≥ unknown"),
    ],
)
def test_a_reading_is_told_with_its_bound(sense: Sense, value: Any, bound: Any, told: str) -> None:
    reading = Reading(
        figure="calls", sense=sense, value=value, bound=bound, margin_permille=0, met=False
    )
    assert told in Read(shown(report(line(readings=(reading,))))).said


@pytest.mark.parametrize(
    ("age_us", "told"), [(0, "0 hours old"), (HOUR_US - 1, "0 hours old"), (DAY_US, "24 hours old")]
)
def test_evidence_is_told_with_its_age(age_us: int, told: str) -> None:
    said = Read(shown(report(line(evidence="e" * 64, age_us=age_us)))).said
    assert told in said
    assert "e" * 12 in said
    assert "e" * 13 not in said


def way_of(points: list[Point]) -> list[tuple[int, int]]:
    elements = Read(shown(report(line(history=tuple(points))))).elements
    (found,) = [dict(attributes) for tag, attributes in elements if tag == "polyline"]
    pairs = (found["points"] or "").split()
    return [(int(x), int(y)) for x, _, y in (each.partition(",") for each in pairs)]


def test_one_measurement_draws_no_line() -> None:
    for points in ((), (Point(NOW_US, 5),)):
        tags = [tag for tag, _ in Read(shown(report(line(history=points)))).elements]
        assert "svg" not in tags


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.integers(0, 10**16), st.integers(-(10**6), 10**6)), min_size=2, max_size=60
    )
)
def test_a_line_of_margins_stays_within_its_picture_and_in_order(
    made: list[tuple[int, int]],
) -> None:
    drawn = way_of([Point(*each) for each in sorted(made)])
    assert len(drawn) == len(made)
    assert all(0 <= x <= 120 and 0 <= y <= 28 for x, y in drawn)
    assert [x for x, _ in drawn] == sorted(x for x, _ in drawn)


def test_a_margin_that_grows_goes_up() -> None:
    heights = [y for _, y in way_of([Point(n * DAY_US, 100 * n - 200) for n in range(5)])]
    assert heights == sorted(heights, reverse=True)
    assert len(set(heights)) == 5


def test_a_promised_day_is_told_and_how_far_it_moved() -> None:
    promised = report(promised_us=NOW_US + 9 * DAY_US, slipped_us=3 * DAY_US + HOUR_US)
    assert "promised; moved by 3 days so far" in Read(shown(promised)).said
    assert "no date is promised" in Read(shown(report())).said


def test_a_forecast_is_told_as_an_interval() -> None:
    found = report(line(), forecast=Forecast(NOW_US, NOW_US + DAY_US, NOW_US + 2 * DAY_US))
    said = Read(shown(found)).said
    assert "All gates pass between 2024-10-04 and 2024-10-06 (80 %)." in said
