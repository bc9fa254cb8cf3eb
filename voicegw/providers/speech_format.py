"""What a speech endpoint really sent, told by its bytes, as pcm at 16 kHz.

Headers are often wrong: servers call pcm `audio/mpeg` and an error page `audio/pcm`. So the first bytes
decide: WAV, Ogg, MP3 and FLAC by their marks, text by being text; raw pcm has no mark and is what is left,
unless it sounds like no speech at all. Knows nothing of requests.
"""

from collections.abc import Iterator

import numpy as np

from voicegw.audio.pcm import SAMPLE_RATE_HZ
from voicegw.audio.resample import Resampler
from voicegw.audio.wav import WavError, WavReader
from voicegw.providers.compressed_speech import (
    MPEG_FRAME_BYTES,
    CompressedReader,
    Undecodable,
    mpeg_frame_bytes,
)

# Enough to tell text from pcm: no 64 bytes of sound are all printable characters.
SNIFF_BYTES = 64
# 30 s of MP3 at 320 kbit/s are 1.2 MB.
MOST_BYTES = 4 * 1024 * 1024

_COMPRESSED = {b"OggS": "Ogg", b"fLaC": "FLAC", b"ID3\x02": "MP3", b"ID3\x03": "MP3", b"ID3\x04": "MP3"}
# What cannot be read here, by its first bytes.
_UNREADABLE = {
    b"\x1aE\xdf\xa3": "WebM", b"FORM": "AIFF", b".snd": "AU", b"#!AM": "AMR", b"caff": "CAF",
    b"\x1f\x8b\x08": "gzip",
    b"PK\x03\x04": "ZIP", b"\x89PNG": "a PNG picture", b"%PDF": "a PDF file", b"GIF8": "a GIF picture",
}  # fmt: skip

# Noise: loud, and samples unlike their neighbours. Measured in windows of 512 samples (20 ms at 24 kHz), loud
# ones of a person and of espeak-ng at full scale and 8 to 48 kHz have a correlation of neighbours of 0.85 to
# 1.0; random bytes, other byte orders, floats and half samples read as pcm are all loud, with -0.6 to 0.76.
_NOISE_SAMPLES = 512
_NOISE_LEVEL = 0.3  # of full scale, RMS
_NOISE_LIKENESS = 0.7
# A word's loud hiss may look like noise for a window or two; no speech begins so.
_NOISE_WINDOWS = 3


class NotSpeech(ValueError):
    """The bytes are no audio that can be read; says in words what they are."""


class SpeechReader:
    """Reads one answer. `pcm_hz` is the rate of raw pcm; `content_type` counts where bytes say nothing."""

    def __init__(self, pcm_hz: int, content_type: str = "") -> None:
        self._pcm_hz = pcm_hz
        self._content_type = content_type
        self._head = b""
        self._known = False
        self._wav: WavReader | None = None
        self._compressed: CompressedReader | None = None
        self._name = ""
        self._raw: _RawCheck | None = None
        self._resampler: Resampler | None = None

    def push(self, data: bytes) -> bytes:
        """Take the next bytes; return pcm at 16 kHz: whole samples, often none. Raises NotSpeech."""
        if not self._known:
            self._head += data
            if not self._tell(last=False):
                return b""
            data, self._head = self._head, b""
        return self._decode(data)

    def finish(self) -> Iterator[bytes]:
        """Yield the rest, at most a second at a time (each is a millisecond of work). Raises NotSpeech."""
        if not self._known:
            self._tell(last=True)
            pcm, self._head = self._decode(self._head), b""
            if pcm:
                yield pcm
        if self._compressed is not None:
            try:
                yield from self._compressed.finish()
            except Undecodable as error:
                raise NotSpeech(str(error)) from error
            return
        if self._wav is not None:
            try:
                self._wav.finish()
            except WavError as error:
                raise NotSpeech(str(error)) from error
        if self._resampler is None:
            return
        if self._raw is not None:
            pcm = self._resampler.push(self._raw.finish())
            if pcm:
                yield pcm
        if pcm := self._resampler.finish():
            yield pcm

    def _tell(self, *, last: bool) -> bool:
        """Find out what the first bytes are; False if more are needed."""
        head = self._head
        if not last and len(head) < 12:
            return False
        if head[:4] == b"RIFF":
            self._wav = WavReader()
        elif (name := _COMPRESSED.get(head[:4])) is not None:
            self._begin_compressed(name)
        elif _looks_like_mpeg(head):
            # Raw pcm may begin so; the next frame tells.
            if not last and len(head) < MPEG_FRAME_BYTES + 4:
                return False
            if _is_mpeg(head) or self._content_type in ("audio/mpeg", "audio/mp3"):
                self._begin_compressed("MP3")
            else:
                self._begin_raw()
        elif _might_be_text(head):
            if not last and len(head) < SNIFF_BYTES:
                return False
            if head.strip():
                raise NotSpeech("text came in place of audio")
            self._begin_raw()
        else:
            self._begin_raw()
        self._known = True
        return True

    def _begin_compressed(self, name: str) -> None:
        self._compressed, self._name = CompressedReader(name), name

    def _begin_raw(self) -> None:
        for mark, name in _UNREADABLE.items():
            if self._head.startswith(mark):
                raise NotSpeech(f"{name} came in place of audio; voicegw reads pcm, WAV, Ogg, MP3 and FLAC")
        if self._head[4:8] == b"ftyp":
            raise NotSpeech("MP4 came in place of audio; voicegw reads pcm, WAV, Ogg, MP3 and FLAC")
        kind = self._content_type
        if kind.startswith(("text/", "image/", "video/")) or kind.endswith(("json", "xml", "html")):
            raise NotSpeech(f"{kind} came in place of audio")
        self._raw = _RawCheck()
        self._resampler = Resampler(self._pcm_hz, SAMPLE_RATE_HZ)

    def _decode(self, data: bytes) -> bytes:
        if self._compressed is not None:
            if len(self._compressed) + len(data) > MOST_BYTES:
                raise NotSpeech(f"{self._name} of more than 4 MB for one sentence")
            return self._compressed.push(data)
        if self._raw is not None:
            data = self._raw.push(data)
        elif self._wav is not None:
            try:
                data = self._wav.push(data)
            except WavError as error:
                raise NotSpeech(str(error)) from error
            if self._resampler is None:
                if self._wav.format is None:
                    return b""
                self._resampler = Resampler(self._wav.format.rate_hz, SAMPLE_RATE_HZ)
        assert self._resampler is not None
        return self._resampler.push(data) if data else b""


class _RawCheck:
    """Lets raw pcm through unless it is noise; holds the first 20 ms back until they are judged."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._passed = 0  # bytes
        self._noisy = 0  # windows of noise in a row
        self._judged = False
        self._rest = b""  # passed on, but less than a window: not judged yet

    def push(self, data: bytes) -> bytes:
        self._held += data
        if not self._passed and len(self._held) < 2 * _NOISE_SAMPLES:
            return b""
        return self._let_through()

    def finish(self) -> bytes:
        return self._let_through() if self._held else b""

    def _let_through(self) -> bytes:
        data = bytes(self._held)
        self._held.clear()
        self._passed += len(data)
        self._judge(self._rest + data)
        return data

    def _judge(self, data: bytes) -> None:
        whole = len(data) // (2 * _NOISE_SAMPLES)
        self._rest = data[whole * 2 * _NOISE_SAMPLES :]
        if not whole:
            return
        first, self._judged = not self._judged, True
        samples = np.frombuffer(data, "<i2", whole * _NOISE_SAMPLES).astype(np.float32)
        windows = samples.reshape(whole, _NOISE_SAMPLES) / 32768.0
        power = np.einsum("ij,ij->i", windows, windows)
        loud = power > _NOISE_LEVEL**2 * _NOISE_SAMPLES
        if not loud.any():
            self._noisy = 0
            return
        likeness = np.abs(np.einsum("ij,ij->i", windows[:, 1:], windows[:, :-1]))
        for noisy in loud & (likeness < _NOISE_LIKENESS * power):
            self._noisy = self._noisy + 1 if noisy else 0
            if self._noisy >= _NOISE_WINDOWS or (noisy and first):
                raise NotSpeech("noise came in place of speech; is it another format than 16-bit pcm?")
            first = False


def _might_be_text(head: bytes) -> bool:
    """Tell whether all bytes are printable UTF-8; the last character may be cut."""
    try:
        text = head[:SNIFF_BYTES].decode()
    except UnicodeDecodeError as error:
        if error.start < len(head[:SNIFF_BYTES]) - 3:
            return False
        text = head[: error.start].decode()
    return bool(text) and all(char.isprintable() or char in "\r\n\t\ufeff" for char in text)


def _looks_like_mpeg(head: bytes) -> bool:
    """Tell whether an MPEG audio frame of layer III begins here."""
    return mpeg_frame_bytes(head) > 0


def _is_mpeg(head: bytes) -> bool:
    """Tell whether a second frame begins where the first one ends."""
    length = mpeg_frame_bytes(head)
    return length > 0 and mpeg_frame_bytes(head[length:]) > 0
