"""What the benchmark's callers send: a cycle of 8 s with 2.5 s of real speech, or a quiet room.

Frames are made into WebSocket messages once; all calls send the same ones.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from voicegw.audio.pcm import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_RATE_HZ
from voicegw.errors import ConfigError

CYCLE_FRAMES = 8_000 // 20
SPEECH_S = 2.5
# A quiet room at about -55 dBFS. Digital silence would be cheaper to judge than any telephone line.
ROOM_RMS = 58.0
# The project's own recording of a person ("go forward ten meters"); it is not part of the package.
RECORDING = Path(__file__).parents[2] / "tests" / "data" / "goforward.flac"

_Samples = npt.NDArray[np.int16]


def cycle(speech: Path | None) -> list[bytes]:
    """Return the frames of one cycle: speech first, then the room; without `speech` only the room.

    Raises ConfigError for a recording that cannot be used.
    """
    room = np.random.default_rng(1).normal(0, ROOM_RMS, CYCLE_FRAMES * FRAME_SAMPLES)
    samples = np.rint(room).astype(np.int16)
    if speech is not None:
        spoken = _loudest(speech)
        samples[: len(spoken)] = spoken
    pcm = samples.astype("<i2").tobytes()
    return [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES)]


def last_sound(frames: list[bytes]) -> int:
    """Return the index of the last frame that is 20 dB louder than the room: where the speech ends by ear."""
    levels = [np.sqrt(np.mean(np.frombuffer(f, "<i2").astype(np.float64) ** 2)) for f in frames]
    return max((at for at, level in enumerate(levels) if level > 10 * ROOM_RMS), default=0)


def _loudest(path: Path) -> _Samples:
    """The 2.5 s of a recording that hold the most sound."""
    try:
        pcm, rate = soundfile.read(path, dtype="int16")
    except (soundfile.SoundFileError, OSError) as error:
        raise ConfigError(f"{path}: {error}; name a recording of speech with --speech") from None
    length = int(SPEECH_S * SAMPLE_RATE_HZ)
    if rate != SAMPLE_RATE_HZ or pcm.ndim != 1 or len(pcm) < length:
        raise ConfigError(f"{path}: the benchmark wants at least {SPEECH_S} s of mono sound at 16 kHz")
    power = np.concatenate([[0.0], np.cumsum(pcm.astype(np.float64) ** 2)])
    start = int(np.argmax(power[length:] - power[:-length]))
    found: _Samples = pcm[start : start + length]
    return found


def message(opcode: int, payload: bytes) -> bytes:
    """Return a client's WebSocket message (RFC 6455 section 5.2), at most 64 kB.

    The mask is zero: it costs the server as much as any other to take off, and the client nothing to put on.
    It protects proxies from hostile web pages, and here is neither.
    """
    head = bytes([0x80 | opcode])
    if len(payload) < 126:
        head += bytes([0x80 | len(payload)])
    else:
        head += bytes([0x80 | 126]) + len(payload).to_bytes(2, "big")
    return head + bytes(4) + payload
