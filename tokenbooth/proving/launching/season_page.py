"""A season as one page that needs nothing else."""

from html import escape

from tokenbooth.control.launch_page import document
from tokenbooth.proving.launching.show import Frame, Season

STYLE = """
ol { list-style: none; padding: 0; margin: 24px 0; border-left: 2px solid var(--line) }
li.frame { padding: 0 0 24px 24px; position: relative }
li.frame::before { content: ""; position: absolute; left: -7px; top: 8px; width: 12px; height: 12px;
  border-radius: 50%; background: var(--good) }
li.frame.wrong::before { background: var(--bad) }
li.frame h2 { margin: 0 0 4px; font-size: 19px } li.frame p { max-width: 78ch }
.command { display: block; background: var(--card); border: 1px solid var(--line);
  border-radius: 6px; padding: 6px 10px; margin-top: 8px }
"""


def season_page(season: Season) -> str:
    """Frame by frame, each with the command that shows the same on a booth."""
    verdict = "Every frame came out as it must" if season.passed else "A frame did not come out"
    parts = [
        "<h1>A launch season, played on a simulated clock</h1>",
        (
            '<p class="soft">A fictional lab; stages, gates, cohorts, money and calls are those'
            f" of the product. {verdict}.</p>"
        ),
        "<ol>",
        *map(_frame, season.frames),
        "</ol>",
        (
            f'<p class="small soft">Digest <code>{season.digest}</code>: the same for every run of'
            " <code>tokenbooth replay launch-season</code></p>"
        ),
    ]
    return document("A launch season", parts, STYLE)


def _frame(frame: Frame) -> str:
    said = "".join(f"<p>{escape(each)}</p>" for each in frame.said)
    wrong = "" if frame.passed else " wrong"
    return (
        f'<li class="frame{wrong}"><span class="soft">{escape(frame.day)}</span>'
        f"<h2>{escape(frame.title)}</h2>{said}"
        f'<code class="command">{escape(frame.command)}</code></li>'
    )
