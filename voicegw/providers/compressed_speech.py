"""MP3, Ogg (Opus, Vorbis) and FLAC to pcm at 16 kHz while they come: speech starts before its file is whole.

libsndfile reads files, not streams. What has come in whole frames or pages is decoded as a file of its own,
from its beginning each time when there is half as much again, and the new samples are passed on: three times
the work of decoding once, which takes about a millisecond a second of speech (Opus: five). Where a frame of
FLAC ends only its decoder knows; FLAC is decoded when it is whole.
"""

import io
import struct
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import soundfile

from voicegw.audio.pcm import SAMPLE_RATE_HZ
from voicegw.audio.resample import Resampler

# The first try: a quarter of a second of MP3 at 48 kbit/s. Each further one is due at half as much again.
FIRST_BYTES = 1_500
GROWTH = 1.5
# An MPEG frame is at most this long (layer III, 320 kbit/s at 32 kHz): where the next one must begin.
MPEG_FRAME_BYTES = 1441
_OGG_HEAD = 27
# Tags behind the last frame: https://id3.org/ID3v1, https://wiki.hydrogenaud.io/index.php?title=APEv2
_TAGS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"ID3")

Samples = npt.NDArray[np.int16]


class Undecodable(ValueError):
    """The bytes cannot be decoded."""


class CompressedReader:
    """Reads one answer of a kind: "MP3", "Ogg" or "FLAC"."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._data = bytearray()
        self._at = 0  # where the next frame or page begins
        self._units: list[bytes] = []  # whole ones
        self._unit_bytes = 0
        self._due = FIRST_BYTES
        self._torn = kind == "FLAC"  # no more units can be told: the rest is decoded when all is there
        self._passed = 0  # samples
        self._resampler: Resampler | None = None

    def __len__(self) -> int:
        return len(self._data)

    def push(self, data: bytes) -> bytes:
        """Take the next bytes; return pcm of what can be decoded by now, often nothing."""
        self._data += data
        if self._torn:
            return b""
        self._split()
        if self._unit_bytes < self._due:
            return b""
        self._due = int(self._unit_bytes * GROWTH)
        try:
            rate, samples = _decode(self._file())
        except soundfile.SoundFileError:
            # Headers alone are no file yet.
            return b""
        return self._new(rate, samples)

    def finish(self) -> Iterator[bytes]:
        """Yield the rest, at most a second at a time. Raises Undecodable."""
        whole = self._torn or not self._units or self._kind == "Ogg"
        try:
            rate, samples = _decode(bytes(self._data) if whole else self._file())
        except (soundfile.SoundFileError, ValueError) as error:
            raise Undecodable(f"{self._kind} that cannot be decoded") from error
        for start in range(self._passed, len(samples), rate):
            if pcm := self._new(rate, samples[: start + rate]):
                yield pcm
        if self._resampler is not None and (pcm := self._resampler.finish()):
            yield pcm

    def _new(self, rate: int, samples: Samples) -> bytes:
        """The samples behind those that were passed on, as pcm."""
        if self._resampler is None:
            self._resampler = Resampler(rate, SAMPLE_RATE_HZ)
        new, self._passed = samples[self._passed :], max(self._passed, len(samples))
        return self._resampler.push(new.astype("<i2").tobytes()) if len(new) else b""

    def _split(self) -> None:
        """Take whole frames or pages off what has come."""
        data = self._data
        if self._at == 0 and self._kind == "MP3" and data[:3] == b"ID3":
            if len(data) < 10:
                return
            # A length in four times seven bits: https://id3.org/id3v2.4.0-structure, 6.2
            self._at = 10 + sum(byte << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))
        while len(data) - self._at >= _OGG_HEAD:
            length = self._length_at(self._at)
            if length == 0:
                self._torn = not data.startswith(_TAGS, self._at)
                return
            if self._at + length > len(data):
                return
            unit = bytes(data[self._at : self._at + length])
            self._at += length
            if self._units or not _tells_of_the_file(unit):
                self._units.append(unit)
                self._unit_bytes += length

    def _length_at(self, at: int) -> int:
        """The length of the frame or page that begins there; 0 when none does."""
        data = self._data
        if self._kind == "MP3":
            return mpeg_frame_bytes(data[at : at + 4])
        if data[at : at + 4] != b"OggS":
            return 0
        # RFC 3533, 6: a table of lengths, whose own length stands in the last byte of the head.
        table = data[at + _OGG_HEAD : at + _OGG_HEAD + data[at + _OGG_HEAD - 1]]
        return _OGG_HEAD + data[at + _OGG_HEAD - 1] + sum(table)

    def _file(self) -> bytes:
        """What has come, as a file."""
        units = b"".join(self._units)
        return _counted(self._units[0], len(self._units)) + units if self._kind == "MP3" else units


def _decode(data: bytes) -> tuple[int, Samples]:
    """Return the rate and the samples, mixed to one channel. Raises SoundFileError."""
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        samples = file.read(dtype="int16", always_2d=True)
        mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1).astype(np.int16)
        return file.samplerate, mono


# MP3. ISO 11172-3, 2.4.1.3 and 2.4.2.3: kbit/s of layer III for MPEG 1, and for MPEG 2 and 2.5.
_KBITS = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
_RATES = (44100, 48000, 32000)


def mpeg_frame_bytes(head: bytes | bytearray) -> int:
    """Return the length of the MPEG audio frame of layer III that begins here; 0 when none does."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return 0
    version = head[1] >> 3 & 3  # 3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5
    bitrate, rate = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or bitrate in (0, 15) or rate == 3:
        return 0
    first = version == 3
    hertz = _RATES[rate] >> (0 if first else 1 if version == 2 else 2)
    return (144 if first else 72) * 1000 * _KBITS[0 if first else 1][bitrate] // hertz + (head[2] >> 1 & 1)


def _tells_of_the_file(frame: bytes) -> bool:
    """True for a frame without sound that counts those of the whole file, which is not there yet."""
    return any(mark in frame[:64] for mark in (b"Xing", b"Info", b"VBRI"))


def _counted(first: bytes, frames: int) -> bytes:
    """Return a frame that says how many follow: without it their number is guessed from their first length.

    Behind the side information "Xing", the flag that there is a count, and the count:
    http://gabriel.mp3-tech.org/mp3infotag.html
    """
    head = bytearray(first[:4])
    head[1] |= 1  # no checksum
    head[2] = head[2] & 0x0D | 5 << 4  # room for the count, no padding
    stereo, mpeg1 = head[3] >> 6 != 3, head[1] >> 3 & 3 == 3
    side = (32 if stereo else 17) if mpeg1 else (17 if stereo else 9)
    told = bytes(head) + bytes(side) + b"Xing" + struct.pack(">II", 1, frames)
    return told.ljust(mpeg_frame_bytes(head), b"\0")
