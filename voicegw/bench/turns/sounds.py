"""What is on the line besides the caller's voice: noise, a telephone's codec, clicks, coughs, echo."""

import functools
from collections import deque
from collections.abc import Callable

import numpy as np
import soxr

from voicegw.bench.turns.speech import FOLDER, FRAME, LEVEL_DB, Samples, levelled, read, voices

CONDITIONS = (
    "clean",
    "pink 20 dB",
    "pink 10 dB",
    "pink 5 dB",
    "office 20 dB",
    "office 10 dB",
    "office 5 dB",
    "babble 20 dB",
    "G.711",
)
NOISE_S = 30
# Speakers who talk at once in the babble; they belong to the half that is not measured.
BABBLERS = 6


def _pink(seed: int = 7) -> Samples:
    """Noise whose power falls by 3 dB an octave."""
    n = NOISE_S * 16_000
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(0, 1, n))
    spectrum /= np.sqrt(np.maximum(1, np.arange(len(spectrum))))
    sound: Samples = np.fft.irfft(spectrum, n).astype(np.float32)
    return sound


def _babble(half: str) -> Samples:
    """Several people talking at once, none of them from `half`."""
    out = np.zeros(NOISE_S * 16_000, np.float32)
    others = [voice for voice in voices() if voice.half != half and voice.end_s > 4]
    for number, voice in enumerate(others[: BABBLERS * 2]):
        whole = np.tile(voice.samples, -(-len(out) // len(voice.samples)))[: len(out)]
        out += np.roll(whole, number * 31_337)
    return out


@functools.cache
def noise(condition: str, half: str) -> Samples | None:
    """Return 30 s of the noise of a condition, at its distance below the voices; None where there is none."""
    kind, _, rest = condition.partition(" ")
    if not rest:
        return None
    sound = (
        _pink()
        if kind == "pink"
        else _babble(half)
        if kind == "babble"
        else read(FOLDER / "noise-office.flac")
    )
    rms = np.sqrt(np.mean(sound.astype(np.float64) ** 2))
    # Voices are measured by their loud part, which is some 3 dB above their mean power.
    wanted = 10 ** ((LEVEL_DB - 3 - float(rest.split()[0])) / 20)
    quieter: Samples = (sound * (wanted / rms)).astype(np.float32)
    return quieter


def telephone(samples: Samples) -> Samples:
    """Return what is left of a frame's sound behind 8 kHz and mu-law (ITU-T G.711)."""
    import audioop

    low = np.clip(samples * 32768, -32768, 32767).astype("<i2").tobytes()
    found: Samples = (
        np.frombuffer(audioop.ulaw2lin(audioop.lin2ulaw(low, 2), 2), "<i2").astype(np.float32) / 32768
    )
    return found


def narrow(samples: Samples) -> Samples:
    """Return the sound without what a telephone's 8 kHz cut off."""
    found: Samples = soxr.resample(soxr.resample(samples, 16_000, 8_000), 8_000, 16_000)
    return found


def cough(seed: int) -> Samples:
    """A cough: one or two bursts of noise (synthetic)."""
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(int(rng.integers(1, 3))):
        n = int(rng.uniform(0.12, 0.22) * 16_000)
        burst = rng.normal(0, 1, n) * np.exp(-np.arange(n) / (n / 4)) * np.minimum(1, np.arange(n) / 160)
        parts += [np.convolve(burst, np.ones(4) / 4, "same"), np.zeros(int(rng.uniform(0.1, 0.2) * 16_000))]
    return levelled(np.concatenate(parts).astype(np.float32), LEVEL_DB + 3)


def keyboard(seed: int) -> Samples:
    """Two seconds of typing: clicks of 8 ms, 90 to 220 ms apart (synthetic)."""
    rng = np.random.default_rng(seed)
    out = np.zeros(32_000, np.float32)
    at = 0
    while at < len(out) - 400:
        out[at : at + 128] += (rng.normal(0, 0.12, 128) * np.exp(-np.arange(128) / 30)).astype(np.float32)
        at += int(rng.uniform(0.09, 0.22) * 16_000)
    return out


def burst(seed: int) -> Samples:
    """Two seconds of a louder stretch of the office's noise, rising over the line at once."""
    rng = np.random.default_rng(seed)
    office = read(FOLDER / "noise-office.flac")
    start = int(rng.integers(0, len(office) - 32_000))
    piece = office[start : start + 32_000].copy()
    fade = np.minimum(1, np.arange(len(piece)) / 1600).astype(np.float32)
    return levelled(piece * fade * fade[::-1], LEVEL_DB - 10)


class Echo:
    """What the agent says, coming back on the caller's line: quieter and later.

    Plays the agent's frames as a softphone does, one each 20 ms, and keeps what sounded.
    """

    def __init__(self, gain_db: float, delay_ms: int) -> None:
        self._gain = 10 ** (gain_db / 20)
        self._queue: deque[Samples] = deque()
        self._late: deque[Samples] = deque([np.zeros(FRAME, np.float32)] * (delay_ms // 20))
        self._paused = False

    def message(self, message: bytes | str) -> None:
        """The gateway has sent this."""
        if isinstance(message, bytes):
            for at in range(0, len(message), 2 * FRAME):
                frame = np.frombuffer(message[at : at + 2 * FRAME], "<i2").astype(np.float32) / 32768
                self._queue.append(frame)
        elif message.startswith('{"type":"pause"'):
            self._paused = True
        elif message.startswith('{"type":"resume"'):
            self._paused = False
        elif message.startswith('{"type":"clear"'):
            self._queue.clear()
            self._paused = False

    def frame(self) -> Samples:
        """What comes back in the next 20 ms."""
        sounds = self._queue.popleft() if self._queue and not self._paused else np.zeros(FRAME, np.float32)
        self._late.append(sounds)
        return self._late.popleft() * self._gain


class Line:
    """The caller's line: adds its noise and echo to each frame, and remembers what was sent."""

    def __init__(self, condition: str, half: str, seed: int, echo: Echo | None = None) -> None:
        self._noise = noise(condition, half)
        self._coded: Callable[[Samples], Samples] = telephone if condition == "G.711" else lambda s: s
        self._room = np.random.default_rng(seed)
        self._shift = seed * 7919 * FRAME
        self.echo = echo
        self.sent = bytearray()

    def __call__(self, position: int, frame: bytes) -> bytes:
        sound = np.frombuffer(frame, "<i2").astype(np.float32) / 32768
        # No line is silent: a room at -68 dBFS.
        sound = sound + self._room.normal(0, 0.0004, FRAME).astype(np.float32)
        if self._noise is not None:
            at = (position + self._shift) % (len(self._noise) - FRAME)
            sound = sound + self._noise[at : at + FRAME]
        if self.echo is not None:
            sound = sound + self.echo.frame()
        out = bytes(np.clip(self._coded(sound) * 32768, -32768, 32767).astype("<i2").tobytes())
        self.sent += out
        return out
