"""`voicegw replay --from-call ID`: a sample drafted from a call that was kept, for a person to finish."""

from pathlib import Path

import soundfile
import yaml

from voicegw.config import Settings
from voicegw.errors import ConfigError
from voicegw.store.journal import read_journal
from voicegw.verdict.exchanges import Exchange
from voicegw.verdict.timeline import play_journal


def draft_sample(settings: Settings, call_id: str, folder: Path) -> int:
    """Write the call's audio and a YAML into `folder`. Raises ConfigError where the call was not kept."""
    data = Path(settings.store.data_dir)
    if not call_id.isalnum():
        raise ConfigError(f"--from-call {call_id}: no call's id")
    journal = data / "journals" / f"{call_id}.jsonl"
    if not journal.exists():
        raise ConfigError(f"--from-call {call_id}: there is no journal {journal}")
    recording = next(iter(sorted(data.rglob(f"{call_id}.flac"))), None)
    if recording is None:
        raise ConfigError(
            f"--from-call {call_id}: there is no recording of it in {data}; set store.recordings"
        )
    call, events = read_journal(journal)
    timeline = play_journal(call, events)
    turns = [turn for exchange in timeline.exchanges[1:] if (turn := _turn(exchange)) is not None]
    draft = {
        "title": f"call {call_id}: say here what it is about",
        "origin": f"human: a recorded call of this gateway ({call_id}); say here that you may use it",
        "licence": "not to be given away",
        "language": call.language.partition("-")[0],
        "persona": call.persona,
        "turns": turns,
        "expect": {"turns": len(turns), "ends": timeline.end_reason},
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        samples, rate = soundfile.read(recording, dtype="int16")
        soundfile.write(folder / f"{call_id}.flac", samples, rate)
        text = yaml.safe_dump(draft, allow_unicode=True, sort_keys=False, width=100)
        path = folder / f"{call_id}.yaml"
        path.write_text(
            f"# Drafted from a call: correct what was said, and expect something.\n{text}", "utf-8"
        )
    except (OSError, soundfile.LibsndfileError) as error:
        raise ConfigError(f"{folder}: the sample cannot be written: {error}") from error
    print(f"drafted {path} with {len(turns)} turns: correct what was said, then `voicegw replay {path}`")
    return 0


def _turn(exchange: Exchange) -> dict[str, object] | None:
    answer = {"says": " ".join(asked.text for asked in exchange.asked if not asked.cancelled).strip()}
    if exchange.source == "keypad":
        return {"keys": exchange.text, "answer": answer}
    if exchange.source == "text":
        return {"text": exchange.text, "answer": answer}
    if exchange.voice_us is None or exchange.last_word_us is None:
        return None
    return {
        "say": exchange.text,
        "start": round(exchange.voice_us / 1e6, 2),
        "end": round(exchange.last_word_us / 1e6, 2),
        "answer": answer,
    }
