"""`voicegw replay --from-call ID`: a sample drafted from a call that was kept, for a person to finish."""

import shutil
from pathlib import Path

import soundfile
import yaml

from voicegw.config import Settings
from voicegw.errors import ConfigError
from voicegw.replay.drafts import draft
from voicegw.store.bundle import CASSETTE, JOURNAL, RECORDING
from voicegw.store.journal import read_journal
from voicegw.verdict.timeline import play_journal


def draft_sample(settings: Settings, call_id: str, folder: Path) -> int:
    """Write the call's audio and a YAML into `folder`, and the providers' answers where it has a bundle.

    Raises ConfigError where the call was not kept.
    """
    data = Path(settings.store.data_dir)
    if not call_id.isalnum():
        raise ConfigError(f"--from-call {call_id}: no call's id")
    bundle = data / "bundles" / call_id
    kept = bundle.is_dir()
    journal = bundle / JOURNAL if kept else data / "journals" / f"{call_id}.jsonl"
    if not journal.exists():
        raise ConfigError(f"--from-call {call_id}: there is no journal {journal}")
    recording = bundle / RECORDING if kept else data / "recordings" / f"{call_id}.flac"
    if not recording.exists():
        raise ConfigError(f"--from-call {call_id}: there is no recording {recording}; set store.record")
    call, events = read_journal(journal)
    found = draft(
        call,
        play_journal(call, events),
        title=f"call {call_id}: say here what it is about",
        origin=f"human: a recorded call of this gateway ({call_id}); say here that you may use it",
        expect=False,
    )
    path = folder / f"{call_id}.yaml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        samples, rate = soundfile.read(recording, dtype="int16")
        soundfile.write(folder / f"{call_id}.flac", samples, rate)
        text = yaml.safe_dump(found, allow_unicode=True, sort_keys=False, width=100)
        head = "# Drafted from a call: correct what was said, and expect something.\n"
        path.write_text(head + text, "utf-8")
        if kept:
            shutil.copyfile(bundle / CASSETTE, path.with_suffix(".cassette.jsonl"))
    except (OSError, soundfile.LibsndfileError) as error:
        raise ConfigError(f"{folder}: the sample cannot be written: {error}") from error
    turns = len(found["turns"])
    print(f"drafted {path} with {turns} turns: correct what was said, then `voicegw replay {path}`")
    return 0
