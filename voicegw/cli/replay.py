"""`voicegw replay`: sample calls through this gateway's code, in seconds, with a verdict on each."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from voicegw.errors import ConfigError
from voicegw.providers.cassette import write_cassette
from voicegw.replay.batch import Done, replay_all
from voicegw.replay.bundles import as_it_was, bundle_sample
from voicegw.replay.junit import junit
from voicegw.replay.result import CallResult, Comparison, compare, read_baseline, to_json, write_baseline
from voicegw.replay.sample import find_samples
from voicegw.replay.sweep import Point, grid, plot, point_of
from voicegw.replay.virtual import Options
from voicegw.store.bundle import ABOUT

GRADES = {"good": "green", "fair": "yellow", "poor": "red"}


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What `voicegw replay` was told."""

    paths: tuple[Path, ...]
    options: Options = field(default_factory=Options)
    jobs: int = 1
    repeat: int = 1
    changed: bool = False  # settings, persona or model differ: compared with the calls as they are
    accept: bool = False
    sweep: tuple[str, ...] = ()
    plot: Path | None = None
    report: Path | None = None
    junit: Path | None = None
    json: bool = False


def run_replay(wanted: ReplayOptions) -> int:
    """Replay, print, and return the exit code: 0 if every call was as expected. Raises ConfigError."""
    console = Console(stderr=wanted.json, highlight=False)
    paths = find_samples(list(wanted.paths))
    if wanted.sweep:
        return _sweep(wanted, paths, console)
    keep = wanted.report is not None
    before = _baselines(paths)
    if wanted.changed:
        plain = replace(wanted.options, overrides={}, persona=None, llm="", providers="cassette")
        base = _replay(console, "as it is", paths, plain, wanted.jobs)
        before = {done.sample.path: done.result for done in base}
    dones = _replay(console, "replaying", paths * wanted.repeat, wanted.options, wanted.jobs, keep)
    compared = {
        done.sample.path: compare(before[done.sample.path], done.result)
        for done in dones
        if done.sample.path in before
    }
    _tell(console, wanted, dones, compared)
    if wanted.options.recording:
        _keep_cassettes(console, dones)
    if wanted.accept:
        _accept(console, dones)
    if wanted.junit is not None:
        _write(wanted.junit, junit(dones))
    if wanted.report is not None:
        from voicegw.replay.report import write_report

        page = write_report(wanted.report, dones, compared)
        console.print(f"report: {page}", soft_wrap=True)
    return 0 if all(done.result.passed for done in dones) else 1


def _replay(
    console: Console, title: str, paths: Sequence[Path], options: Options, jobs: int, keep: bool = False
) -> list[Done]:
    with _progress(console, title, len(paths)) as on_done:
        return replay_all(paths, options, jobs=jobs, keep_runs=keep or options.recording, on_done=on_done)


@contextlib.contextmanager
def _progress(console: Console, title: str, total: int) -> Iterator[Callable[[Done], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=total)

        def done(one: Done) -> None:
            progress.update(task, advance=1, description=one.result.sample)

        yield done


def _baselines(paths: Sequence[Path]) -> dict[Path, CallResult]:
    found = {path: read_baseline(base) for path in paths if (base := _baseline(path)).exists()}
    for path in paths:
        if path.name == ABOUT and path not in found:
            found[path] = as_it_was(bundle_sample(path.parent))
    return found


def _baseline(path: Path) -> Path:
    return path.with_suffix(".baseline.json")


def _accept(console: Console, dones: Sequence[Done]) -> None:
    try:
        for done in dones:
            write_baseline(_baseline(done.sample.path), done.result)
    except OSError as error:
        raise ConfigError(f"{error.filename}: cannot be written: {error.strerror}") from error
    console.print(f"{len(dones)} results are the baseline now")


def _keep_cassettes(console: Console, dones: Sequence[Done]) -> None:
    for done in dones:
        if done.run is not None and done.run.takes:
            path = done.sample.path.with_suffix(".cassette.jsonl")
            try:
                write_cassette(path, done.run.takes, compact=True)
            except OSError as error:
                raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
            console.print(f"cassette: {path}", soft_wrap=True)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error


# What is printed


def _tell(
    console: Console, wanted: ReplayOptions, dones: Sequence[Done], compared: dict[Path, Comparison]
) -> None:
    if wanted.json:
        for done in dones:
            sys.stdout.write(to_json(done.result) + "\n")
    else:
        console.print(_table(dones))
        for done in dones:
            _tell_failed(console, done.result)
        for path, comparison in compared.items():
            name = path.parent.name if path.name == ABOUT else path.stem
            _tell_changes(console, name, comparison)
        if wanted.repeat > 1:
            _tell_rates(console, dones)
    _tell_sum(console, dones)


def _table(dones: Sequence[Done]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("call", "", "grade", "s", "turns", "gap p50", "p95", "wait", "WER", "why"):
        right = heading not in ("call", "", "grade", "why")
        folds = heading == "why"
        table.add_column(
            heading,
            header_style="bold",
            justify="right" if right else "left",
            overflow="fold",
            no_wrap=not folds,
        )
    for done in dones:
        result, v = done.result, done.result.verdict
        mark = Text("ok", "green") if result.passed else Text("FAIL", "bold red")
        table.add_row(
            result.sample,
            mark,
            Text(v.grade, GRADES[v.grade]),
            f"{result.call_ms / 1000:.1f}",
            str(v.exchanges),
            _figure(v.gap_p50_ms),
            _figure(v.gap_p95_ms),
            str(v.longest_wait_ms),
            "" if v.word_error_rate is None else f"{v.word_error_rate:.2f}",
            Text(result.error or "; ".join(v.reasons), "dim"),
        )
    return table


def _figure(value: int | None) -> str:
    return "" if value is None else str(value)


def _tell_failed(console: Console, result: CallResult) -> None:
    for check in result.failed:
        line = Text(f"{result.sample}: ", "bold red").append(str(check), "default")
        console.print(line, soft_wrap=True)


def _tell_changes(console: Console, name: str, comparison: Comparison) -> None:
    if not comparison.changes:
        return
    console.print(Text(f"\n{name}: what is different", "bold"))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2))
    for heading in ("", "", "before", "now"):
        table.add_column(heading, header_style="dim", overflow="fold")
    for change in comparison.changes:
        where = f"turn {change.turn}" if change.turn else "call"
        table.add_row(where, change.what, Text(change.before, "dim"), Text(change.now, "bold"))
    console.print(table)
    if comparison.not_comparable_from is not None:
        console.print(
            f"  from turn {comparison.not_comparable_from} on not comparable: another agent was answered"
        )


def _tell_rates(console: Console, dones: Sequence[Done]) -> None:
    names = list(dict.fromkeys(done.result.sample for done in dones))
    console.print(Text("\npass rates", "bold"))
    for name in names:
        mine = [done.result.passed for done in dones if done.result.sample == name]
        console.print(f"  {name}: {sum(mine)} of {len(mine)}")


def _tell_sum(console: Console, dones: Sequence[Done]) -> None:
    call_s = sum(done.result.call_ms for done in dones) / 1000
    cpu_s = sum(done.cpu_s for done in dones)
    failed = sum(not done.result.passed for done in dones)
    speed = f", {call_s / cpu_s:.0f} times real time on one core" if cpu_s and call_s else ""
    console.print(
        f"{len(dones)} calls, {call_s:.0f} s of talk in {cpu_s:.1f} s of CPU{speed}; "
        + (f"{failed} not as expected" if failed else "all as expected")
    )
    skipped = sum(len(done.result.skipped) for done in dones)
    if skipped:
        told = f"{skipped} expectations skipped: no model judges answers (--judge, VOICEGW_JUDGE__MODEL)"
        console.print(Text(told, "yellow"), soft_wrap=True)
    missed = [(done.result.sample, text) for done in dones for text in done.result.missed]
    for sample, text in missed[:5]:
        console.print(Text(f"{sample}: not on the cassette: {text}", "yellow"), soft_wrap=True)


# A grid of settings


def _sweep(wanted: ReplayOptions, paths: Sequence[Path], console: Console) -> int:
    points: list[Point] = []
    for settings in grid(wanted.sweep):
        overrides = {**wanted.options.overrides, **settings}
        options = replace(wanted.options, overrides=overrides)
        title = ", ".join(f"{name}={value}" for name, value in settings.items())
        results = [done.result for done in _replay(console, title, paths, options, wanted.jobs)]
        points.append(point_of(settings, results))
        if wanted.json:
            _print_point(points[-1])
    if not wanted.json:
        console.print(_sweep_table(points))
    target = wanted.plot or Path("sweep.svg")
    _write(target, plot(points))
    console.print(f"plot: {target}", soft_wrap=True)
    return 0


def _print_point(point: Point) -> None:
    import json
    from dataclasses import asdict

    sys.stdout.write(json.dumps(asdict(point) | {"settings": dict(point.settings)}) + "\n")


def _sweep_table(points: Sequence[Point]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("settings", "turns cut off", "response p50", "p95", "calls not as expected"):
        table.add_column(heading, header_style="bold", justify="left" if heading == "settings" else "right")
    for p in points:
        table.add_row(
            p.label,
            f"{p.cut_turns} of {p.turns}",
            _figure(p.gap_p50_ms),
            _figure(p.gap_p95_ms),
            str(p.failed),
        )
    return table


def default_jobs() -> int:
    """As many processes as there are cores for us."""
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
