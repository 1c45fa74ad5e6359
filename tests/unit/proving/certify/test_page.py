"""The page says what the certificate says, figure by figure, and is one well-formed document."""

from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest

from tests.support.measured import Measurement
from tokenbooth.control.certificates import DAY_US, signed
from tokenbooth.proving.certify.report import page
from tokenbooth.signing.keys import SigningKey
from tokenbooth.verify.certificates.service import (
    NOT_TESTED,
    STALE_WHEN,
    Certificate,
    NoCertificate,
    read,
)

KEY = SigningKey(bytes(32))
ISSUED_US = 1_800_000_000_000_000
VOID = {"meta", "br", "line", "circle", "polyline"}
KINDS: dict[str, dict[str, Any]] = {
    "good": {},
    "nothing": {"knee": 0},
    "wrong above four": {"wrong": lambda batch, number: batch > 4 and number % 2 == 0},
    "late": {"late_us": 400_000},
}


class Outline(HTMLParser):
    """Which elements are open, and every text with the elements around it."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if data.strip() and "style" not in self.open:
            self.texts.append(" ".join(data.split()))


@cache
def document(kind: str, model: str = "alpha", note: str = "") -> Any:
    subject = {"model": model, "fingerprint": "engine-1 q8_0", "note": note}
    evidence = Measurement(**KINDS[kind]).evidence
    return signed(evidence, subject, (ISSUED_US, 7 * DAY_US), KEY)


def outlined(made: str) -> Outline:
    outline = Outline()
    outline.feed(made)
    outline.close()
    return outline


def shown(kind: str) -> tuple[Certificate, list[str]]:
    return read(document(kind)), outlined(page(document(kind))).texts


@pytest.mark.parametrize("kind", KINDS)
def test_every_element_is_closed_and_nothing_is_fetched(kind: str) -> None:
    made = page(document(kind))
    outline = outlined(made)
    assert outline.open == []
    assert made.startswith("<!doctype html>")
    assert outline.tags.count("svg") == 3
    assert {"script", "link", "img", "iframe", "form"} & set(outline.tags) == set()
    assert {"src", "href", "onload", "style"} & {name for name, _ in outline.attributes} == set()


@pytest.mark.parametrize("kind", KINDS)
def test_the_cards_hold_what_is_certified(kind: str) -> None:
    found, texts = shown(kind)
    figures = found.figures
    assert texts[texts.index("calls at once") - 1] == str(figures.concurrency)
    assert texts[texts.index("calls a second") - 1] == f"{figures.calls_per_ks / 1000:.2f}"
    share = f"{figures.attainment.share_ppm / 10_000:.1f} %"
    assert texts[texts.index("of calls were good") - 1] == share
    fine = sum(each.outcome.value == "passed" for each in figures.ladder)
    assert f"{fine} of {len(figures.ladder)}" in texts


@pytest.mark.parametrize("kind", KINDS)
def test_each_level_has_a_line_with_all_its_figures(kind: str) -> None:
    found, texts = shown(kind)
    for each in found.figures.ladder:
        at = texts.index(each.level.name, texts.index("Outcome"))
        assert texts[at : at + 7] == [
            each.level.name,
            str(each.paired.count),
            str(each.paired.lost),
            str(each.paired.won),
            f"{each.loss_ppm / 10_000:.2f}",
            f"{each.high_ppm / 10_000:.2f}",
            each.outcome.value,
        ]


@pytest.mark.parametrize("kind", KINDS)
def test_the_facts_name_probes_lengths_calls_delay_and_key(kind: str) -> None:
    found, texts = shown(kind)
    figures, plan = found.figures, found.plan
    facts = dict(pairwise(texts))
    assert facts["fingerprint"] == "engine-1 q8_0"
    assert facts["signed by"] == KEY.key_id
    assert facts["cache"] == plan.cache
    assert f"seed {plan.pack.seed}" in facts["probes"]
    assert f"{plan.probes} of" in facts["probes"]
    for family, (fine, count) in figures.alone.right_by_family.items():
        assert f"{family} {fine}/{count}" in facts["right alone"]
    assert str(figures.output_tokens_p50) in facts["answers"]
    assert str(figures.output_tokens_p95) in facts["answers"]
    assert facts["calls"].startswith(f"{figures.calls:,}: ")
    assert all(f"{name}: {count}" in facts["calls"] for name, count in figures.statuses.items())
    assert f"{figures.delay.p99_us / 1000:.1f} ms (p99)" in facts["generator"]
    changed = f"{figures.alone.discordance_ppm / 10_000:.2f} %"
    assert facts["changed its mind alone"] == changed


def test_the_promise_and_its_days_stand_at_the_top() -> None:
    _, texts = shown("good")
    (promise,) = [text for text in texts if text.startswith("Promise:")]
    assert "within 1000 ms" in promise
    assert "within 50 ms" in promise
    assert "95 % of calls" in promise
    assert "from 2027-01-15 08:00 UTC until 2027-01-22 08:00 UTC" in promise


def test_what_was_not_tested_and_when_it_ends_is_said_in_full() -> None:
    _, texts = shown("good")
    assert set(NOT_TESTED) | set(STALE_WHEN) <= set(texts)


def test_what_failed_first_is_named_with_its_cause() -> None:
    found, texts = shown("wrong above four")
    assert found.figures.binding == "quality"
    assert texts[texts.index("First to fail:") + 1] == found.figures.first_failing
    assert ", because of quality." in texts
    assert any(text.startswith("Latency alone would allow") for text in texts)
    assert "see below" in texts


def test_nothing_certified_is_said_in_words() -> None:
    assert "Nothing is certified." in shown("nothing")[1]
    assert "Nothing is certified." in shown("late")[1]
    assert "Nothing is certified." not in shown("good")[1]


def test_a_generator_that_was_late_is_named_as_the_cause() -> None:
    """The answers were as good; it is the measurement that means nothing."""
    found, texts = shown("late")
    assert not found.figures.delay.good
    assert not any("the answers do not" in text for text in texts)
    assert any("generator itself was late" in text for text in texts)


HOSTILE = ["</title><script>alert(1)</script>", '"><img src=x onerror=y>', "a & <b>", "&lt;", "'x'"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_shown_as_they_are_and_do_nothing(name: str) -> None:
    outline = outlined(page(document("good", name, f"note {name}")))
    plain = outlined(page(document("good")))
    assert outline.tags == plain.tags
    assert outline.open == []
    assert " ".join(f"note {name}".split()) in outline.texts
    assert f"Capacity certificate: {name}" in outline.texts


@pytest.mark.parametrize("junk", [None, [], {}, "text", {"format": "tokenbooth.certificate/1"}])
def test_what_is_no_certificate_makes_no_page(junk: object) -> None:
    with pytest.raises(NoCertificate):
        page(junk)


def test_a_certificate_without_its_samples_makes_no_page() -> None:
    with pytest.raises(NoCertificate, match="no samples"):
        page({**document("good"), "samples": []})
