"""Make the synthetic murmurs of this folder: by flite (English) and espeak-ng (Vietnamese)."""

import subprocess
import tempfile
from pathlib import Path

import soundfile
import soxr

HERE = Path(__file__).parent
ENGLISH = {"uh-huh": "uh huh", "yeah": "yeah", "okay": "okay", "right": "right"}
VIETNAMESE = {"vang": "vâng", "da": "dạ", "u": "ừ"}


def made(command: list[str], name: str) -> None:
    """Run a synthesiser that writes a WAV file; keep its sound without the silence around it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.wav"
        subprocess.run([*command, str(path)], check=True)
        samples, rate = soundfile.read(path, dtype="float32")
    samples = soxr.resample(samples, rate, 16_000)
    loud = abs(samples) > 0.02 * abs(samples).max()
    first, last = loud.argmax(), len(loud) - loud[::-1].argmax()
    soundfile.write(HERE / f"murmur-{name}.flac", samples[first:last], 16_000, subtype="PCM_16")


def main() -> None:
    """Make all."""
    for voice in ("slt", "rms", "awb"):
        for name, text in ENGLISH.items():
            made(["flite", "-voice", voice, "-t", text, "-o"], f"en-{voice}-{name}")
    for name, text in VIETNAMESE.items():
        made(["espeak-ng", "-v", "vi", text, "-w"], f"vi-espeak-{name}")


if __name__ == "__main__":
    main()
