"""`voicegw bench`: what the gateway costs, how late it is, and how that compares with the bare stack."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from voicegw.bench.figures import BENCH, read_bench
from voicegw.bench.material import RECORDING
from voicegw.bench.measure import measure
from voicegw.bench.report import print_bench
from voicegw.errors import ConfigError

DEFAULT_CALLS = (100, 200)


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
