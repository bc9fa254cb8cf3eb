"""Text to speech: one sentence in, pcm out while it is being made, by `/audio/speech`.

Knows nothing of calls or pacing. https://platform.openai.com/docs/api-reference/audio/createSpeech
"""

from collections.abc import AsyncGenerator
from typing import Any, Literal

from ..audio.pcm import SAMPLE_RATE_HZ
from ..audio.resample import Resampler
from ..audio.wav import WavError, WavReader
from ..config import ProviderSettings
from ..errors import ProviderError
from .http import ByteStreams
from .upstream import Answer, Upstream, json_bytes

# First bytes by which a WAV is told from raw pcm.
_SNIFF_BYTES = 12
# What servers send although pcm was asked for, by its first bytes.
_FOREIGN = {b"OggS": "Ogg", b"fLaC": "FLAC", b"ID3\x03": "MP3", b"ID3\x04": "MP3", b"\x1aE\xdf\xa3": "WebM"}


class TextToSpeech:
    """A speech endpoint. Safe for many calls at once."""

    def __init__(self, settings: ProviderSettings, streams: ByteStreams) -> None:
        self._upstream = Upstream("tts", settings, streams)
        # Servers without raw pcm refuse it by name; they are asked for WAV from then on.
        self._format: Literal["pcm", "wav"] = "pcm"

    async def speak(self, text: str, *, voice: str, speed: float = 1.0) -> AsyncGenerator[bytes, None]:
        """Speak `text`; yield pcm (16 kHz) as it comes, each piece whole samples and not empty.

        Raises ProviderError, also half-way; anything that is not audio is an error, never noise. An answer
        without audio is an error unless `text` has nothing to say (no letter, no digit). Close the
        generator (`contextlib.aclosing`) when leaving it early: that closes the connection.
        """
        async with await self._open(text, voice, speed) as answer:
            decoder = _Decoder(answer, self._upstream.settings.pcm_hz)
            spoke = False
            while data := await answer.read():
                if pcm := decoder.push(data):
                    spoke = True
                    yield pcm
            if pcm := decoder.finish():
                spoke = True
                yield pcm
            if not spoke and any(map(str.isalnum, text)):
                raise answer.bad("no audio came")

    async def _open(self, text: str, voice: str, speed: float) -> Answer:
        while True:
            fields: dict[str, Any] = {
                "model": self._upstream.model,
                "input": text,
                "voice": voice,
                "response_format": self._format,
            }
            if speed != 1.0:
                fields["speed"] = speed
            try:
                return await self._upstream.post("/audio/speech", json_bytes(fields))
            except ProviderError as error:
                refused = error.status in (400, 422) and (
                    "response_format" in error.message or "pcm" in error.message
                )
                if not refused or self._format == "wav":
                    raise
                self._format = "wav"


class _Decoder:
    """From the bytes of an answer to pcm at 16 kHz, whatever the answer turns out to be."""

    def __init__(self, answer: Answer, pcm_hz: int) -> None:
        self._answer = answer
        self._pcm_hz = pcm_hz
        self._head = b""
        self._known = False
        self._wav: WavReader | None = None
        self._resampler: Resampler | None = None
        kind = answer.content_type
        if kind.startswith("text/") or kind.endswith(("json", "xml")):
            raise answer.bad(f"{kind} came in place of audio")

    def push(self, data: bytes) -> bytes:
        if not self._known:
            self._head += data
            if len(self._head) < _SNIFF_BYTES:
                return b""
            data = self._begin()
        return self._decode(data)

    def finish(self) -> bytes:
        pcm = b""
        if not self._known:
            # Shorter than a WAV header: raw samples, if anything.
            pcm = self._decode(self._begin())
        if self._wav is not None:
            try:
                self._wav.finish()
            except WavError as error:
                raise self._answer.bad(str(error)) from error
        return pcm + self._resampler.finish() if self._resampler else pcm

    def _begin(self) -> bytes:
        """Tell from the first bytes what comes; return them for decoding."""
        head, self._head = self._head, b""
        self._known = True
        if head[:4] == b"RIFF":
            self._wav = WavReader()
            return head
        foreign = _FOREIGN.get(head[:4]) or ("MP3" if self._looks_like_mp3(head) else None)
        if foreign:
            raise self._answer.bad(f"{foreign} came although pcm was asked for; voicegw reads pcm and WAV")
        if head.lstrip()[:2] in (b'{"', b"<!", b"<h", b"<?") or head.lstrip()[:3] == b"{\n ":
            raise self._answer.bad("text came in place of audio")
        self._resampler = Resampler(self._pcm_hz, SAMPLE_RATE_HZ)
        return head

    def _looks_like_mp3(self, head: bytes) -> bool:
        # An MPEG audio frame header (ISO 11172-3, 2.4.1.3): sync, layer III, a valid bitrate and rate.
        # Believed only with its content type, since pcm may begin so; and many servers put that type on pcm
        # as well.
        return (
            self._answer.content_type in ("audio/mpeg", "audio/mp3")
            and head[0] == 0xFF
            and head[1] & 0xE6 == 0xE2
            and head[2] >> 4 not in (0x0, 0xF)
            and head[2] & 0x0C != 0x0C
        )

    def _decode(self, data: bytes) -> bytes:
        if self._wav is not None:
            try:
                data = self._wav.push(data)
            except WavError as error:
                raise self._answer.bad(str(error)) from error
            if self._resampler is None:
                if self._wav.format is None:
                    return b""
                self._resampler = Resampler(self._wav.format.rate_hz, SAMPLE_RATE_HZ)
        assert self._resampler is not None
        return self._resampler.push(data) if data else b""
