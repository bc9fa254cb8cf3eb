"""`voicegw bench turns`: cut-offs, waits and interruptions on human speech in noise."""

import functools
import json as json_lines
from collections.abc import Sequence
from dataclasses import asdict, replace

from rich.console import Console
from rich.progress import Progress

from voicegw.bench.turns.report import print_cut_offs, print_results
from voicegw.bench.turns.speech import Half
from voicegw.bench.turns.trials import Run, run_trials
from voicegw.errors import ConfigError
from voicegw.server.voice_model import model_path


def run_bench_turns(
    *,
    half: str,
    silero: bool | None,
    every: int,
    jobs: int,
    cut_offs: bool,
    turns_only: bool,
    overrides: dict[str, str],
    as_json: bool,
    console: Console | None = None,
) -> int:
    """Run the trials of a half ("tuning", "reporting", "both") and print them. Raises ConfigError."""
    halves = _halves(half)
    if silero and model_path() is None:
        raise ConfigError("--silero: not installed; pip install 'voicegw[silero]'")
    console = console or Console(highlight=False)
    second = model_path() is not None if silero is None else silero
    for chosen in halves:
        run = Run(chosen, second, overrides, every=every)
        if turns_only:
            run = replace(run, barge_ins={}, lengths=())
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(f"{chosen} half", total=len(run.plans()))
            results = run_trials(run, jobs=jobs, done=functools.partial(progress.advance, task))
        if as_json:
            console.file.write(
                json_lines.dumps({"half": chosen, "settings": overrides, **asdict(results)}) + "\n"
            )
        else:
            print_results(results, chosen, console)
            if cut_offs:
                print_cut_offs(results, console)
    return 0


def _halves(half: str) -> Sequence[Half]:
    if half == "both":
        return ("tuning", "reporting")
    if half == "tuning":
        return ("tuning",)
    if half == "reporting":
        return ("reporting",)
    raise ConfigError(f"--half {half}: expected tuning, reporting or both")
