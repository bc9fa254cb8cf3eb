"""Timelines of rehearsed calls as one self-contained page. Pure."""

from collections.abc import Sequence
from html import escape

from voicegw.rehearsal.heard import Heard

_WIDTH, _LEFT, _ROW = 1000, 70, 22
_COLOURS = {
    "caller": "#4f7cac", "reply": "#3f9b6c", "greeting": "#3f9b6c", "check_in": "#3f9b6c",
    "filler": "#e0a100", "apology": "#d1603d", "goodbye": "#8a6fb0",
}  # fmt: skip
_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>voicegw rehearse</title><style>
:root{color-scheme:light dark;--line:#8886;--bad:#c33}
body{font:15px/1.4 system-ui,sans-serif;max-width:1060px;margin:2rem auto;padding:0 1rem}
section{margin:1.6rem 0;border-top:1px solid var(--line);padding-top:.6rem}
h2{font-size:1rem;margin:0}p{margin:.2rem 0}.bad{color:var(--bad)}
svg{width:100%;height:auto}text{font-size:11px;fill:currentColor}
.key span{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin:0 .3em 0 1em}
</style><h1>What the caller would have heard</h1>
"""


def page(found: Sequence[Heard]) -> str:
    """Return the page for these outcomes."""
    bad = sum(bool(heard.broken) for heard in found)
    shown = {
        "caller": "caller",
        "reply": "answer",
        "filler": "filler",
        "apology": "apology",
        "goodbye": "goodbye",
    }
    key = "".join(f'<span style="background:{_COLOURS[kind]}"></span>{name}' for kind, name in shown.items())
    head = (
        f"<p>{len(found)} scenarios, {bad} failed.</p>"
        f'<p class="key">{key}<span style="background:#c336"></span>longest silence</p>'
    )
    return _HEAD + head + "".join(_section(heard) for heard in found) + "</html>\n"


def _section(heard: Heard) -> str:
    longest = heard.longest
    broken = "".join(f'<p class="bad">✗ {escape(reason)}</p>' for reason in heard.broken)
    return (
        f"<section><h2>{escape(heard.name)}</h2><p>{escape(heard.title)}</p>"
        f"<p>Heard: {escape(heard.summary)}. Longest silence {longest.seconds:.1f} s"
        f" ({escape(longest.owner or 'none')}), allowed {heard.budget_s:.1f} s.</p>{broken}"
        f"{_drawing(heard)}</section>"
    )


def _drawing(heard: Heard) -> str:
    seconds = max(heard.seconds, 1.0)
    scale = (_WIDTH - _LEFT) / seconds

    def x(at_s: float) -> float:
        return _LEFT + at_s * scale

    parts = [
        f'<text x="0" y="{_ROW - 7}">caller</text><text x="0" y="{2 * _ROW - 7}">agent</text>',
    ]
    longest = heard.longest
    if longest.seconds > 0:
        parts.append(
            f'<rect x="{x(longest.from_s):.1f}" y="2" width="{longest.seconds * scale:.1f}" '
            f'height="{2 * _ROW - 2}" fill="#c333"/>'
        )
    for sound in heard.sounds:
        row = 0 if sound.kind == "caller" else 1
        words = escape(f"{sound.from_s:.1f} s {sound.kind} {sound.text}")
        parts.append(
            f'<rect x="{x(sound.from_s):.1f}" y="{row * _ROW + 4}" '
            f'width="{max(1.0, (sound.to_s - sound.from_s) * scale):.1f}" height="{_ROW - 8}" rx="3" '
            f'fill="{_COLOURS.get(sound.kind, "#777")}"><title>{words}</title></rect>'
        )
    step = next(step for step in (1, 2, 5, 10, 20, 60, 600) if seconds / step <= 14)
    for tick in range(0, int(seconds) + 1, step):
        parts.append(f'<text x="{x(tick):.1f}" y="{3 * _ROW - 8}">{tick} s</text>')
    label = escape(f"Timeline of {heard.name}")
    return f'<svg viewBox="0 0 {_WIDTH} {3 * _ROW}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
