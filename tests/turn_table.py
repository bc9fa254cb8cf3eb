"""The tables and the picture of docs/turn-taking.md, from runs of `voicegw bench turns`.

    voicegw bench turns --half both --no-silero --json > runs.jsonl
    voicegw bench turns --half both --silero --json >> runs.jsonl
    for ms in 600 700 820 890 960 1100 1300; do
      voicegw bench turns --half tuning --no-silero --turns-only --every 3 --json \\
        --set turns.end_ms=$ms --set turns.acoustic_end_ms=$((ms + 240)) >> curve.jsonl
    done
    python tests/turn_table.py runs.jsonl --curve curve.jsonl

writes the figures to docs/turn-taking.json and the tables between the marks of the document; the picture
needs matplotlib. A run with a turn model (`--silero --set turns.model=FILE`) may be among the runs. A test
makes the tables anew from the figures.
"""

import json
import sys
from pathlib import Path
from typing import Any

from voicegw.bench.turns.report import barge_in_row, turn_row
from voicegw.bench.turns.sounds import CONDITIONS
from voicegw.bench.turns.trials import BARGE_INS, LENGTHS_S, BargeIn, Turn

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "turn-taking.md"
FIGURES = ROOT / "docs" / "turn-taking.json"
PICTURE = ROOT / "docs" / "images" / "turn-taking.png"
BEGIN, END = "<!-- tables -->", "<!-- end of the tables -->"
COLUMNS = (("tuning", False), ("reporting", False), ("tuning", True), ("reporting", True))

Figures = dict[str, Any]


def figures(runs: list[Figures]) -> list[Figures]:
    """Return what the tables need of each run's trials."""
    found = []
    for run in runs:
        turns = [Turn(**turn) for turn in run["turns"]]
        sounds = [BargeIn(**one) for one in run["barge_ins"]]
        rows = {name: [turn for turn in turns if turn.condition == name] for name in CONDITIONS}
        kinds = {kind: [one for one in sounds if one.kind == kind] for kind in BARGE_INS}
        found.append(
            {
                "half": run["half"],
                "silero": run["silero"],
                "model": "turns.model" in run["settings"],
                "turns": {name: turn_row(name, own)[1:] for name, own in {**rows, "all": turns}.items()},
                "sounds": {kind: barge_in_row(kind, own)[1:] for kind, own in kinds.items() if own},
                "lengths": {str(one["wanted_s"]): one["delay_ms"] for one in run["lengths"]},
            }
        )
    return found


def tables(found: list[Figures]) -> str:
    """Return the tables of the document."""
    by = {(run["half"], run["silero"], run["model"]): run for run in found}
    columns = [by[(half, silero, False)] for half, silero in COLUMNS]
    out = [
        "| cut off (of), median ms | tuning half | reporting half | tuning, silero | reporting, silero |",
        "|---|---|---|---|---|",
    ]
    for name in (*CONDITIONS, "all"):
        cells = [run["turns"][name] for run in columns]
        out.append(f"| {name} | " + " | ".join(f"{c[1]} ({c[0]}), {c[3]}" for c in cells) + " |")
    cells = [run["turns"]["all"] for run in columns]
    out.append("| no answer within 5 s | " + " | ".join(f"{c[2]} ({c[0]})" for c in cells) + " |")
    out.append("| 90 % of the answers within | " + " | ".join(f"{c[4]} ms" for c in cells) + " |")
    out += [
        "",
        "| over the agent's speech | tuning half | reporting half | tuning, silero | reporting, silero |",
        "|---|---|---|---|---|",
    ]
    for kind in BARGE_INS:
        rows = [run["sounds"][kind] for run in columns]
        if kind == "speech":
            out.append(
                "| real interruptions: paused p50 / p90 ms | "
                + " | ".join(f"{r[2]} / {r[3]}" for r in rows)
                + " |"
            )
            out.append("| ... cut p50 / p90 ms | " + " | ".join(f"{r[5]} / {r[6]}" for r in rows) + " |")
            out.append(
                "| ... that stopped the agent (of) | " + " | ".join(f"{r[4]} ({r[0]})" for r in rows) + " |"
            )
        else:
            out.append(f"| {kind}: cut (of) | " + " | ".join(f"{r[4]} ({r[0]})" for r in rows) + " |")
    if voted := by.get(("reporting", True, True)):
        with_votes = {name: voted["turns"][name] for name in ("clean", "pink 10 dB", "all")}
        told = "; ".join(
            f"{name}: {row[1]} of {row[0]} cut off, {row[3]} ms" for name, row in with_votes.items()
        )
        out += ["", f"With smart-turn v3.2 besides (reporting half, silero): {told}."]
    names = [str(seconds) for seconds in LENGTHS_S]
    out += [
        "",
        "| a turn of | " + " | ".join(f"{name} s" for name in names) + " |",
        "|---|" + "---|" * len(names),
    ]
    for half in ("tuning", "reporting"):
        told = by[(half, False, False)]["lengths"]
        out.append(
            f"| answered after (ms), {half} half | " + " | ".join(f"{told[n]:.0f}" for n in names) + " |"
        )
    return "\n".join(out)


def draw(curve: list[Figures]) -> None:
    """Draw cut-offs against delay."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.2, 4.2))
    for place, mark, label in (
        ("p50", "o-", "half of the answers within"),
        ("p90", "s--", "nine of ten within"),
    ):
        axes.plot([p[place] for p in curve], [p["cut"] for p in curve], mark, label=label, alpha=0.9)
    for point in curve:
        axes.annotate(
            f"{point['end_ms']}",
            (point["p50"], point["cut"]),
            textcoords="offset points",
            xytext=(-4, 8),
            fontsize=8,
        )
    axes.axvline(850, color="grey", linewidth=0.8, linestyle=":")
    axes.text(856, 0.3, "providers' own sum", rotation=90, fontsize=8, color="grey")
    axes.set_xlabel("answer behind the true end of the turn (ms)")
    axes.set_ylabel("turns cut off (%)")
    axes.set_ylim(0, 1.12 * max(point["cut"] for point in curve))
    axes.set_title(
        f"turns.end_ms: cut-offs against delay ({curve[0]['turns']} turns a point, tuning half)", fontsize=10
    )
    axes.legend()
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(PICTURE, dpi=110)


def points(runs: list[Figures]) -> list[Figures]:
    """Return a point of the curve for each run."""
    out = []
    for run in runs:
        row = turn_row("", [Turn(**turn) for turn in run["turns"]])
        share = round(100 * int(row[2]) / int(row[1]), 1)
        out.append(
            {
                "end_ms": int(run["settings"]["turns.end_ms"]),
                "turns": int(row[1]),
                "cut": share,
                "p50": int(row[4]),
                "p90": int(row[5]),
            }
        )
    return out


def main(arguments: list[str]) -> None:
    """Take the runs' files."""
    at = arguments.index("--curve")

    def read(names: list[str]) -> list[Figures]:
        return [
            json.loads(line) for name in names for line in Path(name).read_text(encoding="utf-8").splitlines()
        ]

    found, curve = figures(read(arguments[:at])), points(read(arguments[at + 1 :]))
    FIGURES.write_text(json.dumps({"runs": found, "curve": curve}, indent=1) + "\n", encoding="utf-8")
    document = DOCUMENT.read_text(encoding="utf-8")
    head, _, rest = document.partition(BEGIN)
    DOCUMENT.write_text(f"{head}{BEGIN}\n{tables(found)}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    draw(curve)


if __name__ == "__main__":
    main(sys.argv[1:])
