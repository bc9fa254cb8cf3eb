"""Make the recordings of the synthetic sample calls from their YAML files.

Run it only to change a recording: `python samples/make_samples.py [NAME...]` (needs flite, espeak-ng and
ffmpeg). Each turn's `say` is spoken at its `start`; where it then ends must be its `end` in the file.
"""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
import yaml

SAMPLES = Path(__file__).parent
RATE_HZ = 16_000
TAIL_S = 1.0
# Below this a synthesiser's lead and tail count as silence.
QUIET = 0.004
Sound = npt.NDArray[np.float64]


def speak(made: Mapping[str, Any], text: str) -> Sound:
    """Return `text` as the synthesiser says it, 16 kHz, without silence at the ends."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        if made["by"] == "flite":
            command = ["flite", "-voice", made.get("voice", "awb"), "-t", text, file.name]
        else:
            speed = str(made.get("speed") or 150)
            command = ["espeak-ng", "-v", made.get("voice", "vi"), "-s", speed, "-w", file.name, text]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        samples, rate_hz = soundfile.read(file.name)
    sound: Sound = soxr.resample(samples, rate_hz, RATE_HZ)
    loud = np.flatnonzero(np.abs(sound) > QUIET)
    return sound[loud[0] : loud[-1] + 1]


def noise(kind: str, seconds: float, seed: int) -> Sound:
    """Return a cough (a burst of coloured noise) or a knock (a decaying thud)."""
    n = round(seconds * RATE_HZ)
    t = np.arange(n) / RATE_HZ
    rng = np.random.default_rng(seed)
    if kind == "knock":
        thud: Sound = 0.5 * np.sin(2 * np.pi * 140 * t) * np.exp(-t * 40)
        return thud
    # A throat's resonances over breath: enough to set off a voice detector.
    breath = np.convolve(rng.normal(0, 1, n), np.ones(6) / 6, "same")
    throat = np.sign(np.sin(2 * np.pi * 95 * t)) * 0.6
    shape = np.minimum(1, t / 0.015) * np.exp(-t * 9)
    cough: Sound = 0.35 * shape * (breath + throat * np.abs(breath))
    return cough


def sound_of(description: Mapping[str, Any]) -> Sound:
    """Return the caller's whole recording."""
    made = description["made"]
    turns = [turn for turn in description["turns"] if "say" in turn]
    parts: list[tuple[float, Sound]] = []
    for number, turn in enumerate(turns):
        if turn.get("sound"):
            parts.append((turn["start"], noise(turn["sound"], turn["end"] - turn["start"], number)))
            continue
        pieces = turn.get("parts") or [[turn["start"], turn["end"], turn["say"]]]
        # A part may be in another language or voice: "vi: xin chào".
        for start, _, text in pieces:
            voice = made
            if text.startswith("vi: "):
                voice, text = {"by": "espeak-ng", "voice": "vi", "speed": 150}, text[4:]
            parts.append((start, speak(voice, text)))
    length = max((round(start * RATE_HZ) + len(part) for start, part in parts), default=RATE_HZ)
    sound: Sound = np.zeros(length + round(TAIL_S * RATE_HZ))
    for start, part in parts:
        at = round(start * RATE_HZ)
        sound[at : at + len(part)] += part
    sound *= 10 ** (made.get("gain_db", 0.0) / 20)
    if made.get("hiss_db") is not None:
        level = 10 ** (made["hiss_db"] / 20)
        sound += np.random.default_rng(7).normal(0, level, len(sound))
    return np.clip(sound, -1, 1)


def write(path: Path, sound: Sound) -> None:
    """Write a recording in the format of its name; `.wav` is 8 kHz mu-law, as telephones have it."""
    match path.suffix:
        case ".wav":
            soundfile.write(path, soxr.resample(sound, RATE_HZ, 8000), 8000, subtype="ULAW")
        case ".opus":
            soundfile.write(path, sound, RATE_HZ, format="OGG", subtype="OPUS")
        case ".m4a":
            with tempfile.NamedTemporaryFile(suffix=".wav") as file:
                soundfile.write(file.name, sound, RATE_HZ, subtype="PCM_16")
                subprocess.run(
                    ["ffmpeg", "-y", "-loglevel", "error", "-i", file.name, "-b:a", "48k", str(path)],
                    check=True,
                )
        case _:
            soundfile.write(path, sound, RATE_HZ, subtype="PCM_16" if path.suffix == ".flac" else None)


def main(names: list[str]) -> None:
    """Make the named recordings, or all that are synthetic."""
    for path in sorted(SAMPLES.glob("*.yaml")):
        description = yaml.safe_load(path.read_text(encoding="utf-8"))
        made = description.get("made")
        if not made or made["by"] == "silence" or (names and path.stem not in names):
            continue
        target = SAMPLES / description.get("audio", f"{path.stem}.flac")
        write(target, sound_of(description))
        print(target.name)


if __name__ == "__main__":
    main(sys.argv[1:])
