"""The report page: all calls of a replay in one file that asks nothing of the network.

Audio, waveforms, transcripts and figures are put as JSON into `page/report.html`, which draws them.
"""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from voicegw.audio.pcm import SAMPLE_RATE_HZ
from voicegw.errors import ConfigError
from voicegw.replay.batch import Done
from voicegw.replay.result import Comparison
from voicegw.replay.virtual import Replayed
from voicegw.verdict.exchanges import Exchange, Sentence
from voicegw.verdict.verdict import Verdict
from voicegw.verdict.words import words

# One bar of the waveform: fine enough to see words, coarse enough for a page of a hundred calls.
BAR_MS = 40
# MP3 plays in every browser; at this the voice is clear and a minute of both sides takes 180 kB.
MP3_LEVEL = 0.9


def write_report(folder: Path, dones: Sequence[Done], compared: Mapping[Path, Comparison]) -> Path:
    """Write `index.html` into `folder`, which is made. Returns its path. Raises ConfigError."""
    data = {"calls": [_call(done, compared.get(done.sample.path)) for done in dones]}
    page = (files("voicegw.replay") / "page" / "report.html").read_text(encoding="utf-8")
    # "<" would let a word of a caller end the script element.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    path = folder / "index.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(page.replace("__DATA__", text), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
    return path


def _call(done: Done, comparison: Comparison | None) -> dict[str, Any]:
    result = done.result
    verdict = asdict(result.verdict)
    found: dict[str, Any] = {
        "name": result.sample,
        "title": result.title,
        "origin": done.sample.file.origin,
        "passed": result.passed,
        "error": result.error,
        "ms": result.call_ms,
        "checks": [asdict(check) for check in result.checks],
        "turns": [asdict(turn) for turn in result.turns],
        "verdict": {name: value for name, value in verdict.items() if name not in ("waits", "silences")},
        "waits": [_wait(result.verdict, number) for number in range(len(result.verdict.waits))],
        "changes": [asdict(change) for change in comparison.changes] if comparison else [],
        "notComparableFrom": comparison.not_comparable_from if comparison else None,
    }
    if done.run is not None:
        found |= _sound(done.run) | {"rows": _rows(done, done.run), "marks": _marks(done.run)}
    return found


def _wait(verdict: Verdict, number: int) -> dict[str, Any]:
    """A wait with its parts in their order of time."""
    wait = verdict.waits[number]
    return {
        "exchange": wait.exchange,
        "from": wait.from_us // 1000,
        "to": wait.to_us // 1000,
        "owner": wait.owner,
        "answered": wait.answered,
        "causes": [[owner, us // 1000] for owner, us in wait.causes.items()],
    }


def _sound(run: Replayed) -> dict[str, Any]:
    length = max(len(run.caller), len(run.agent))
    sides = [np.frombuffer(side.ljust(length, b"\0"), "<i2") for side in (run.caller, run.agent)]
    file = io.BytesIO()
    stereo = np.stack(sides, axis=1)
    soundfile.write(
        file,
        stereo,
        SAMPLE_RATE_HZ,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=MP3_LEVEL,
        bitrate_mode="CONSTANT",
    )
    return {
        "audio": "data:audio/mpeg;base64," + base64.b64encode(file.getvalue()).decode(),
        "barMs": BAR_MS,
        "caller": _bars(sides[0]),
        "agent": _bars(sides[1]),
    }


def _bars(samples: npt.NDArray[np.int16]) -> list[int]:
    """The peak of each bar, 0 to 100, on a scale on which a quiet word is still seen."""
    size = SAMPLE_RATE_HZ * BAR_MS // 1000
    padded = np.pad(samples, (0, -len(samples) % size)).reshape(-1, size).astype(np.float64)
    peaks = np.abs(padded).max(axis=1) / 32768
    return [round(100 * float(peak) ** 0.6) for peak in peaks]


def _rows(done: Done, run: Replayed) -> list[dict[str, Any]]:
    """The transcript, in order of time."""
    rows: list[dict[str, Any]] = []
    for turn in done.result.turns:
        rows.append(
            {
                "at": turn.from_ms, "end": turn.to_ms, "who": "caller", "kind": turn.kind, "text": turn.said,
                "understood": turn.understood if words(turn.understood) != words(turn.said) else "",
                "number": turn.number,
            }
        )  # fmt: skip
    for exchange in run.timeline.exchanges:
        for sentence in exchange.sentences:
            if sentence.began_us is not None:
                heard, lost = _heard(sentence, run.played.get(sentence.speech_id, 0))
                rows.append(
                    {
                        "at": sentence.began_us // 1000, "end": (sentence.ended_us or 0) // 1000,
                        "who": "agent", "kind": sentence.kind, "text": heard, "lost": lost,
                    }
                )  # fmt: skip
        rows += _events(exchange)
    return sorted(rows, key=lambda row: row["at"])


def _events(exchange: Exchange) -> list[dict[str, Any]]:
    found = [("rung", r.at_us, f"{r.rung}: {r.reason}") for r in exchange.rungs]
    found += [("rejected", r.at_us, f"not taken as a turn: {r.reason}") for r in exchange.rejected]
    found += [("tool", t.asked_us, f"{t.name} {t.arguments}") for t in exchange.tools]
    found += [
        ("barge-in", i.voice_us, "interrupts" if i.outcome == "yielded" else "a sound; the agent goes on")
        for i in exchange.interruptions
    ]
    return [{"at": at // 1000, "who": "event", "kind": kind, "text": text} for kind, at, text in found]


def _heard(sentence: Sentence, played: int) -> tuple[str, str]:
    """The words of a sentence that were heard, and those that were not."""
    if not sentence.cut or not sentence.samples or played >= sentence.samples:
        return sentence.text, ""
    end = sentence.text.rfind(" ", 0, len(sentence.text) * played // sentence.samples + 1)
    return (sentence.text[:end], sentence.text[end + 1 :]) if end > 0 else ("", sentence.text)


def _marks(run: Replayed) -> list[dict[str, Any]]:
    """What is drawn over the waveform."""
    marks = []
    for exchange in run.timeline.exchanges:
        for i in exchange.interruptions:
            kind = "barge-in" if i.outcome == "yielded" else "sound"
            marks.append(
                {"at": i.voice_us // 1000, "to": (i.decided_us or i.paused_us) // 1000, "kind": kind}
            )
        for s in exchange.sentences:
            if s.cut and s.ended_us is not None and s.samples:
                left = max(0, s.samples - run.played.get(s.speech_id, 0)) * 1000 // SAMPLE_RATE_HZ
                marks.append({"at": s.ended_us // 1000, "to": s.ended_us // 1000 + left, "kind": "unheard"})
    return marks
