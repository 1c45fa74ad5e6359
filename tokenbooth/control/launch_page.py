"""A readiness report as one page that needs nothing else: no scripts, no fonts, no network."""

from collections.abc import Iterable, Sequence
from html import escape

from tokenbooth.control.documents import iso_day, iso_time
from tokenbooth.control.launch_documents import forecast_line, room_lines
from tokenbooth.launch.gates.service import Reading, shown
from tokenbooth.launch.readiness.service import Line, Point, Report
from tokenbooth.signing.attestation import Attestation

US_PER_DAY = 86_400_000_000
SPARK_WIDTH, SPARK_HEIGHT = 120, 28
STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --soft: #59636e; --line: #d1d9e0;
  --paper: #ffffff; --card: #f6f8fa; --good: #1a7f64; --bad: #b3261e; --warn: #9a5b00 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9198a1; --line: #3d444d;
  --paper: #0d1117; --card: #151b23; --good: #3fb68b; --bad: #ff7b72; --warn: #e3a13a } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 32px 24px 64px; max-width: 1080px; color: var(--ink);
  background: var(--paper); font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 28px; line-height: 1.25; margin: 0 0 4px }
h2 { font-size: 19px; margin: 32px 0 8px }
p { margin: 4px 0 } .soft { color: var(--soft) } .small { font-size: 14px }
.verdict { display: inline-block; padding: 2px 14px; border-radius: 6px; font-weight: 700;
  color: #fff; background: #b3261e } .verdict.go { background: #1a7f64 }
table { border-collapse: collapse; width: 100% }
.wide { overflow-x: auto }
th, td { text-align: left; vertical-align: top; padding: 8px 12px 8px 0;
  border-bottom: 1px solid var(--line) }
th { font-weight: 600; color: var(--soft); font-size: 14px }
.mark { font-weight: 700; white-space: nowrap } .pass { color: var(--good) }
.fail, .missing { color: var(--bad) } .stale, .waived { color: var(--warn) }
.digest { white-space: nowrap }
code { font: 13px ui-monospace, monospace; overflow-wrap: anywhere }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(220px, 1fr));
  gap: 12px; margin-top: 16px }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 12px 16px } .card b { display: block; font-size: 22px }
ul { padding-left: 20px; margin: 4px 0 } svg { display: block }
"""


def page(found: Report, attestation: Attestation) -> str:
    """The whole document; ``attestation`` is the same report, signed."""
    title = f"{found.model} to {_words(found.stage.value)}: {found.verdict.value}"
    go = " go" if found.verdict.value == "GO" else ""
    now, to = _words(found.stage_now.value), _words(found.stage.value)
    build = f"for build <code>{escape(found.fingerprint)}</code>"
    parts = [
        f'<p><span class="verdict{go}">{found.verdict.value}</span></p>',
        f"<h1>{escape(found.model)}: {now} to {to}</h1>",
        f'<p class="soft">Made {iso_time(found.made_us)} {build}</p>',
        _cards(found),
        _blockers(found.blockers),
        _waived(found.lines),
        "<h2>Every gate</h2>",
        _gates(found.lines),
        "<h2>What was not tested</h2>",
        _list(found.untested),
        _source(found, attestation),
    ]
    return document(title, parts)


def document(title: str, parts: Iterable[str], extra_style: str = "") -> str:
    """A page of these parts, which are markup already."""
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}{extra_style}</style></head><body>"
    )
    return "\n".join((head, *parts, "</body></html>", ""))


def _cards(found: Report) -> str:
    room = found.room
    invite = "unknown" if room.invite is None else str(room.invite)
    needed = "unknown" if room.replicas_needed is None else str(room.replicas_needed)
    date, moved = "none", "no date is promised"
    if found.promised_us is not None:
        date = iso_day(found.promised_us)
        moved = f"promised; moved by {found.slipped_us // US_PER_DAY} days so far"
    cards = (
        (f"{len(found.blockers)} of {len(found.lines)}", "gates stand in the way"),
        (invite, "organizations can be invited now"),
        (needed, f"replicas for {room.population} organizations"),
        (date, moved),
    )
    boxes = "".join(
        f'<div class="card"><b>{escape(big)}</b>{escape(small)}</div>' for big, small in cards
    )
    said = "".join(f"<p>{escape(each[:1].upper() + each[1:])}.</p>" for each in room_lines(room))
    return (
        f'<div class="cards">{boxes}</div><h2>When</h2>'
        f"<p>All gates pass {escape(forecast_line(found))}.</p><h2>Room</h2>{said}"
    )


def _blockers(blockers: Sequence[Line]) -> str:
    if not blockers:
        return ""
    rows = "".join(
        f"<tr><td>{n}</td><td><b>{escape(line.gate.name)}</b><br>"
        f'<span class="small">{escape("; ".join(line.outcome.why))}</span></td>'
        f"<td>{line.gate.lead_days} days</td>"
        f"<td><code>{escape(line.gate.reproduce)}</code></td></tr>"
        for n, line in enumerate(blockers, 1)
    )
    return (
        "<h2>What stands in the way, the longest way first</h2>"
        '<div class="wide"><table><tr><th></th><th>Gate</th><th>Takes about</th><th>Run</th></tr>'
        f"{rows}</table></div>"
    )


def _waived(lines: Sequence[Line]) -> str:
    found = [line.waiver for line in lines if line.waiver is not None]
    if not found:
        return ""
    said = [f"{w.gate}: {w.owner}, until {iso_time(w.expires_us)}. {w.reason}" for w in found]
    return f'<h2 class="waived">Waived</h2>{_list(said)}'


def _gates(lines: Sequence[Line]) -> str:
    heads = "".join(
        f"<th>{each}</th>" for each in ("", "Gate", "Measured", "Margin so far", "Evidence")
    )
    rows = "".join(_gate(line) for line in lines)
    return f'<div class="wide"><table><tr>{heads}</tr>{rows}</table></div>'


def _gate(line: Line) -> str:
    outcome, mark = line.outcome, line.outcome.mark.value
    kind = "waived" if line.waiver is not None else mark
    readings = "<br>".join(_reading(each) for each in outcome.readings)
    age = "" if outcome.age_us is None else f"{outcome.age_us * 24 // US_PER_DAY} hours old<br>"
    source = f"{age}<code>{escape(outcome.evidence[:12])}</code>" if outcome.evidence else "none"
    return (
        f'<tr><td class="mark {kind}">{kind.upper()}</td><td><b>{escape(line.gate.name)}</b><br>'
        f'<span class="small soft">{escape(line.gate.title)}</span></td>'
        f'<td class="small">{readings}</td><td>{_spark(line.history)}'
        f'<span class="small soft">trend {line.trend.value}</span></td>'
        f'<td class="small digest">{source}</td></tr>'
    )


def _reading(found: Reading) -> str:
    value = "nothing" if found.value is None else shown(found.value)
    bound = "unknown" if found.bound is None else shown(found.bound)
    sign = {"at_least": "≥", "at_most": "≤", "is": "="}[found.sense.value]
    kind = "pass" if found.met else "fail"
    return f'{escape(found.figure)} <b class="{kind}">{escape(value)}</b> {sign} {escape(bound)}'


def _spark(points: Sequence[Point]) -> str:
    """Margins over time, with a line where the bound is."""
    if len(points) < 2:
        return ""
    begin, end = points[0].time_us, points[-1].time_us
    margins = [max(-1000, min(1000, point.margin_permille)) for point in points]
    low, high = min(*margins, 0), max(*margins, 0)
    span, height = max(end - begin, 1), max(high - low, 1)

    def place(time_us: int, margin: int) -> str:
        x = 2 + (time_us - begin) * (SPARK_WIDTH - 4) // span
        y = SPARK_HEIGHT - 2 - (margin - low) * (SPARK_HEIGHT - 4) // height
        return f"{x},{y}"

    way = " ".join(place(p.time_us, m) for p, m in zip(points, margins, strict=True))
    zero = place(begin, 0).partition(",")[2]
    return (
        f'<svg width="{SPARK_WIDTH}" height="{SPARK_HEIGHT}" role="img" '
        f'aria-label="{len(points)} measurements, the last at {margins[-1]} thousandths">'
        f'<line x1="0" x2="{SPARK_WIDTH}" y1="{zero}" y2="{zero}" stroke="var(--warn)" '
        'stroke-dasharray="3 3"/>'
        f'<polyline points="{way}" fill="none" stroke="var(--ink)" stroke-width="1.5"/></svg>'
    )


def _source(found: Report, attestation: Attestation) -> str:
    return (
        '<h2>Where this comes from</h2><p class="small soft">Every figure is read from signed'
        f" evidence. Policy <code>{found.policy[:16]}</code>, report"
        f" <code>{attestation.digest}</code>, signed by key <code>{attestation.key_id}</code>."
        f" Reproduce it: <code>tokenbooth readiness {escape(found.model)} --to"
        f" {found.stage.value}</code></p>"
    )


def _list(said: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(each)}</li>" for each in said) + "</ul>"


def _words(text: str) -> str:
    return escape(text.replace("_", " "))
