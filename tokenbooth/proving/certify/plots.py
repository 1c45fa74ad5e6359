"""Small plots as SVG, on a light page and on a dark one: points with their spans, and steps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 40, 56
GOOD, BAD, PLAIN = "good", "bad", "plain"
STYLE = """
  svg text { font: 13px system-ui, sans-serif; fill: var(--ink) }
  svg .small { font-size: 11.5px; fill: var(--dim) }
  svg .title { font-weight: 600; font-size: 15px }
  svg .axis { stroke: var(--line) } svg .goal { stroke: var(--goal); stroke-dasharray: 5 4 }
  svg .goaltext { fill: var(--goal) }
  svg .good { fill: var(--good); stroke: var(--good) }
  svg .bad { fill: var(--bad); stroke: var(--bad) }
  svg .plain { fill: var(--dim); stroke: var(--dim) } svg .span { stroke-width: 2 }
  svg .curve { fill: none; stroke: var(--good); stroke-width: 2 }
"""


@dataclass(frozen=True, slots=True)
class Point:
    """``low`` to ``high`` is drawn as a span; ``kind`` is its colour; ``label`` stands below."""

    x: float
    y: float
    low: float
    high: float
    kind: str = PLAIN
    label: str = ""


@dataclass(frozen=True, slots=True)
class Plot:
    """``goal`` is drawn as a line. ``ends`` are of the y axis, ``steps`` its marked values."""

    title: str
    y_unit: str
    x_name: str
    points: Sequence[Point]
    ends: tuple[float, float]
    steps: Sequence[float]
    goal: float | None = None
    goal_name: str = ""
    curve: bool = False

    def x_at(self, value: float) -> float:
        low = min(point.x for point in self.points)
        high = max(point.x for point in self.points)
        part = 0.5 if high == low else (value - low) / (high - low)
        return LEFT + 24 + part * (WIDTH - LEFT - RIGHT - 48)

    def y_at(self, value: float) -> float:
        low, high = self.ends
        part = (min(high, max(low, value)) - low) / (high - low)
        return HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)


def svg(plot: Plot) -> str:
    """The element, to stand inside of a page with ``STYLE``."""
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{escape(plot.title)}</title>",
        _text(16, 22, plot.title, kind="title"),
        *_axes(plot),
    ]
    if plot.points:
        lines += [*_goal(plot), *(_curve(plot) if plot.curve else _points(plot))]
    return "\n".join([*lines, "</svg>"])


def _axes(plot: Plot) -> Iterator[str]:
    bottom = HEIGHT - BOTTOM
    for value in plot.steps:
        y = plot.y_at(value)
        yield f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield _text(LEFT - 8, y + 4, f"{value:g}{plot.y_unit}", anchor="end", kind="small")
    yield f'<line class="axis" x1="{LEFT}" x2="{LEFT}" y1="{TOP}" y2="{bottom}"/>'
    yield _text(WIDTH - RIGHT, HEIGHT - 10, plot.x_name, anchor="end", kind="small")


def _goal(plot: Plot) -> Iterator[str]:
    if plot.goal is not None:
        y = plot.y_at(plot.goal)
        yield f'<line class="goal" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield _text(WIDTH - RIGHT, y - 6, plot.goal_name, anchor="end", kind="small goaltext")


def _points(plot: Plot) -> Iterator[str]:
    for point in plot.points:
        x, y = plot.x_at(point.x), plot.y_at(point.y)
        low, high = plot.y_at(point.low), plot.y_at(point.high)
        if low - high > 1:
            yield (
                f'<line class="span {point.kind}" x1="{x:.1f}" x2="{x:.1f}" '
                f'y1="{low:.1f}" y2="{high:.1f}"/>'
            )
        yield f'<circle class="{point.kind}" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
        if point.label:
            yield _text(x, HEIGHT - BOTTOM + 18, point.label, anchor="middle", kind="small")


def _curve(plot: Plot) -> Iterator[str]:
    path = " ".join(f"{plot.x_at(p.x):.1f},{plot.y_at(p.y):.1f}" for p in plot.points)
    yield f'<polyline class="curve" points="{path}"/>'
    for point in plot.points:
        if point.label:
            x = plot.x_at(point.x)
            yield _text(x, HEIGHT - BOTTOM + 18, point.label, anchor="middle", kind="small")


def _text(x: float, y: float, said: str, *, anchor: str = "start", kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(said)}</text>'
