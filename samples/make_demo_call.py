"""Make `order-status.wav`, the caller of `make demo`, with the speech synthesiser flite.

Run it only to change the recording: `python samples/make_demo_call.py` (needs flite: apt-get install
flite). The words of the turns are in `order-status.yaml`; the same flite gives the same file.
"""

import re
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

SAMPLES = Path(__file__).parent
RATE_HZ = 16000
# `voicegw call` splits a recording at silences of 1 s or more and waits for the agent in each.
LEAD_S, GAP_S, TAIL_S = 0.5, 1.8, 1.0
# Of flite's voices the one that the embedded recogniser hears best.
VOICE = "awb"


def turns(description: str) -> list[str]:
    """Return the texts of the turns in the description file, in order."""
    return re.findall(r'^  - say: "([^"]+)"$', description, re.MULTILINE)


def speak(text: str) -> bytes:
    """Return `text` as flite says it, 16-bit mono pcm at 16 kHz, without silence at the ends."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        subprocess.run(["flite", "-voice", VOICE, "-t", text, file.name], check=True)
        with wave.open(file.name) as sound:
            if (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) != (RATE_HZ, 1, 2):
                raise ValueError(f"flite's voice {VOICE} does not give 16-bit mono at {RATE_HZ} Hz")
            pcm: bytes = sound.readframes(sound.getnframes())
            return pcm


def silence(seconds: float) -> bytes:
    """Return pcm of digital silence."""
    return bytes(2 * round(RATE_HZ * seconds))


def main(recording: Path = SAMPLES / "order-status.wav") -> None:
    """Write the recording, by default beside this script."""
    description = (SAMPLES / "order-status.yaml").read_text(encoding="utf-8")
    parts = [silence(LEAD_S)]
    for text in turns(description):
        parts += [speak(text), silence(GAP_S)]
    parts[-1] = silence(TAIL_S)
    with wave.open(str(recording), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(b"".join(parts))


if __name__ == "__main__":
    main(*(Path(name) for name in sys.argv[1:2]))
