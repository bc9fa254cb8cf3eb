"""The benchmark's voices: recordings with the time of each word, split by speaker into two halves.

Levels are brought to one value, so that a noise's distance in dB means the same for every speaker.
"""

import csv
import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import soundfile

from voicegw.audio.pcm import SAMPLE_RATE_HZ
from voicegw.errors import ConfigError

# Beside the package, as the other recordings of the project: a wheel does not carry them.
FOLDER = Path(__file__).parents[3] / "samples" / "speech"
# Level of the loud part of every voice (dBFS): that of an ordinary telephone.
LEVEL_DB = -24.0
Half = Literal["tuning", "reporting"]
# Settings were chosen on the first half only.
TUNING_SPEAKERS = frozenset({"lj", "libri-1688", "libri-1995", "libri-2609", "arctic"})
# What the files of Vietnamese murmurs say.
VIETNAMESE = {"vang": "vâng", "da": "dạ", "u": "ừ"}
FRAME = SAMPLE_RATE_HZ // 50
# Vowels and the loud consonants of a sentence lie within 15 dB; words' times are good to 0.1 s.
VOICE_DB = 15.0
LABEL_S = 0.1
# A sentence after a pause this long begins as an interruption would; it must last so long to be one.
FRESH_PAUSE_S = 0.25
INTERRUPTION_S = 1.5

Samples = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Word:
    """A word and when it sounds, in seconds."""

    text: str
    from_s: float
    to_s: float


@dataclass(frozen=True, slots=True)
class Voice:
    """One recording: the voice sounds from `begin_s` to `end_s`; around it there is the speaker's room."""

    name: str
    speaker: str
    samples: Samples
    words: tuple[Word, ...] = ()
    end_s: float = 0.0
    begin_s: float = 0.0

    @property
    def half(self) -> Half:
        """Which half of the speakers it belongs to."""
        return "tuning" if self.speaker in TUNING_SPEAKERS else "reporting"


def read(path: Path) -> Samples:
    """Read a recording. Raises ConfigError where it is none, or not 16 kHz mono."""
    try:
        samples, rate = soundfile.read(path, dtype="float32")
    except (soundfile.SoundFileError, OSError) as error:
        raise ConfigError(f"{path}: {error}") from None
    if rate != SAMPLE_RATE_HZ or samples.ndim != 1:
        raise ConfigError(f"{path}: expected mono sound at {SAMPLE_RATE_HZ} Hz")
    found: Samples = samples
    return found


def levels(samples: Samples) -> npt.NDArray[Any]:
    """Return the rms of each whole frame of 20 ms."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME).astype(np.float64)
    found: Samples = np.sqrt(np.mean(frames**2, axis=1) + 1e-12)
    return found


def levelled(samples: Samples, level_db: float = LEVEL_DB) -> Samples:
    """Bring the loud part of a voice to one level; peaks stay below full scale."""
    loud = np.percentile(levels(samples), 90)
    gain = min(10 ** (level_db / 20) / loud, 0.98 / np.abs(samples).max())
    louder: Samples = (samples * gain).astype(np.float32)
    return louder


def _sounding(samples: Samples) -> tuple[int, int]:
    """First and last sample of what is within 30 dB of the loud part: the rest is a recording's silence."""
    level = levels(samples)
    sounds = np.flatnonzero(level > np.percentile(level, 90) * 10 ** (-30 / 20))
    return int(sounds[0]) * FRAME, (int(sounds[-1]) + 1) * FRAME


def _voice_bounds(samples: Samples, words: Sequence[Word]) -> tuple[float, float]:
    """Return when the speaker begins and ceases to speak, in seconds.

    Readers leave up to half a second of breath and room before and behind their words, which is no speech:
    the first and last 60 ms within 15 dB of the loud part count, near the first and last word.
    """
    level = levels(samples)
    loud = level > np.percentile(level, 90) * 10 ** (-VOICE_DB / 20)
    loud[: max(0, int((words[0].from_s - LABEL_S) * 50))] = False
    loud[int((words[-1].to_s + LABEL_S) * 50) :] = False
    steady = np.flatnonzero(loud[:-2] & loud[1:-1] & loud[2:])
    return float(steady[0]) / 50, float(steady[-1] + 3) / 50


@functools.cache
def voices() -> tuple[Voice, ...]:
    """Return all voices that have words. Raises ConfigError where the recordings are missing."""
    words: dict[str, list[Word]] = {}
    try:
        with (FOLDER / "words.tsv").open(encoding="utf-8") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                word = Word(row["word"], float(row["from_s"]), float(row["to_s"]))
                words.setdefault(row["file"], []).append(word)
        with (FOLDER / "index.tsv").open(encoding="utf-8") as file:
            speakers = {row["file"]: row["speaker"] for row in csv.DictReader(file, delimiter="\t")}
    except OSError as error:
        raise ConfigError(
            f"{FOLDER}: {error.strerror}; `bench turns` needs the recordings of the project's repository"
        ) from None
    found = []
    for name, said in words.items():
        samples = levelled(read(FOLDER / name))
        first, last = _sounding(samples)
        shifted = tuple(Word(w.text, w.from_s - first / 16e3, w.to_s - first / 16e3) for w in said)
        samples = samples[first:last]
        begin_s, end_s = _voice_bounds(samples, shifted)
        found.append(Voice(name, speakers[name], samples, shifted, end_s, begin_s))
    return tuple(found)


@functools.cache
def interruptions(half: Half) -> tuple[Voice, ...]:
    """Return what callers of a half interrupt with: each recording, and the rest of it behind each pause."""
    found = []
    for voice in voices():
        if voice.half != half:
            continue
        starts = [0.0]
        for before, word in itertools.pairwise(voice.words):
            if word.from_s - before.to_s >= FRESH_PAUSE_S:
                starts.append((word.from_s + before.to_s) / 2)
        for number, start_s in enumerate(starts):
            if voice.end_s - start_s < INTERRUPTION_S:
                continue
            samples = voice.samples[round(start_s * SAMPLE_RATE_HZ) :]
            words = tuple(
                Word(w.text, w.from_s - start_s, w.to_s - start_s) for w in voice.words if w.to_s > start_s
            )
            begin_s, end_s = _voice_bounds(samples, words)
            found.append(Voice(f"{voice.name}+{number}", voice.speaker, samples, words, end_s, begin_s))
    return tuple(found)


# Between the sentences of a long turn speakers pause for this long: enough for a piece to be cut off.
BREATH_S = 0.5


def long_voice(half: Half, seconds: int) -> Voice:
    """Return one turn of about `seconds`: recordings of a half in a row, the last one cut to length."""
    samples: list[Samples] = []
    words: list[Word] = []
    at_s = 0.0
    for voice in itertools.cycle(v for v in voices() if v.half == half and v.end_s > 4):
        left_s = seconds - at_s
        kept = [word for word in voice.words if word.to_s <= left_s] or list(voice.words[:4])
        end_s = min(kept[-1].to_s, voice.end_s)
        words += [Word(word.text, word.from_s + at_s, word.to_s + at_s) for word in kept]
        part = voice.samples[: round(end_s * SAMPLE_RATE_HZ)]
        if len(kept) < len(voice.words) or left_s - end_s - BREATH_S < 2.0:
            return Voice(
                f"{seconds} s", voice.speaker, np.concatenate([*samples, part]), tuple(words), at_s + end_s
            )
        samples += [part, np.zeros(round(BREATH_S * SAMPLE_RATE_HZ), np.float32)]
        at_s += len(part) / SAMPLE_RATE_HZ + BREATH_S
    raise AssertionError("a cycle does not end")


@functools.cache
def murmurs() -> tuple[Voice, ...]:
    """Return the synthetic murmurs; the last part of a file's name is what it says."""
    found = []
    for path in sorted(FOLDER.glob("murmur-*.flac")):
        text = path.stem.split("-", 3)[-1]
        text = VIETNAMESE.get(text, text)
        samples = levelled(read(path))
        end = len(samples) / 16e3
        found.append(Voice(path.name, path.stem.split("-")[2], samples, (Word(text, 0, end),), end))
    return tuple(found)


def with_hesitation(voice: Voice, at_word: int, pause_s: float) -> Voice:
    """Return the voice with a pause of this length in front of one of its words (a longer one stays)."""
    pause_s = max(0.0, pause_s - max(0.0, voice.words[at_word].from_s - voice.words[at_word - 1].to_s))
    cut = round((voice.words[at_word - 1].to_s + voice.words[at_word].from_s) / 2 * SAMPLE_RATE_HZ)
    # The quietest moment near the border of the words: there speakers do pause.
    near = range(max(FRAME, cut - 4 * FRAME), min(len(voice.samples) - FRAME, cut + 4 * FRAME), FRAME // 4)
    cut = min(near, key=lambda at: float(np.abs(voice.samples[at - FRAME // 2 : at + FRAME // 2]).mean()))
    silence = np.zeros(round(pause_s * SAMPLE_RATE_HZ), np.float32)
    fade = np.linspace(1, 0, FRAME // 2, dtype=np.float32)
    head, tail = voice.samples[:cut].copy(), voice.samples[cut:].copy()
    head[-len(fade) :] *= fade
    tail[: len(fade)] *= fade[::-1]
    words = tuple(
        w if at < at_word else Word(w.text, w.from_s + pause_s, w.to_s + pause_s)
        for at, w in enumerate(voice.words)
    )
    samples = np.concatenate([head, silence, tail])
    return Voice(voice.name, voice.speaker, samples, words, voice.end_s + pause_s, voice.begin_s)
