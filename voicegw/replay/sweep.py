"""The same calls over a grid of settings: what a shorter wait buys, and whom it cuts off."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from voicegw.errors import ConfigError
from voicegw.replay.result import CallResult

CUTS = ("is one turn", "is not cut off")


@dataclass(frozen=True, slots=True)
class Point:
    """One setting of the grid: `cut_turns` of `turns` were torn or talked into; response times by turn."""

    settings: tuple[tuple[str, str], ...]
    turns: int
    cut_turns: int
    gap_p50_ms: int | None
    gap_p95_ms: int | None
    failed: int

    @property
    def label(self) -> str:
        """The settings as a person reads them."""
        return ", ".join(f"{name}={value}" for name, value in self.settings)


def grid(specs: Sequence[str]) -> list[dict[str, str]]:
    """Read `turns.end_ms=300..900/100` (or `=a,b,c`); several span a grid. Raises ConfigError."""
    axes = []
    for spec in specs:
        name, equals, values = spec.partition("=")
        if not equals or "." not in name:
            raise ConfigError(f"--sweep {spec}: write GROUP.NAME=FROM..TO/STEP, or GROUP.NAME=A,B,C")
        axes.append([(name, value) for value in _values(spec, values)])
    return [dict(point) for point in itertools.product(*axes)]


def _values(spec: str, values: str) -> list[str]:
    if ".." not in values:
        found = [value for value in values.split(",") if value]
        if not found:
            raise ConfigError(f"--sweep {spec}: there is no value in it")
        return found
    span, _, step = values.partition("/")
    try:
        first, last = (float(part) for part in span.split("..", 1))
        size = float(step) if step else (last - first) / 5
    except ValueError:
        raise ConfigError(f"--sweep {spec}: FROM..TO/STEP are numbers") from None
    if size <= 0 or last < first or (last - first) / size > 100:
        raise ConfigError(f"--sweep {spec}: expected FROM <= TO and at most 100 steps")
    count = int((last - first) / size + 1e-9) + 1
    return [f"{first + n * size:g}" for n in range(count)]


def point_of(settings: dict[str, str], results: Sequence[CallResult]) -> Point:
    """Sum up the results of one setting."""
    cut = {(r.sample, c.where) for r in results for c in r.failed if c.what in CUTS}
    gaps = sorted(t.gap_ms for r in results for t in r.turns if t.gap_ms is not None)
    return Point(
        tuple(settings.items()),
        sum(t.kind == "said" for r in results for t in r.turns),
        len(cut),
        gaps[len(gaps) // 2] if gaps else None,
        gaps[min(len(gaps) - 1, int(len(gaps) * 0.95))] if gaps else None,
        sum(not r.passed for r in results),
    )


def plot(points: Sequence[Point]) -> str:
    """Return an SVG: response time across, turns cut off upwards; each point with its setting."""
    usable = [p for p in points if p.gap_p50_ms is not None]
    width, height, left, bottom = 760, 460, 70, 60
    xs = [p.gap_p50_ms or 0 for p in usable] or [0]
    x0, x1 = min(xs) - 50, max(xs) + 50
    top = max([p.cut_turns for p in usable] or [0], default=0)
    y1 = max(4, top + 1)

    def at(point: Point) -> tuple[float, float]:
        x = left + (width - left - 40) * ((point.gap_p50_ms or 0) - x0) / (x1 - x0)
        return x, (height - bottom) - (height - bottom - 40) * point.cut_turns / y1

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="system-ui, sans-serif" font-size="13" role="img" '
        'aria-label="turns cut off against response time">',
        "<style>svg{background:#fff;color:#1a1f2b}.a{stroke:#8a93a6}.l{fill:#1a1f2b}.g{stroke:#e3e7ef}"
        "@media (prefers-color-scheme:dark){svg{background:#12161f}.l{fill:#e6eaf2}"
        ".g{stroke:#2a3140}}</style>",
    ]
    for step in range(y1 + 1):
        y = (height - bottom) - (height - bottom - 40) * step / y1
        lines.append(f'<line class="g" x1="{left}" y1="{y:.1f}" x2="{width - 40}" y2="{y:.1f}"/>')
        if step % max(1, y1 // 8) == 0:
            lines.append(f'<text class="l" x="{left - 10}" y="{y + 4:.1f}" text-anchor="end">{step}</text>')
    span = max(1, round((x1 - x0) / 6 / 50)) * 50
    for ms in range((x0 // span + 1) * span, int(x1) + 1, span):
        x = left + (width - left - 40) * (ms - x0) / (x1 - x0)
        lines.append(f'<line class="g" x1="{x:.1f}" y1="40" x2="{x:.1f}" y2="{height - bottom}"/>')
        lines.append(
            f'<text class="l" x="{x:.1f}" y="{height - bottom + 20}" text-anchor="middle">{ms}</text>'
        )
    if len(usable) > 1:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(at, usable))
        lines.append(
            f'<polyline points="{path}" fill="none" stroke="#2f6fed" stroke-width="1.5" opacity=".5"/>'
        )
    for number, point in enumerate(usable):
        x, y = at(point)
        value = ", ".join(value for _, value in point.settings)
        # Neighbours take turns above and below the line.
        lift = -12 if number % 2 == 0 else 22
        lines.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="#2f6fed"/>')
        lines.append(f'<text class="l" x="{x:.1f}" y="{y + lift:.1f}" text-anchor="middle">{value}</text>')
    names = ", ".join(name for name, _ in usable[0].settings) if usable else ""
    middle = (left + width - 40) / 2
    lines += [
        f'<text class="l" x="{middle}" y="{height - 16}" text-anchor="middle">'
        "response time, p50 by turn (ms)</text>",
        f'<text class="l" x="18" y="{(height - bottom) / 2 + 20}" text-anchor="middle" '
        f'transform="rotate(-90 18 {(height - bottom) / 2 + 20})">turns cut off</text>',
        f'<text class="l" x="{left}" y="24" font-weight="600">{names}</text>',
        "</svg>",
    ]
    return "\n".join(lines)
