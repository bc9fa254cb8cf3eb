"""Many samples, in several processes; the results come in the samples' order, whoever was first."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from voicegw.errors import VoicegwError
from voicegw.observe.log import no_logs
from voicegw.replay.bundles import bundle_sample, journal_check
from voicegw.replay.judging import judged
from voicegw.replay.live import Network, replay_live
from voicegw.replay.result import CallResult, result_of
from voicegw.replay.sample import Sample, read_sample
from voicegw.replay.virtual import Options, Replayed, replay_virtual
from voicegw.store.bundle import ABOUT
from voicegw.verdict.timeline import Timeline
from voicegw.verdict.verdict import judge


@dataclass(frozen=True, slots=True)
class Done:
    """A replay with what it cost: `cpu_s` of one core. `run` is there where it was asked for."""

    sample: Sample
    result: CallResult
    cpu_s: float
    run: Replayed | None = None


def replay_one(path: Path, options: Options, keep_run: bool = False) -> Done:
    """Replay one sample. What goes wrong with it is in the result; a wrong file is raised (ConfigError)."""
    sample = bundle_sample(path.parent) if path.name == ABOUT else read_sample(path)
    began = time.process_time()
    try:
        with no_logs():  # what a gateway would log stands in the result
            run = _run(sample, options)
    except VoicegwError:
        raise
    except (RuntimeError, ExceptionGroup) as error:
        cpu_s = time.process_time() - began
        return Done(sample, broken(sample, f"{type(error).__name__}: {error}"), cpu_s)
    result = result_of(sample, run)
    result = replace(result, checks=judged(result.checks, options.judge))
    if sample.bundle is not None:
        result = replace(result, checks=(*result.checks, journal_check(sample)))
    return Done(sample, result, time.process_time() - began, run if keep_run else None)


def _run(sample: Sample, options: Options) -> Replayed:
    if not options.live:
        return replay_virtual(sample, options)
    network = Network(options.jitter_ms, options.loss)
    call = replay_live(
        sample, options.live, carrier=options.carrier, network=network, absolute=options.absolute
    )
    return asyncio.run(call)


def broken(sample: Sample, error: str) -> CallResult:
    """The result of a call that could not be replayed to its end."""
    return CallResult(sample.name, sample.file.title, 0, (), (), judge(Timeline()), error=error)


def replay_all(
    paths: Sequence[Path],
    options: Options,
    *,
    jobs: int = 1,
    keep_runs: bool = False,
    on_done: Callable[[Done], None] | None = None,
) -> list[Done]:
    """Replay samples in `jobs` processes. Raises ConfigError for the first wrong file."""
    found = []
    for done in _each(paths, options, jobs, keep_runs):
        found.append(done)
        if on_done is not None:
            on_done(done)
    return found


def _each(paths: Sequence[Path], options: Options, jobs: int, keep_runs: bool) -> Iterator[Done]:
    if jobs <= 1 or len(paths) <= 1:
        for path in paths:
            yield replay_one(path, options, keep_runs)
        return
    # "spawn": a process of its own from the start, as with any other start of the program.
    with ProcessPoolExecutor(min(jobs, len(paths)), mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(replay_one, path, options, keep_runs) for path in paths]
        try:
            for future in futures:
                yield future.result()
        finally:
            for future in futures:
                future.cancel()
