"""A season told: as text, as a document, and as a page that shows names as they are."""

from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenbooth.proving.launching.season_page import season_page
from tokenbooth.proving.launching.show import Frame, Season
from tokenbooth.signing.canonical import NotCanonical

FRAME = Frame("2026-04-07", "Announced", ("Said so.",), {"n": 1}, "tokenbooth x", passed=True)
HOSTILE = (
    "<script>alert(1)</script>",
    "</li></ol><h1>GO</h1>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "<!-- and then nothing",
    "]]> &lt;b&gt; & &amp;",
)
VOID = frozenset({"meta"})


class Seen(HTMLParser):
    """What a browser would find: the tags with their classes, and the texts."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.attributes: set[str] = set()
        self.comments = 0
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs).get("class") or ""))
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, "tags are closed in the order in which they were opened"

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.comments += 1


def tags_of(season: Season) -> list[tuple[str, str]]:
    seen = Seen(season_page(season))
    assert seen.open == []
    assert seen.comments == 0
    assert seen.attributes <= {"lang", "charset", "name", "content", "class"}
    return seen.tags


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("field", ["day", "title", "said", "command"])
def test_a_hostile_name_is_shown_as_it_is_and_adds_no_markup(field: str, text: str) -> None:
    plain = Season([FRAME])
    hostile = Season([replace(FRAME, **{field: (text,) if field == "said" else text})])
    assert tags_of(hostile) == tags_of(plain)
    assert text in Seen(season_page(hostile)).texts


@settings(max_examples=40)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), max_size=4))
def test_whatever_is_said_the_page_has_one_paragraph_for_each(said: list[str]) -> None:
    tags = tags_of(Season([replace(FRAME, said=tuple(said))]))
    plain = tags_of(Season([replace(FRAME, said=())]))
    assert len(tags) == len(plain) + len(said)
    assert tags.count(("li", "frame")) == 1


def test_a_frame_that_did_not_come_out_is_marked_and_the_page_says_so() -> None:
    season = Season([FRAME, replace(FRAME, title="Stopped", passed=False)])
    tags = tags_of(season)
    assert [name for tag, name in tags if tag == "li"] == ["frame", "frame wrong"]
    assert "A frame did not come out" in season_page(season)
    assert "Every frame came out" not in season_page(season)
    assert "Every frame came out" in season_page(Season([FRAME]))


def test_a_page_needs_nothing_else() -> None:
    page = season_page(Season([FRAME]))
    assert page.startswith("<!doctype html>")
    assert not any(each in page for each in ("<script", "<link", "http:", "https:", "@import"))


def test_the_page_and_the_document_name_the_same_digest() -> None:
    season = Season([FRAME])
    assert season.digest in season_page(season)
    assert season.document()["digest"] == season.digest


@pytest.mark.parametrize(
    "fields",
    [
        {"day": "2026-04-08"},
        {"title": "Delayed"},
        {"said": ("Said so", ".")},
        {"facts": {"n": 2}},
        {"facts": {"n": 1, "m": 1}},
        {"facts": {"n": "1"}},
    ],
)
def test_a_digest_changes_with_what_happened(fields: Mapping[str, object]) -> None:
    other = Season([replace(FRAME, **fields)])  # type: ignore[arg-type]
    assert other.digest != Season([FRAME]).digest


def test_a_digest_knows_the_order_of_frames_and_not_that_of_facts() -> None:
    second = replace(FRAME, title="Stopped", facts={"a": 1, "b": 2})
    turned = replace(second, facts={"b": 2, "a": 1})
    assert Season([FRAME, second]).digest == Season([FRAME, turned]).digest
    assert Season([FRAME, second]).digest != Season([second, FRAME]).digest


def test_facts_are_whole_numbers_and_texts() -> None:
    with pytest.raises(NotCanonical):
        Season([replace(FRAME, facts={"share": 0.5})]).digest  # noqa: B018 - it is computed here


def test_a_season_in_which_nothing_happened_proves_nothing() -> None:
    assert not Season().passed
    assert Season().document()["passed"] is False
    assert "A frame did not come out" in season_page(Season())


def test_a_season_passes_with_its_last_frame() -> None:
    wrong = replace(FRAME, passed=False)
    assert Season([FRAME, FRAME]).passed
    assert not Season([FRAME, wrong]).passed
    assert not Season([wrong, FRAME]).passed


def test_a_frame_is_told_with_its_day_and_the_command_that_shows_the_same() -> None:
    assert FRAME.told()[0] == "2026-04-07  Announced"
    assert FRAME.told()[-1].endswith("$ tokenbooth x")
    assert "DID NOT COME OUT" in replace(FRAME, passed=False).told()[0]
    assert len(replace(FRAME, said=("a", "b", "c")).told()) == 5


def test_a_document_lists_every_frame_as_it_was() -> None:
    (found,) = Season([FRAME]).document()["frames"]  # type: ignore[misc]
    assert found == {
        "day": FRAME.day,
        "title": FRAME.title,
        "said": list(FRAME.said),
        "facts": dict(FRAME.facts),
        "command": FRAME.command,
        "passed": True,
    }
