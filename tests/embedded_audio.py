"""Audio for tests of the embedded provider: the sample call cut into turns, and measures of sound."""

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

Samples = npt.NDArray[np.int16]

RATE_HZ = 16000
TESTS = Path(__file__).parent
SAMPLE_CALL = TESTS.parent / "samples" / "order-status.wav"
_FRAME = 320
# -50 dBFS: between the digital silence of the recording and its softest voice.
_VOICE_LEVEL = 100.0


def read(path: Path) -> Samples:
    """Return a 16 kHz mono file."""
    samples, rate = soundfile.read(path, dtype="int16")
    assert rate == RATE_HZ
    return np.asarray(samples, np.int16)


def wav(samples: Samples, rate_hz: int = RATE_HZ, container: str = "WAV") -> bytes:
    """Return samples as a file in memory."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format=container, subtype="PCM_16")
    return file.getvalue()


def level(samples: npt.NDArray[np.int16]) -> float:
    """Return the root mean square of samples, in units of one sample step."""
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))) if len(samples) else 0.0


def turns(samples: Samples, *, gap_s: float = 1.0) -> list[tuple[int, int]]:
    """Return begin and end (in samples) of the stretches of voice that gaps of `gap_s` separate."""
    loud = [i for i in range(0, len(samples), _FRAME) if level(samples[i : i + _FRAME]) > _VOICE_LEVEL]
    found: list[tuple[int, int]] = []
    for start in loud:
        if found and start - found[-1][1] < gap_s * RATE_HZ:
            found[-1] = (found[-1][0], start + _FRAME)
        else:
            found.append((start, start + _FRAME))
    return found
