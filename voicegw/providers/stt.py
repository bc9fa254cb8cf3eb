"""Speech to text: one utterance of pcm in, its words out, by `/audio/transcriptions`.

Knows nothing of calls or turns. https://platform.openai.com/docs/api-reference/audio/createTranscription
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from voicegw.audio.pcm import SAMPLE_RATE_HZ
from voicegw.audio.wav import wav_bytes
from voicegw.config import ProviderSettings
from voicegw.errors import ProviderError
from voicegw.providers.http import ByteStreams
from voicegw.providers.upstream import Answer, Upstream

# A boundary may stand in no part. This one is random, made at start, so nothing that is sent can foresee it.
_BOUNDARY = f"voicegw-{secrets.token_hex(12)}"
_FORM_TYPE = f"multipart/form-data; boundary={_BOUNDARY}"
_PART = f"--{_BOUNDARY}\r\nContent-Disposition: form-data; "
# Whisper answers with a language's English name where it was asked for with its code.
_LANGUAGE_CODES = {
    "vietnamese": "vi", "english": "en", "chinese": "zh", "japanese": "ja", "korean": "ko", "thai": "th",
    "french": "fr", "german": "de", "spanish": "es", "portuguese": "pt", "russian": "ru", "indonesian": "id",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a transcript as Whisper cut it, with what it says about its own certainty (None: not told).

    Times are seconds from the start of the utterance. High `no_speech_prob`, low `avg_logprob` or high
    `compression_ratio` mark words that nobody said.
    """

    start_s: float
    end_s: float
    text: str
    no_speech_prob: float | None = None
    avg_logprob: float | None = None
    compression_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Doubts:
    """What Whisper says about the certainty of a whole transcript; None: not told."""

    no_speech_prob: float | None = None
    avg_logprob: float | None = None
    compression_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Transcription:
    """What was said; "" where nothing was. `language` is a code such as "vi" where the provider tells it."""

    text: str
    language: str | None = None
    duration_s: float | None = None
    segments: tuple[Segment, ...] = ()
    request_id: str | None = None

    @property
    def doubts(self) -> Doubts:
        """The segments' doubts together: means by the length of the text, of repetition the worst."""
        return Doubts(
            _mean(self.segments, "no_speech_prob"),
            _mean(self.segments, "avg_logprob"),
            max(
                (s.compression_ratio for s in self.segments if s.compression_ratio is not None), default=None
            ),
        )


def _mean(segments: tuple[Segment, ...], name: str) -> float | None:
    told = [(getattr(s, name), max(1, len(s.text))) for s in segments if getattr(s, name) is not None]
    weight = sum(length for _, length in told)
    return sum(value * length for value, length in told) / weight if told else None


class SpeechToText:
    """A Whisper endpoint. Safe for many calls at once."""

    def __init__(self, settings: ProviderSettings, streams: ByteStreams) -> None:
        self._upstream = Upstream("stt", settings, streams)
        # gpt-4o-transcribe and some local servers know only `json`; found out at the first refusal.
        self._format = "verbose_json"

    async def transcribe(
        self, pcm: bytes, *, language: str | None = None, prompt: str | None = None
    ) -> Transcription:
        """Transcribe `pcm` (16 kHz).

        `language` is a code ("vi"); None lets the model find out. `prompt` steers the spelling. Raises
        ProviderError.
        """
        async with await self._open(wav_bytes(pcm, SAMPLE_RATE_HZ), language, prompt) as answer:
            body = await answer.read_all()
            if answer.content_type == "text/html":
                raise answer.bad("a web page came in place of a transcript; is the base URL right?")
            try:
                found = json.loads(body)
            except (ValueError, RecursionError) as error:
                raise answer.bad("a transcript that is no JSON") from error
            if isinstance(found, Mapping) and found.get("error"):
                raise self._upstream.failures.from_event(found, answer.request_id)
            if not isinstance(found, Mapping) or not isinstance(found.get("text"), str):
                raise answer.bad("a transcript without `text`")
            return _transcription(found, answer.request_id)

    async def _open(self, wav: bytes, language: str | None, prompt: str | None) -> Answer:
        while True:
            fields = {"model": self._upstream.model, "response_format": self._format}
            if language:
                fields["language"] = language
            if prompt:
                fields["prompt"] = prompt
            try:
                return await self._upstream.post("/audio/transcriptions", _form(fields, wav), _FORM_TYPE)
            except ProviderError as error:
                refused = error.status in (400, 422) and (
                    "response_format" in error.message or "verbose_json" in error.message
                )
                if not refused or self._format == "json":
                    raise
                self._format = "json"


def _form(fields: Mapping[str, str], wav: bytes) -> bytes:
    """Write a form with one file (RFC 7578)."""
    parts = [f'{_PART}name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()]
    head = f'{_PART}name="file"; filename="utterance.wav"\r\nContent-Type: audio/wav\r\n\r\n'
    return b"".join(
        [*(part.encode() for part in parts), head.encode(), wav, f"\r\n--{_BOUNDARY}--\r\n".encode()]
    )


def _transcription(found: Mapping[str, Any], request_id: str | None) -> Transcription:
    language = found.get("language")
    if isinstance(language, str):
        language = _LANGUAGE_CODES.get(language.lower(), language.lower()) or None
    segments = found.get("segments")
    return Transcription(
        found["text"].strip(),
        language if isinstance(language, str) else None,
        _number(found.get("duration")),
        tuple(_segment(s) for s in segments if isinstance(s, Mapping)) if isinstance(segments, list) else (),
        request_id,
    )


def _segment(found: Mapping[str, Any]) -> Segment:
    return Segment(
        _number(found.get("start")) or 0.0,
        _number(found.get("end")) or 0.0,
        str(found.get("text") or ""),
        _number(found.get("no_speech_prob")),
        _number(found.get("avg_logprob")),
        _number(found.get("compression_ratio")),
    )


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        # OpenAI has sent `duration` as a text.
        try:
            return float(value)
        except ValueError:
            return None
    return None
