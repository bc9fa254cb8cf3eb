"""The route `/v1/audio/speech` (https://platform.openai.com/docs/api-reference/audio/createSpeech)."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from voicegw.embedded.audio_file import endless_wav_header, write_audio
from voicegw.embedded.errors import invalid
from voicegw.embedded.requests import json_object, known_model, until_disconnect
from voicegw.embedded.spoken_text import is_vietnamese
from voicegw.embedded.synthesis import OUTPUT_HZ, VOICES, Synthesiser

MODELS = ["embedded-tts", "tts-1"]

# OpenAI's limit, and its voice names; these take their language from the text.
_MAX_CHARACTERS = 4096
_OPENAI_VOICES = (
    *("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage"),
    *("shimmer", "verse"),
)
_MEDIA_TYPES = {
    "pcm": f"audio/pcm;rate={OUTPUT_HZ}",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "opus": "audio/ogg",
    "mp3": "audio/mpeg",
}


@dataclass(frozen=True)
class SpeechRequest:
    """A checked request: `voice` is a key of `VOICES`, `speed` 1.0 is normal."""

    text: str
    voice: str
    response_format: str
    speed: float


class _Stream(StreamingResponse):
    """A streaming answer that closes its source when the client goes, not when garbage is collected."""

    body_iterator: AsyncGenerator[bytes]

    async def stream_response(self, send: Send) -> None:
        async with aclosing(self.body_iterator):
            await super().stream_response(send)


async def create_speech(request: Request) -> Response:
    """Answer with speech: pcm and wav as they are made, other formats as a whole file."""
    synthesiser: Synthesiser = request.app.state.synthesiser
    wanted = read_request(await json_object(request))
    pieces = synthesiser.speak(wanted.text, voice=wanted.voice, speed=wanted.speed)
    media_type = _MEDIA_TYPES[wanted.response_format]
    if wanted.response_format == "pcm":
        return _Stream(pieces, media_type=media_type)
    if wanted.response_format == "wav":
        return _Stream(_with_header(pieces), media_type=media_type)
    pcm = await until_disconnect(request, _collect(pieces))
    file = await asyncio.to_thread(write_audio, pcm, OUTPUT_HZ, wanted.response_format)
    return Response(file, media_type=media_type)


def read_request(body: dict[str, object]) -> SpeechRequest:
    """Check the body of a request. Raises `ApiError` 400 or 404, naming the parameter."""
    known_model(body.get("model"), MODELS)
    text = body.get("input")
    if not isinstance(text, str) or not text.strip():
        raise invalid("`input` must be a text that is not empty.", "input", "empty_input")
    if len(text) > _MAX_CHARACTERS:
        raise invalid(f"`input` is longer than {_MAX_CHARACTERS} characters.", "input", "string_too_long")
    response_format = body.get("response_format") or "mp3"
    if response_format not in _MEDIA_TYPES:
        raise invalid(f"`response_format` must be one of {', '.join(_MEDIA_TYPES)}.", "response_format")
    speed = body.get("speed", 1.0)
    if isinstance(speed, bool) or not isinstance(speed, int | float) or not 0.25 <= speed <= 4.0:
        raise invalid("`speed` must be a number from 0.25 to 4.0.", "speed")
    if body.get("stream_format") == "sse":
        raise invalid(
            "Speech as server-sent events is not supported; leave `stream_format` out.", "stream_format"
        )
    return SpeechRequest(text, choose_voice(body.get("voice"), text), str(response_format), float(speed))


def choose_voice(name: object, text: str) -> str:
    """Return the key of `VOICES` for a voice name; OpenAI's names follow the language of the text."""
    if isinstance(name, str):
        if (own := name.lower().replace("_", "-")) in VOICES:
            return own
        if name.lower() in _OPENAI_VOICES:
            return "vi" if is_vietnamese(text) else "en"
    known = ", ".join([*VOICES, *_OPENAI_VOICES])
    raise invalid(f"`voice` must be one of {known}.", "voice", "voice_not_found")


async def _with_header(pieces: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    async with aclosing(pieces):
        yield endless_wav_header(OUTPUT_HZ)
        async for piece in pieces:
            yield piece


async def _collect(pieces: AsyncGenerator[bytes]) -> bytes:
    async with aclosing(pieces):
        return b"".join([piece async for piece in pieces])
