"""`voicegw rehearse`: fault scenarios, what the caller would have heard, and whether the budget held."""

import asyncio
import json
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from voicegw.config import Settings
from voicegw.errors import ConfigError
from voicegw.observe.log import no_logs
from voicegw.rehearsal.drawing import page
from voicegw.rehearsal.healthy import count_fillers
from voicegw.rehearsal.heard import Heard
from voicegw.rehearsal.rehearse import rehearse, rehearse_on_sockets
from voicegw.rehearsal.scenario import Scenario, load_scenarios

# Of healthy exchanges at most this share may hear a filler.
MOST_FILLERS = 0.10


@dataclass(frozen=True, slots=True)
class RehearseOptions:
    """What was asked for on the command line."""

    paths: tuple[Path, ...] = ()
    only: tuple[str, ...] = ()
    persona: str = ""
    sockets: bool = False
    list_only: bool = False
    healthy: int = 0
    html: Path | None = None
    markdown: bool = False
    verbose: bool = False
    as_json: bool = False


def run_rehearse(settings: Settings, wanted: RehearseOptions, console: Console | None = None) -> int:
    """Run the scenarios, print what was heard, and return the exit code. Raises ConfigError."""
    # Failures are the point: their log lines would bury the table.
    with no_logs():
        return _run(settings, wanted, console or Console(highlight=False))


def _run(settings: Settings, wanted: RehearseOptions, console: Console) -> int:
    if wanted.healthy:
        return _healthy(settings, wanted, console)
    scenarios = _chosen(wanted)
    if wanted.list_only:
        _list(scenarios, wanted, console)
        return 0
    if wanted.sockets:
        found = asyncio.run(_together(scenarios, settings, wanted.persona))
    else:
        shown = track(
            scenarios, "rehearsing", console=Console(stderr=True), transient=True,
            disable=wanted.as_json or wanted.markdown,
        )  # fmt: skip
        found = [rehearse(scenario, settings, wanted.persona) for scenario in shown]
    if wanted.html is not None:
        wanted.html.write_text(page(found), encoding="utf-8")
    if wanted.as_json:
        console.file.write(json.dumps([_as_json(heard) for heard in found], ensure_ascii=False) + "\n")
    elif wanted.markdown:
        console.file.write(markdown_table(found))
    else:
        _print(found, wanted, console)
    return 1 if any(heard.broken for heard in found) else 0


def _chosen(wanted: RehearseOptions) -> list[Scenario]:
    scenarios = load_scenarios(wanted.paths)
    known = {scenario.name for scenario in scenarios}
    if unknown := set(wanted.only) - known:
        raise ConfigError(f"--only {', '.join(sorted(unknown))}: no such scenario; --list shows all")
    if wanted.sockets and find_spec("cryptography") is None:
        left_out = [scenario.name for scenario in scenarios if scenario.address == "self-signed"]
        Console(stderr=True).print(f"left out: {', '.join(left_out)} (needs the package cryptography)")
        scenarios = [scenario for scenario in scenarios if scenario.name not in left_out]
    return [
        scenario
        for scenario in scenarios
        if (not wanted.only or scenario.name in wanted.only) and (scenario.sockets or not wanted.sockets)
    ]


async def _together(scenarios: list[Scenario], settings: Settings, persona: str) -> list[Heard]:
    # In real time they only wait: side by side they take as long as the longest.
    return await asyncio.gather(*(rehearse_on_sockets(each, settings, persona) for each in scenarios))


def _healthy(settings: Settings, wanted: RehearseOptions, console: Console) -> int:
    found = count_fillers(settings, wanted.healthy)
    if wanted.as_json:
        console.file.write(json.dumps(asdict(found)) + "\n")
    else:
        console.print(
            f"{found.fillers} of {found.exchanges} healthy exchanges heard a filler ({found.share:.1%}); "
            f"wait p50 {found.p50_ms} ms, p95 {found.p95_ms} ms, p99 {found.p99_ms} ms"
        )
    return 0 if found.share <= MOST_FILLERS else 1


def _list(scenarios: list[Scenario], wanted: RehearseOptions, console: Console) -> None:
    if wanted.as_json:
        listed = [{"name": s.name, "title": s.title, "sockets": s.sockets} for s in scenarios]
        console.file.write(json.dumps(listed, ensure_ascii=False) + "\n")
        return
    for scenario in scenarios:
        mark = "  (also --sockets)" if scenario.sockets else ""
        console.print(f"{scenario.name:30}{scenario.title}{mark}", soft_wrap=True)


def _print(found: list[Heard], wanted: RehearseOptions, console: Console) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("scenario", "what was heard", "longest silence", "owner", "recovered", ""):
        table.add_column(heading, justify="right" if heading == "longest silence" else "left")
    for heard in found:
        longest = heard.longest
        table.add_row(
            heard.name, heard.summary, f"{longest.seconds:.1f} s", longest.owner,
            "yes" if heard.recovered else "no",
            "[red]failed[/red]" if heard.broken else "[green]held[/green]",
        )  # fmt: skip
    console.print(table)
    for heard in found:
        if heard.broken or wanted.verbose:
            _print_timeline(heard, console)
    bad = sum(bool(heard.broken) for heard in found)
    console.print(f"{len(found)} scenarios, {bad} failed." if bad else f"{len(found)} scenarios, all held.")


def _print_timeline(heard: Heard, console: Console) -> None:
    console.print(f"\n[bold]{heard.name}[/bold] {heard.title}", soft_wrap=True)
    for sound in heard.sounds:
        who = "caller  speaks" if sound.kind == "caller" else f"agent   [{sound.kind}] {sound.text}"
        console.print(f"  {sound.from_s:7.1f} s  {who}", soft_wrap=True, markup=False)
    for told in heard.failures:
        because = " → ".join(told.heard) or "nothing of it"
        console.print(
            f"  {told.at_s:7.1f} s  failed  {told.failure}; heard: {because}", soft_wrap=True, markup=False
        )
    for reason in heard.broken:
        console.print(f"  [red]✗[/red] {reason}", soft_wrap=True)


def markdown_table(found: list[Heard]) -> str:
    """Return the table of docs/resilience.md."""
    rows = [
        "| scenario | what goes wrong | what was heard | longest silence | recovered |",
        "|---|---|---|---|---|",
    ]
    for heard in found:
        longest = heard.longest
        rows.append(
            f"| `{heard.name}` | {heard.title} | {heard.summary} | "
            f"{longest.seconds:.1f} s ({longest.owner}) | "
            f"{'yes' if heard.recovered else 'no'} |"
        )
    return "\n".join(rows) + "\n"


def _as_json(heard: Heard) -> dict[str, object]:
    longest = heard.longest
    return {
        **asdict(heard),
        "summary": heard.summary,
        "longest_silence_s": round(longest.seconds, 3),
        "owner": longest.owner,
        "held": heard.held,
        "ok": not heard.broken,
    }
