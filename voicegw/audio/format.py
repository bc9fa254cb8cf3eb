"""The forms in which telephones carry sound, to pcm and back.

G.711 is ITU-T Rec. G.711; "L16" is 16-bit PCM, little-endian everywhere but in RFC 3551's own sense.
"""

import warnings
from dataclasses import dataclass
from typing import Literal, Protocol

from voicegw.audio.live import LiveResampler
from voicegw.audio.pcm import FRAME_MS, SAMPLE_BYTES, SAMPLE_RATE_HZ

with warnings.catch_warnings():
    # Part of the standard library up to Python 3.12, the package audioop-lts from 3.13 on.
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

Codec = Literal["l16", "l16be", "ulaw", "alaw"]


class Encoder(Protocol):
    """Turns the pcm of one sentence into a carrier's codec."""

    def push(self, pcm: bytes) -> bytes:
        """Take pcm of any length; return what is encoded of it."""
        ...

    def finish(self) -> bytes:
        """Return the end of the sentence."""
        ...


class Decoder(Protocol):
    """Turns a carrier's codec into pcm."""

    def push(self, data: bytes) -> bytes:
        """Take encoded sound of any length; return pcm."""
        ...


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """A codec at a rate in Hertz, mono. `l16be` has its bytes the other way round."""

    codec: Codec = "l16"
    rate_hz: int = SAMPLE_RATE_HZ

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return SAMPLE_BYTES if self.codec in ("l16", "l16be") else 1

    @property
    def frame_bytes(self) -> int:
        """Bytes of 20 ms."""
        return self.rate_hz * FRAME_MS // 1000 * self.sample_bytes

    @property
    def silence(self) -> bytes:
        """One sample of silence."""
        return {"l16": b"\0\0", "l16be": b"\0\0", "ulaw": b"\xff", "alaw": b"\xd5"}[self.codec]

    def encoder(self) -> Encoder:
        """An encoder for one sentence."""
        return _Encoder(self)

    def decoder(self) -> Decoder:
        """A decoder for one direction of a call."""
        return _Decoder(self)


# The gateway's own form, which needs no work.
PCM = AudioFormat()


class _Encoder:
    def __init__(self, to: AudioFormat) -> None:
        self._codec = to.codec
        self._resampler = LiveResampler(SAMPLE_RATE_HZ, to.rate_hz)

    def push(self, pcm: bytes) -> bytes:
        return self._companded(self._resampler.push(pcm))

    def finish(self) -> bytes:
        return self._companded(self._resampler.finish())

    def _companded(self, linear: bytes) -> bytes:
        if self._codec == "ulaw":
            return audioop.lin2ulaw(linear, SAMPLE_BYTES)
        if self._codec == "alaw":
            return audioop.lin2alaw(linear, SAMPLE_BYTES)
        return audioop.byteswap(linear, SAMPLE_BYTES) if self._codec == "l16be" else linear


class _Decoder:
    def __init__(self, of: AudioFormat) -> None:
        self._codec = of.codec
        self._resampler = LiveResampler(of.rate_hz)
        self._rest = b""

    def push(self, data: bytes) -> bytes:
        if self._codec == "ulaw":
            return self._resampler.push(audioop.ulaw2lin(data, SAMPLE_BYTES))
        if self._codec == "alaw":
            return self._resampler.push(audioop.alaw2lin(data, SAMPLE_BYTES))
        if self._codec == "l16be":
            data = self._rest + data
            whole = len(data) & ~1
            self._rest = data[whole:]
            data = audioop.byteswap(data[:whole], SAMPLE_BYTES)
        return self._resampler.push(data)


def mono_of_stereo(data: bytes, *, left: float = 1.0, right: float = 0.0) -> bytes:
    """One channel of interleaved 16-bit stereo; what does not fill a pair of samples is dropped."""
    return audioop.tomono(data[: len(data) & ~3], SAMPLE_BYTES, left, right)


def quieter(pcm: bytes) -> bytes:
    """The same sound at half its level (6 dB less)."""
    return audioop.mul(pcm[: len(pcm) & ~1], SAMPLE_BYTES, 0.5)
