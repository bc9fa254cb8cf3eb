"""Text to speech: one sentence in, pcm out while it is being made, by `/audio/speech`.

Knows nothing of calls or pacing. https://platform.openai.com/docs/api-reference/audio/createSpeech
"""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Iterator
from typing import Any

from voicegw.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE_HZ
from voicegw.audio.trim import Trimmer
from voicegw.config import ProviderSettings
from voicegw.errors import ProviderError
from voicegw.providers.http import ByteStreams
from voicegw.providers.speech_cache import SpeechCache
from voicegw.providers.speech_format import NotSpeech, SpeechReader
from voicegw.providers.upstream import Answer, Upstream, json_bytes

log = logging.getLogger(__name__)

# Asked for in this order: pcm is there at its first byte. A server that refuses one by name is asked for the
# next from then on.
_FORMATS = ("pcm", "wav", "mp3")
# Speech runs at about 15 letters a second. Outside this range, for a text that is long enough to tell, the
# rate of raw pcm is probably set wrong, or the answer is cut short.
_LETTERS_A_SECOND = (6.0, 32.0)
_LONG_ENOUGH = 30
# No tongue and no setting of the rate is that fast: the answer was cut short, though it ended in good order.
_CUT_LETTERS_A_SECOND = 100.0
# The same mistake comes with every sentence of every call.
_WARN_EVERY_S = 600.0
# A piece of a kept sentence: as much as a network read brings.
_PIECE_BYTES = 32_000


class TextToSpeech:
    """A speech endpoint. Safe for many calls at once."""

    def __init__(self, settings: ProviderSettings, streams: ByteStreams, cache_bytes: int = 0) -> None:
        """`cache_bytes`: memory for short sentences that were said before."""
        self._upstream = Upstream("tts", settings, streams)
        self._format = 0
        self.cache = SpeechCache(cache_bytes)
        self._warned_at = -_WARN_EVERY_S

    async def speak(self, text: str, *, voice: str, speed: float = 1.0) -> AsyncGenerator[bytes, None]:
        """Speak `text`; yield pcm (16 kHz) as it comes, each piece whole samples and not empty.

        Silence at both ends is trimmed. Raises ProviderError, also half-way; anything that is not audio is
        an error, never noise. An answer without any sound is an error unless `text` has nothing to say (no
        letter, no digit). Close the generator (`contextlib.aclosing`) when leaving it early: that closes
        the connection.
        """
        key = (voice, speed, text)
        if (kept := self.kept(text, voice=voice, speed=speed)) is not None:
            for pcm in kept:
                yield pcm
            return
        keeps = self.cache.takes(key)
        speech = bytearray()  # only what is going to be kept
        n_bytes = 0
        async with await self._open(text, voice, speed) as answer:
            pcm_hz = _rate_of(answer) or self._upstream.settings.pcm_hz
            reader = SpeechReader(pcm_hz, answer.content_type)
            trimmer = Trimmer()
            try:
                while data := await answer.read():
                    if (pcm := reader.push(data)) and (pcm := trimmer.push(pcm)):
                        n_bytes += len(pcm)
                        if keeps:
                            speech += pcm
                        yield pcm
                for pcm in _rest(reader, trimmer):
                    n_bytes += len(pcm)
                    if keeps:
                        speech += pcm
                    yield pcm
                    # Decoding a whole file is cut into steps: other calls have frames to send.
                    await asyncio.sleep(0)
            except NotSpeech as error:
                raise answer.bad(str(error)) from error
            if not trimmer.sounded and any(map(str.isalnum, text)):
                raise answer.bad("no sound came")
            if len(text) >= _LONG_ENOUGH and _seconds(n_bytes) * _CUT_LETTERS_A_SECOND * speed < len(text):
                raise answer.cut_short(f"{_seconds(n_bytes):.2f} s of speech for {len(text)} characters")
        if n_bytes:
            self._judge_length(text, speed, n_bytes)
        if speech:
            self.cache.keep(key, bytes(speech))

    def kept(self, text: str, *, voice: str, speed: float = 1.0) -> list[bytes] | None:
        """Return the speech of a sentence that was said before, in pieces: no request is needed for it."""
        pcm = self.cache.get((voice, speed, text))
        if pcm is None:
            return None
        return [pcm[at : at + _PIECE_BYTES] for at in range(0, len(pcm), _PIECE_BYTES)]

    async def _open(self, text: str, voice: str, speed: float) -> Answer:
        while True:
            asked = self._format
            fields: dict[str, Any] = {
                "model": self._upstream.model,
                "input": text,
                "voice": voice,
                "response_format": _FORMATS[asked],
            }
            if speed != 1.0:
                fields["speed"] = speed
            try:
                return await self._upstream.post("/audio/speech", json_bytes(fields))
            except ProviderError as error:
                refused = error.status in (400, 422) and (
                    "response_format" in error.message or _FORMATS[asked] in error.message
                )
                if not refused or asked == len(_FORMATS) - 1:
                    raise
                self._format = max(self._format, asked + 1)

    def _judge_length(self, text: str, speed: float, n_bytes: int) -> None:
        """Warn when the speech is far too short or too long for its text. No word of it is logged."""
        now = asyncio.get_running_loop().time()
        if len(text) < _LONG_ENOUGH or now < self._warned_at + _WARN_EVERY_S:
            return
        seconds = _seconds(n_bytes)
        slowest, fastest = (letters * speed for letters in _LETTERS_A_SECOND)
        if not len(text) / fastest <= seconds <= len(text) / slowest:
            self._warned_at = now
            log.warning(
                "tts: %.1f s of speech for %d characters is too %s to be right; is VOICEGW_TTS__PCM_HZ (%d) "
                "the rate of this provider's pcm, and does it speak the whole text?",
                seconds,
                len(text),
                "long" if seconds > len(text) / slowest else "short",
                self._upstream.settings.pcm_hz,
            )


def _seconds(n_bytes: int) -> float:
    return n_bytes / SAMPLE_BYTES / SAMPLE_RATE_HZ


def _rate_of(answer: Answer) -> int:
    """Return the rate in a header such as `audio/pcm;rate=24000`, 0 if there is none.

    `audio/L16` should be big-endian (RFC 3551, 4.5.11), but speech servers that use it send what the others
    do; if one did not, its speech would be refused as noise.
    """
    found = re.search(r"\brate=\s*\"?(\d{4,6})\b", answer.content_parameters)
    return int(found[1]) if found and 8000 <= int(found[1]) <= 48000 else 0


def _rest(reader: SpeechReader, trimmer: Trimmer) -> Iterator[bytes]:
    for decoded in reader.finish():
        if pcm := trimmer.push(decoded):
            yield pcm
    if pcm := trimmer.finish():
        yield pcm
