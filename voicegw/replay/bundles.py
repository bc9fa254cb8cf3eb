"""A bundle as a sample: everything must come as it came then; and its journal must give the same commands."""

from pathlib import Path

import numpy as np
import soundfile

from voicegw.errors import ConfigError
from voicegw.replay.checks import Check
from voicegw.replay.drafts import draft
from voicegw.replay.journal import compared
from voicegw.replay.kept_agent import read_about
from voicegw.replay.result import CallResult, result_of
from voicegw.replay.sample import Sample, SampleFile
from voicegw.replay.virtual import Replayed
from voicegw.store.bundle import ABOUT, CASSETTE, COMMANDS, JOURNAL, RECORDING
from voicegw.store.journal import read_journal
from voicegw.verdict.timeline import play_journal


def bundle_sample(folder: Path) -> Sample:
    """Return the sample of a bundle. Raises ConfigError where something of it is missing."""
    read_about(folder)
    for name in (JOURNAL, RECORDING, CASSETTE):
        if not (folder / name).is_file():
            raise ConfigError(f"{folder}: no whole bundle: {name} is missing")
    call, events = read_journal(folder / JOURNAL)
    timeline = play_journal(call, events)
    name = folder.resolve().name
    found = draft(call, timeline, title=f"call {name}", origin="a call of this gateway", expect=True)
    return Sample(
        name=name,
        path=folder / ABOUT,
        audio=folder / RECORDING,
        cassette=folder / CASSETTE,
        bundle=folder,
        file=SampleFile.model_validate(found),
    )


def as_it_was(sample: Sample) -> CallResult:
    """Return the result of the call that a bundle keeps: what its replay is compared with."""
    assert sample.bundle is not None
    call, events = read_journal(sample.bundle / JOURNAL)
    journal = tuple(events)
    samples, _ = soundfile.read(sample.bundle / RECORDING, dtype="int16", always_2d=True)
    caller, agent = (np.ascontiguousarray(samples[:, side]).astype("<i2").tobytes() for side in (0, 1))
    timeline = play_journal(call, journal)
    turns = sample.file.turns
    at = [x.last_word_us or x.turn_over_us or 0 for x in timeline.exchanges[1:] if x.source != "voice"]
    written = iter(at)
    places = [
        (round(turn.start * 1e6), round(turn.end * 1e6))
        if turn.start is not None and turn.end is not None
        else (moment := next(written, 0), moment)
        for turn in turns
    ]
    run = Replayed(
        timeline,
        caller,
        agent,
        tuple(start for start, _ in places),
        tuple(end for _, end in places),
        (),
        {},
        (),
        call,
        journal=journal,
    )
    return result_of(sample, run)


def journal_check(sample: Sample) -> Check:
    """Feed the call's events to this version of the rules: do they decide as they did then?"""
    assert sample.bundle is not None
    kept = compared(sample.bundle / JOURNAL, sample.bundle / COMMANDS)
    same = kept.found is None
    return Check("journal", "the same commands", "the same", "the same" if same else str(kept.found), same)
