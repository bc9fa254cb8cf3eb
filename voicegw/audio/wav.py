"""WAV in memory: wrapping pcm for a transcription request, reading a speech answer while it arrives.

Pure: bytes in, bytes out. Knows no file, no socket and no provider.
Format: "Multimedia Programming Interface and Data Specifications 1.0" (RIFF, WAVE), and
https://learn.microsoft.com/windows/win32/api/mmreg/ns-mmreg-waveformatextensible for format tag 0xFFFE.
"""

import struct
from dataclasses import dataclass

import numpy as np

_PCM = 1
_IEEE_FLOAT = 3
_EXTENSIBLE = 0xFFFE
# A header longer than this is not a header: real ones are 44 bytes, with LIST and fact chunks some hundreds.
_MAX_HEADER = 64 * 1024


class WavError(ValueError):
    """The bytes are no WAV that can be read here; the message says what was found."""


def wav_bytes(pcm: bytes, rate_hz: int = 16000, *, channels: int = 1) -> bytes:
    """Put a 44-byte WAV header before `pcm` (16-bit little-endian, interleaved; `rate_hz` Hertz)."""
    size = len(pcm)
    frame_bytes = 2 * channels
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF", 36 + size, b"WAVE",
        b"fmt ", 16, _PCM, channels, rate_hz, rate_hz * frame_bytes, frame_bytes, 16,
        b"data", size,
    )  # fmt: skip
    return header + pcm


@dataclass(frozen=True, slots=True)
class WavFormat:
    """What the header says: `rate_hz` Hertz, `channels`, `bits` a sample, and whether samples are floats."""

    rate_hz: int
    channels: int
    bits: int
    is_float: bool


class WavReader:
    """Read a WAV piece by piece.

    `push` returns what has become readable, as 16-bit mono at the file's own rate.     Channels are
    averaged. 8, 16, 24 and 32-bit integers and 32-bit floats are read. A length of 0 or 0xFFFFFFFF in the
    `data` header means "until the end", as streaming servers write it; chunks after the audio (LIST, id3)
    are left out where the length is known.
    """

    def __init__(self) -> None:
        self.format: WavFormat | None = None
        self._head = bytearray()
        self._rest = b""
        self._left: int | None = None
        self._seen_riff = False
        self._found: WavFormat | None = None

    def push(self, data: bytes) -> bytes:
        """Take the next bytes of the file; any split is fine.

        Raises WavError when the bytes are not a WAV, or of a kind that is not read here.
        """
        if self.format is None:
            self._head += data
            if not self._read_header():
                if len(self._head) > _MAX_HEADER:
                    raise WavError("no audio within the first 64 kB of the WAV")
                return b""
            data = bytes(self._head)
            self._head.clear()
        return self._samples(data)

    def finish(self) -> None:
        """Say that no more bytes come. Raises WavError when the header was never complete.

        Audio shorter than the header says is not an error here: the connection tells of a broken answer.
        """
        if self.format is None:
            raise WavError("the answer ends inside the WAV header")

    def _read_header(self) -> bool:
        """Consume complete header chunks from `_head`; True when the audio begins at its start."""
        head = self._head
        if not self._seen_riff:
            if len(head) < 12:
                return False
            if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
                raise WavError("not a WAV: no RIFF/WAVE at its start")
            del head[:12]
            self._seen_riff = True
        while len(head) >= 8:
            name = bytes(head[:4])
            size = int.from_bytes(head[4:8], "little")
            if name == b"data":
                if self._found is None:
                    raise WavError("WAV audio comes before its format")
                del head[:8]
                self.format = self._found
                self._left = None if size in (0, 0xFFFFFFFF) else size
                return True
            padded = size + (size & 1)
            if len(head) < 8 + padded:
                return False
            if name == b"fmt ":
                self._found = _format(bytes(head[8 : 8 + size]))
            del head[: 8 + padded]
        return False

    def _samples(self, data: bytes) -> bytes:
        fmt = self.format
        assert fmt is not None
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        if self._rest:
            data = self._rest + data
        frame_bytes = fmt.channels * fmt.bits // 8
        whole = len(data) - len(data) % frame_bytes
        self._rest = data[whole:]
        data = data[:whole]
        if fmt.bits == 16 and fmt.channels == 1:
            return data
        return _to_mono16(data, fmt)


def _format(body: bytes) -> WavFormat:
    if len(body) < 16:
        raise WavError("the WAV format chunk is too short")
    tag, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", body)
    if tag == _EXTENSIBLE and len(body) >= 26:
        tag = int.from_bytes(body[24:26], "little")
    readable = (tag == _PCM and bits in (8, 16, 24, 32)) or (tag == _IEEE_FLOAT and bits == 32)
    if not readable:
        raise WavError(f"WAV format {tag} with {bits} bits is not read here; ask for 16-bit PCM")
    if not 1 <= channels <= 8 or not 4000 <= rate_hz <= 192000:
        raise WavError(f"WAV with {channels} channels at {rate_hz} Hz makes no sense")
    return WavFormat(rate_hz, channels, bits, tag == _IEEE_FLOAT)


def _to_mono16(data: bytes, fmt: WavFormat) -> bytes:
    if fmt.is_float:
        samples = np.nan_to_num(np.frombuffer(data, "<f4").astype(np.float64)) * 32768.0
    elif fmt.bits == 8:
        samples = (np.frombuffer(data, np.uint8).astype(np.float64) - 128.0) * 256.0
    elif fmt.bits == 16:
        samples = np.frombuffer(data, "<i2").astype(np.float64)
    elif fmt.bits == 24:
        triples = np.frombuffer(data, np.uint8).reshape(-1, 3).astype(np.int32)
        samples = ((triples[:, 0] << 8 | triples[:, 1] << 16 | triples[:, 2] << 24) >> 16).astype(np.float64)
    else:
        samples = (np.frombuffer(data, "<i4") >> 16).astype(np.float64)
    if fmt.channels > 1:
        samples = samples.reshape(-1, fmt.channels).mean(axis=1)
    return np.clip(np.rint(samples), -32768, 32767).astype("<i2").tobytes()
