"""The benchmark's figures as a table, beside what is aimed at and what was measured before."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from voicegw.bench.figures import Bench, Load, Round, Row, Spread


@dataclass(frozen=True, slots=True)
class _Line:
    """One figure: how to get it from a round, and the most that it should be (None: it only informs)."""

    name: str
    unit: str
    get: Callable[[Round], float | None]
    most: float | None = None


def _p(get: Callable[[Round], Spread | None], part: str) -> Callable[[Round], float | None]:
    def figure(one: Round) -> float | None:
        found = get(one)
        return getattr(found, part) if found is not None else None

    return figure


# What the request policy may cost on a request that goes well.
MOST_POLICY_MS = 0.2

LINES = (
    _Line("CPU, silent floor", "ms/call-s", lambda one: one.silent_floor.cpu_ms),
    _Line("CPU, idle", "ms/call-s", lambda one: one.idle.cpu_ms),
    _Line("  ratio to the floor", "", lambda one: one.idle_ratio, 1.4),
    _Line("CPU, echoing floor", "ms/call-s", lambda one: one.echo_floor.cpu_ms),
    _Line("CPU, talking", "ms/call-s", lambda one: one.talking.cpu_ms),
    _Line("  ratio to the floor", "", lambda one: one.talking_ratio, 1.5),
    _Line("Added latency p50", "ms", _p(lambda one: one.talking.added, "p50")),
    _Line("Added latency p95", "ms", _p(lambda one: one.talking.added, "p95")),
    _Line("Added latency p99", "ms", _p(lambda one: one.talking.added, "p99"), 20.0),
    _Line("First token to TTS p99", "ms", _p(lambda one: one.talking.first_sentence, "p99")),
    _Line("Agent frame late p99", "ms", _p(lambda one: one.talking.late, "p99"), 5.0),
    _Line("Memory per idle call, USS", "kB", lambda one: one.idle.uss_kb),
    _Line("Memory per call, USS", "kB", lambda one: one.talking.uss_kb, 300.0),
    _Line("Memory per call, RSS", "kB", lambda one: one.talking.rss_kb),
    _Line("Client late p99, idle", "ms", lambda one: one.idle.client_late.p99, 5.0),
    _Line("Client late p99, talking", "ms", lambda one: one.talking.client_late.p99, 5.0),
    _Line("Answers measured", "", lambda row: float(row.talking.turns)),
)


def print_bench(bench: Bench, before: Bench | None, console: Console) -> None:
    """Print everything; `before` stands beside it where it has the same number of calls."""
    machine = bench.machine
    console.print(
        f"{machine.cpu}, {machine.cores} cores, Linux {machine.kernel}, Python {machine.python}; "
        "the gateway alone on one of them"
    )
    if bench.quick:
        console.print("A quick run: it shows that everything works; its figures mean little.", style="yellow")
    console.print(_table(bench, before))
    virtual = bench.virtual
    console.print(f"On virtual time a call runs {virtual.times:.0f} times as fast as in life.")
    if virtual.answers != virtual.turns:
        console.print(
            f"On virtual time {virtual.answers} of {virtual.turns} turns were answered", style="red"
        )
    for first in bench.first_sentences:
        console.print(
            f"First token to first sentence at TTS ({first.language}, {first.tokens_s} tokens/s, "
            f"{first.replies} replies): p50 {first.ms.p50:.0f} ms, p95 {first.ms.p95:.0f} ms"
        )
    for cost in bench.policy:
        over = cost.policy_ms > MOST_POLICY_MS
        console.print(
            f"Request policy on a good {cost.stage} request: {cost.policy_ms:.3f} ms of CPU beside "
            f"{cost.request_ms:.2f} ms (at most {MOST_POLICY_MS} ms)",
            style="bold red" if over else None,
        )
    for row in bench.rows:
        if len(row.sound_rounds) < len(row.rounds):
            console.print(
                f"{row.calls} calls: only {len(row.sound_rounds)} of {len(row.rounds)} rounds count"
            )
        for one in row.rounds:
            for name, load in zip(
                ("silent floor", "echoing floor", "idle", "talking"), one.loads, strict=True
            ):
                _print_trouble(f"{row.calls} calls, {name}", load, console)
    if bench.capacity is not None:
        _print_capacity(bench, console)


def _table(bench: Bench, before: Bench | None) -> Table:
    table = Table()
    table.add_column("")
    table.add_column("unit", style="dim")
    table.add_column("at most", justify="right", style="dim")
    earlier = {row.calls: row for row in before.rows} if before is not None else {}
    for row in bench.rows:
        table.add_column(f"{row.calls} calls", justify="right")
        if row.calls in earlier:
            table.add_column("before", justify="right", style="dim")
    for line in LINES:
        cells: list[Text | str] = [line.name, line.unit, "" if line.most is None else f"{line.most:g}"]
        for row in bench.rows:
            cells.append(_cell(line, row))
            if row.calls in earlier:
                cells.append(_figure(_middle(_values(line, earlier[row.calls]))))
        table.add_row(*cells)
    return table


def _values(line: _Line, row: Row) -> list[float]:
    found = (line.get(one) for one in row.sound_rounds)
    return sorted(value for value in found if value is not None)


def _middle(values: list[float]) -> float | None:
    return statistics.median(values) if values else None


def _cell(line: _Line, row: Row) -> Text:
    """The middle round's figure, and the least and the most of all of them."""
    values = _values(line, row)
    value = _middle(values)
    missed = value is not None and line.most is not None and value > line.most
    cell = Text(_figure(value), style="bold red" if missed else "")
    if len(values) > 1 and values[0] != values[-1]:
        cell.append(f"  {_figure(values[0])} to {_figure(values[-1])}", style="dim")
    return cell


def _figure(value: float | None) -> str:
    if value is None:
        return "none"
    if value >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.2f}"


def _print_trouble(name: str, load: Load, console: Console) -> None:
    if load.void:
        console.print(
            f"{name}: void, the client itself was {load.client_late.p99:.1f} ms late (p99), twice",
            style="red",
        )
    elif load.repeated:
        console.print(f"{name}: measured twice, the client was too late at first", style="yellow")
    for what, times in load.trouble.items():
        console.print(f"{name}: {what}, {times} times", style="red")


def _print_capacity(bench: Bench, console: Console) -> None:
    capacity = bench.capacity
    assert capacity is not None
    for step in capacity.steps:
        late = f"{step.late.p99:.1f} ms" if step.late is not None else "no answer"
        client = f"{step.client_late.p99:.1f} ms"
        share = step.cpu_ms * step.calls / 10
        console.print(
            f"{step.calls} calls: {share:.0f} % of a core, frames late {late}, client late {client}"
        )
    limit = f"frames late by more than {capacity.most_late_ms:g} ms (p99)"
    if capacity.limited_by == "client":
        console.print(f"One core holds at least {capacity.calls} calls, limited by the client.")
    else:
        console.print(f"One core holds {capacity.calls} calls; above, {limit}.")
