"""The tables of `voicegw bench turns`."""

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from voicegw.bench.turns.sounds import CONDITIONS
from voicegw.bench.turns.trials import BARGE_INS, PROVIDERS_MS, SLOW_STT_MS, BargeIn, Results, Turn


def part(values: Sequence[float], share: float) -> float | None:
    """Return a percentile (nearest rank), None of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else None


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def turn_row(name: str, turns: Sequence[Turn]) -> list[str]:
    """One condition: trials, cut-offs, missed ends, response delay."""
    delays = [turn.delay_ms for turn in turns if turn.delay_ms is not None]
    missed = sum(not turn.cut_off and turn.delay_ms is None for turn in turns)
    cut = sum(turn.cut_off for turn in turns)
    return [name, str(len(turns)), str(cut), str(missed), _ms(part(delays, 0.5)), _ms(part(delays, 0.9))]


def barge_in_row(kind: str, found: Sequence[BargeIn]) -> list[str]:
    """One kind of sound: trials, paused, pause time, cut, time until then."""
    pauses = [one.pause_ms for one in found if one.pause_ms is not None]
    cuts = [one.clear_ms for one in found if one.clear_ms is not None]
    return [
        kind, str(len(found)), str(len(pauses)), _ms(part(pauses, 0.5)), _ms(part(pauses, 0.9)),
        str(len(cuts)), _ms(part(cuts, 0.5)), _ms(part(cuts, 0.9)),
    ]  # fmt: skip


def print_results(results: Results, half: str, console: Console) -> None:
    """Print both tables of a run."""
    stage = "with silero" if results.silero else "without silero"
    table = Table(title=f"Turns, {half} half, {stage} (providers' own sum: {PROVIDERS_MS:.0f} ms)")
    _columns(table, "condition", "turns", "cut off", "missed", "delay p50 ms", "p90 ms")
    for condition in CONDITIONS:
        own = [turn for turn in results.turns if turn.condition == condition]
        if own:
            table.add_row(*turn_row(condition, own))
    table.add_section()
    table.add_row(*turn_row("all", results.turns))
    console.print(table)
    if results.barge_ins:
        table = Table(title="Sounds over the agent's speech (all but speech and echo are synthetic or noise)")
        _columns(table, "sound", "trials", "paused", "p50 ms", "p90 ms", "cut", "p50 ms", "p90 ms")
        for kind in BARGE_INS:
            found = [one for one in results.barge_ins if one.kind == kind]
            if found:
                table.add_row(*barge_in_row(kind, found))
        console.print(table)
    if results.lengths:
        table = Table(title=f"The wait behind long turns, with {SLOW_STT_MS:.0f} ms more per second for STT")
        _columns(table, "turn", "spoken s", "STT requests", "delay ms")
        for one in sorted(results.lengths, key=lambda length: length.wanted_s):
            table.add_row(f"{one.wanted_s} s", f"{one.spoken_s:.1f}", str(one.requests), _ms(one.delay_ms))
        console.print(table)


def print_cut_offs(results: Results, console: Console) -> None:
    """Print which turns were cut off, and how often of how many tries in all conditions."""
    table = Table(title="Turns that were cut off")
    _columns(table, "recording", "hesitation ms", "conditions")
    tried = {(turn.voice, turn.hesitation_ms) for turn in results.turns}
    for voice, hesitation_ms in sorted(tried):
        own = [
            turn.condition
            for turn in results.turns
            if (turn.voice, turn.hesitation_ms) == (voice, hesitation_ms) and turn.cut_off
        ]
        if own:
            table.add_row(voice, str(hesitation_ms), ", ".join(own))
    console.print(table)


def _columns(table: Table, first: str, *others: str) -> None:
    add: Callable[..., None] = table.add_column
    add(first)
    for name in others:
        add(name, justify="right")
