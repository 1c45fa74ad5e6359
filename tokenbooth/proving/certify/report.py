"""One page about one certificate: what is certified, why not more, and what was not tested."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape

from tokenbooth.proving.certify.plots import BAD, GOOD, PLAIN, STYLE, Plot, Point, svg
from tokenbooth.verify.certificates.service import (
    NOT_TESTED,
    OK,
    STALE_WHEN,
    Certificate,
    Figures,
    read,
)
from tokenbooth.verify.ladder.service import Finding, Outcome

PERCENT, MS = 10_000, 1000
PAGE_STYLE = """
  :root { --ink: #1f2328; --dim: #59636e; --line: #d9dee3; --good: #1a7f64; --bad: #bc2c1a;
    --goal: #9a5b00; --back: #ffffff; --card: #f6f8fa }
  @media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --dim: #9198a1; --line: #30363d;
    --good: #3fb68b; --bad: #ff7b72; --goal: #f0b35e; --back: #0d1117; --card: #161b22 } }
  body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back);
    max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
  h1 { font-size: 1.4rem; margin: 0 } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem }
  .dim { color: var(--dim) } .good { color: var(--good) } .bad { color: var(--bad) }
  .cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem;
    margin: 1.25rem 0 }
  .card { background: var(--card); border-radius: 8px; padding: .75rem 1rem }
  .card b { display: block; font-size: 1.5rem } .wide { overflow-x: auto }
  table { border-collapse: collapse; width: 100% }
  svg { width: 100%; height: auto; margin: .5rem 0 }
  th, td { text-align: left; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line) }
  td.n, th.n { text-align: right } code { overflow-wrap: anywhere; font-size: .85em }
"""


def page(document: object) -> str:
    """The HTML of a certificate that ``read`` takes. Raises NoCertificate."""
    found = read(document)
    title = f"Capacity certificate: {found.model}"
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{PAGE_STYLE}{STYLE}</style></head><body>",
            *_head(found, title),
            *_cards(found),
            '<h2>Calls that kept the promise</h2><div class="wide">',
            svg(_rates(found)),
            '</div><h2>Answers under load, beside the same questions alone</h2><div class="wide">',
            svg(_quality(found)),
            "</div>",
            *_levels(found.figures.ladder),
            '<h2>Time to the first token at the certified rate</h2><div class="wide">',
            svg(_first_tokens(found)),
            "</div>",
            *_facts(found),
            "</body></html>\n",
        ]
    )


def _head(found: Certificate, title: str) -> Iterator[str]:
    promise, figures = found.plan.promise, found.figures
    yield f"<h1>{escape(title)}</h1>"
    yield (
        f'<p class="dim">Promise: first token within {promise.ttft_us // MS} ms, each further one '
        f"within {promise.tpot_us // MS} ms, for {promise.attainment_ppm / PERCENT:g} % of calls. "
        f"Counts from {_day(found.attestation.finding.issued_at_us)} until "
        f"{_day(found.attestation.finding.expires_at_us)}.</p>"
    )
    if not figures.concurrency:
        yield '<p class="bad"><b>Nothing is certified.</b></p>'
    if not figures.delay.good:
        yield (
            '<p class="bad">The generator itself was late '
            f"({figures.delay.p99_us / MS:.0f} ms, p99): measure from a faster machine.</p>"
        )
    elif figures.latency_concurrency != figures.concurrency:
        yield (
            '<p class="bad">Latency alone would allow '
            f"{_rate(figures.latency_calls_per_ks)} calls a second, "
            f"{figures.latency_concurrency} at once; the answers do not.</p>"
        )


def _cards(found: Certificate) -> Iterator[str]:
    figures = found.figures
    bad = [each for each in figures.ladder if each.outcome is not Outcome.PASSED]
    low = figures.attainment.low_ppm / PERCENT
    margin = found.plan.ladder.margin_ppm / PERCENT
    cards = (
        (str(figures.concurrency), "calls at once", "certified"),
        (_rate(figures.calls_per_ks), "calls a second", "certified"),
        (
            f"{figures.attainment.share_ppm / PERCENT:.1f} %",
            "of calls were good",
            f"at least {low:.1f} % with the bound of the plan",
        ),
        (
            f"{len(figures.ladder) - len(bad)} of {len(figures.ladder)}",
            "levels answer as well",
            f"none loses {margin:.1f} points or more" if not bad else "see below",
        ),
    )
    yield '<div class="cards">'
    for big, said, small in cards:
        yield f'<div class="card"><b>{escape(big)}</b>{escape(said)}<br>'
        yield f'<span class="dim">{escape(small)}</span></div>'
    yield "</div>"
    if figures.first_failing:
        yield (
            f"<p>First to fail: <b>{escape(figures.first_failing)}</b>, "
            f"because of {escape(figures.binding)}.</p>"
        )


def _rates(found: Certificate) -> Plot:
    best = found.figures.latency_calls_per_ks
    points = [
        Point(
            tried.calls_per_ks / 1000,
            100 * tried.good / max(1, tried.calls),
            100 * tried.good / max(1, tried.calls),
            100 * tried.good / max(1, tried.calls),
            (GOOD if tried.passed else BAD) if tried.purpose == "confirm" else PLAIN,
            _rate(tried.calls_per_ks)
            if tried.purpose == "confirm" and tried.calls_per_ks == best
            else "",
        )
        for tried in found.figures.tried
    ]
    return Plot(
        "Share of good calls; grey: probes, green and red: confirmations",
        " %",
        "calls a second",
        _near(points),
        (0, 100),
        (0, 25, 50, 75, 100),
        found.plan.promise.attainment_ppm / PERCENT,
        "promised",
    )


def _near(points: Sequence[Point]) -> list[Point]:
    """Far probes would press the others together: what is beyond twice the confirmed goes."""
    shown = [point.x for point in points if point.kind is not PLAIN]
    return [point for point in points if not shown or point.x <= 2 * max(shown)]


def _quality(found: Certificate) -> Plot:
    kinds = {Outcome.PASSED: GOOD, Outcome.FAILED: BAD, Outcome.UNPROVEN: PLAIN}
    points = [
        Point(
            place,
            each.loss_ppm / PERCENT,
            (2 * each.loss_ppm - each.high_ppm) / PERCENT,
            each.high_ppm / PERCENT,
            kinds[each.outcome],
            f"b{each.level.batch}" if each.level.batch else f"{each.level.percent} %",
        )
        for place, each in enumerate(found.figures.ladder)
    ]
    margin = found.plan.ladder.margin_ppm / PERCENT
    top = max([margin * 1.5, *(point.high for point in points)], default=1.0)
    bottom = min([-margin / 2, *(point.low for point in points)], default=0.0)
    return Plot(
        "Points lost, with what they lie between",
        "",
        "b: calls at once; %: of the certified rate",
        points,
        (bottom, top),
        (0, round(top / 2, 1), round(top, 1)),
        margin,
        f"margin {margin:.1f}",
    )


def _first_tokens(found: Certificate) -> Plot:
    rate = found.figures.latency_calls_per_ks
    numbers = [number for number, leg in enumerate(found.legs) if rate and leg.calls_per_ks == rate]
    waits = sorted(
        (sample.first_us - sample.due_us) / MS
        for sample in found.samples
        if sample.leg in numbers and sample.status == OK
    )
    marks = (0, 10, 25, 50, 75, 90, 95, 99)
    points = [
        Point(p, waits[min(len(waits) - 1, len(waits) * p // 100)], 0, 0, GOOD, f"p{p}")
        for p in marks
        if waits
    ]
    goal = found.plan.promise.ttft_us / MS
    top = max([goal * 1.1, *(point.y for point in points)])
    return Plot(
        "Milliseconds from the moment that a call was due",
        "",
        "of 100 calls",
        points,
        (0, top),
        (0, round(top / 2), round(top)),
        goal,
        "promised",
        curve=True,
    )


def _levels(ladder: Sequence[Finding]) -> Iterator[str]:
    yield '<div class="wide"><table><tr><th>Level</th><th class="n">Answers</th>'
    yield '<th class="n">Lost</th><th class="n">Won</th><th class="n">Loss, points</th>'
    yield '<th class="n">At most</th><th>Outcome</th></tr>'
    for each in ladder:
        kind = "good" if each.outcome is Outcome.PASSED else "bad"
        yield (
            f'<tr><td>{escape(each.level.name)}</td><td class="n">{each.paired.count}</td>'
            f'<td class="n">{each.paired.lost}</td><td class="n">{each.paired.won}</td>'
            f'<td class="n">{each.loss_ppm / PERCENT:.2f}</td>'
            f'<td class="n">{each.high_ppm / PERCENT:.2f}</td>'
            f'<td class="{kind}">{each.outcome.value}</td></tr>'
        )
    yield "</table></div>"


def _facts(found: Certificate) -> Iterator[str]:
    figures, plan = found.figures, found.plan
    right = ", ".join(
        f"{name} {fine}/{all_}" for name, (fine, all_) in figures.alone.right_by_family.items()
    )
    facts = {
        **found.attestation.finding.subject,
        "probes": f"{plan.pack.version}, seed {plan.pack.seed}, {plan.probes} of "
        f"{len(plan.pack.families)} families",
        "right alone": right,
        "changed its mind alone": f"{figures.alone.discordance_ppm / PERCENT:.2f} %",
        "answers": f"{figures.output_tokens_p50} tokens (p50), {figures.output_tokens_p95} (p95)",
        "calls": f"{figures.calls:,}: {_statuses(figures)}",
        "generator": f"{figures.delay.p50_us / MS:.1f} ms late (p50), "
        f"{figures.delay.p99_us / MS:.1f} ms (p99)",
        "cache": plan.cache,
        "signed by": found.attestation.key_id,
    }
    yield '<h2>Facts</h2><div class="wide"><table>'
    for name, said in facts.items():
        yield f"<tr><th>{escape(name)}</th><td><code>{escape(said)}</code></td></tr>"
    yield "</table></div><h2>Not tested</h2><ul>"
    yield from (f"<li>{escape(said)}</li>" for said in NOT_TESTED)
    yield "</ul><h2>It counts no longer when</h2><ul>"
    yield from (f"<li>{escape(said)}</li>" for said in STALE_WHEN)
    yield (
        "</ul><p class='dim'>Recompute every figure from the raw samples, without a network: "
        "<code>tokenbooth certify verify certificate.json</code></p>"
    )


def _statuses(figures: Figures) -> str:
    return json.dumps(figures.statuses).strip("{}").replace('"', "")


def _rate(calls_per_ks: int) -> str:
    return f"{calls_per_ks / 1000:.2f}"


def _day(moment_us: int) -> str:
    return datetime.fromtimestamp(moment_us // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M UTC")
