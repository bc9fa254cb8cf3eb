"""The benchmark's figures as a table, beside what is aimed at and what was measured before."""

from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from voicegw.bench.figures import Bench, Load, Row, Spread


@dataclass(frozen=True, slots=True)
class _Line:
    """One figure: how to get it from a row, and the most that it should be (None: it only informs)."""

    name: str
    unit: str
    get: Callable[[Row], float | None]
    most: float | None = None


def _p(get: Callable[[Row], Spread | None], part: str) -> Callable[[Row], float | None]:
    def figure(row: Row) -> float | None:
        found = get(row)
        return getattr(found, part) if found is not None else None

    return figure


LINES = (
    _Line("CPU, silent floor", "ms/call-s", lambda row: row.silent_floor.cpu_ms),
    _Line("CPU, idle", "ms/call-s", lambda row: row.idle.cpu_ms),
    _Line("  ratio to the floor", "", lambda row: row.idle_ratio, 1.4),
    _Line("CPU, echoing floor", "ms/call-s", lambda row: row.echo_floor.cpu_ms),
    _Line("CPU, talking", "ms/call-s", lambda row: row.talking.cpu_ms),
    _Line("  ratio to the floor", "", lambda row: row.talking_ratio, 1.5),
    _Line("Added latency p50", "ms", _p(lambda row: row.talking.added, "p50")),
    _Line("Added latency p95", "ms", _p(lambda row: row.talking.added, "p95")),
    _Line("Added latency p99", "ms", _p(lambda row: row.talking.added, "p99"), 20.0),
    _Line("Agent frame late p99", "ms", _p(lambda row: row.talking.late, "p99"), 5.0),
    _Line("Memory per idle call, USS", "kB", lambda row: row.idle.uss_kb),
    _Line("Memory per call, USS", "kB", lambda row: row.talking.uss_kb, 300.0),
    _Line("Memory per call, RSS", "kB", lambda row: row.talking.rss_kb),
    _Line("Client late p99, idle", "ms", lambda row: row.idle.client_late.p99, 5.0),
    _Line("Client late p99, talking", "ms", lambda row: row.talking.client_late.p99, 5.0),
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
    for row in bench.rows:
        for name, load in _loads(row).items():
            _print_trouble(name, load, console)
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
                cells.append(_figure(line.get(earlier[row.calls])))
        table.add_row(*cells)
    return table


def _cell(line: _Line, row: Row) -> Text:
    value = line.get(row)
    missed = value is not None and line.most is not None and value > line.most
    return Text(_figure(value), style="bold red" if missed else "")


def _figure(value: float | None) -> str:
    if value is None:
        return "none"
    if value >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.2f}"


def _loads(row: Row) -> dict[str, Load]:
    return {
        f"{row.calls} calls, silent floor": row.silent_floor,
        f"{row.calls} calls, echoing floor": row.echo_floor,
        f"{row.calls} calls, idle": row.idle,
        f"{row.calls} calls, talking": row.talking,
    }


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
