"""A small writer of bar charts as SVG, which stand on a light page and on a dark one.

Colours follow ``prefers-color-scheme``; where nothing is known of it, the light ones hold.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH = 720
LABEL_WIDTH = 230
VALUE_WIDTH = 160
BAR_HEIGHT, GAP, TOP, BOTTOM = 30, 16, 62, 44
STYLE = """
  text { font: 14px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 17px; font-weight: 600 }
  .small { font-size: 12px; fill: #59636e }
  .bar { fill: #1a7f64 } .bar.plain { fill: #8b949e }
  .goal { stroke: #bc4c00; stroke-width: 1.5; stroke-dasharray: 5 4 } .goaltext { fill: #bc4c00 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9198a1 }
    .bar { fill: #3fb68b } .bar.plain { fill: #6e7681 }
    .goal { stroke: #f0883e } .goaltext { fill: #f0883e }
  }
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """``plain`` is what something is compared with."""

    label: str
    value: int
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """``goal`` is drawn as a line through all bars; ``note`` stands below them."""

    title: str
    unit: str
    bars: Sequence[Bar]
    goal: int | None = None
    note: str = ""

    @property
    def height(self) -> int:
        return TOP + len(self.bars) * (BAR_HEIGHT + GAP) + BOTTOM


def svg(chart: Chart) -> str:
    """The whole document."""
    summary = "; ".join(f"{bar.label}: {bar.value:,} {chart.unit}" for bar in chart.bars)
    size = f'width="{WIDTH}" height="{chart.height}" viewBox="0 0 {WIDTH} {chart.height}"'
    lines = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="t d">',
        f'<title id="t">{escape(chart.title)}</title>',
        f'<desc id="d">{escape(summary)}</desc>',
        f"<style>{STYLE}</style>",
        f'<text class="title" x="16" y="30">{escape(chart.title)}</text>',
        *_bars(chart),
        *_goal(chart),
        f'<text class="small" x="16" y="{chart.height - 16}">{escape(chart.note)}</text>',
        "</svg>",
    )
    return "\n".join(lines) + "\n"


def _width(chart: Chart, value: int) -> int:
    """Of a bar in pixels, in proportion to the largest value there is, the goal's included."""
    largest = max([bar.value for bar in chart.bars] + [chart.goal or 0, 1])
    return max(1, value * (WIDTH - LABEL_WIDTH - VALUE_WIDTH) // largest)


def _bars(chart: Chart) -> Iterator[str]:
    for number, bar in enumerate(chart.bars):
        y, width = TOP + number * (BAR_HEIGHT + GAP), _width(chart, bar.value)
        middle, kind = y + BAR_HEIGHT // 2 + 5, "bar plain" if bar.plain else "bar"
        size = f'width="{width}" height="{BAR_HEIGHT}"'
        yield _text(LABEL_WIDTH - 10, middle, bar.label, anchor="end")
        yield f'<rect class="{kind}" x="{LABEL_WIDTH}" y="{y}" {size} rx="3"/>'
        yield _text(LABEL_WIDTH + width + 8, middle, f"{bar.value:,} {chart.unit}")


def _goal(chart: Chart) -> Iterator[str]:
    if chart.goal is not None:
        x, end = LABEL_WIDTH + _width(chart, chart.goal), chart.height - BOTTOM
        yield f'<line class="goal" x1="{x}" y1="{TOP - 8}" x2="{x}" y2="{end}"/>'
        said = f"goal {chart.goal:,}"
        yield _text(x, TOP - 13, said, anchor="middle", kind="small goaltext")


def _text(x: int, y: int, said: str, *, anchor: str = "start", kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x}" y="{y}" text-anchor="{anchor}">{escape(said)}</text>'
