"""Make the clips of `voicegw/server/stand_ins/` from the `phrases.toml` there: synthetic voices, English by
flite, Vietnamese by espeak-ng.

Run it only to change a phrase: `python samples/make_stand_ins.py` (needs flite, and the
extra `embedded`). espeak-ng is under the GPL; what it speaks is its output and not under it (GPL-3.0,
section 2: "The output from running a covered work is covered by this License only if the output, given its
content, constitutes a covered work").
"""

import asyncio
import subprocess
import tempfile
import tomllib
from pathlib import Path

import numpy as np
import soundfile
import soxr

from voicegw.embedded.synthesis import OUTPUT_HZ, Synthesiser

HERE = Path(__file__).parent.parent / "voicegw" / "server" / "stand_ins"
RATE_HZ = 16000
# The clearest of flite's voices.
VOICE = "slt"
# Below this (-46 dBFS) at the ends is silence: a clip begins and ends with its words, and 40 ms of air.
QUIET, AIR = 160, RATE_HZ * 40 // 1000


def english(text: str) -> np.ndarray:
    """Return `text` as flite says it."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        subprocess.run(["flite", "-voice", VOICE, "-t", text, file.name], check=True)
        samples, rate = soundfile.read(file.name, dtype="int16")
    if rate != RATE_HZ:
        raise ValueError(f"flite's voice {VOICE} does not speak at {RATE_HZ} Hz")
    return np.asarray(samples)


async def vietnamese(engine: Synthesiser, text: str) -> np.ndarray:
    """Return `text` as espeak-ng says it."""
    pcm = b"".join([piece async for piece in engine.speak(text, voice="vi", speed=0.95)])
    return np.asarray(soxr.resample(np.frombuffer(pcm, np.int16), OUTPUT_HZ, RATE_HZ))


def trimmed(samples: np.ndarray) -> np.ndarray:
    """Cut silence off both ends, and bring the loudest sample to half of full scale."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > QUIET)
    cut = samples[max(0, loud[0] - AIR) : loud[-1] + AIR].astype(np.float64)
    return (cut * (16000 / np.abs(cut).max())).astype(np.int16)


async def main() -> None:
    """Write all files."""
    phrases = tomllib.loads((HERE / "phrases.toml").read_text(encoding="utf-8"))
    engine = Synthesiser()
    for language, texts in phrases.items():
        for name, text in texts.items():
            samples = english(text) if language == "en" else await vietnamese(engine, text)
            soundfile.write(HERE / f"{name}.{language}.flac", trimmed(samples), RATE_HZ, subtype="PCM_16")
    engine.close()


if __name__ == "__main__":
    asyncio.run(main())
