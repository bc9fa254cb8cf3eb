"""The route `/v1/audio/transcriptions` (https://platform.openai.com/docs/api-reference/audio)."""

import asyncio
import math
import zlib
from typing import Any

import numpy as np
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from voicegw.embedded.audio_file import HEARD_HZ, MAX_BYTES, Samples, read_audio
from voicegw.embedded.errors import ApiError, invalid
from voicegw.embedded.recogniser import HeardWord, Recogniser
from voicegw.embedded.requests import known_model, until_disconnect

MODELS = ["embedded-stt", "whisper-1"]

_FORMATS = ("json", "text", "verbose_json")
# -60 dBFS: the quietest voice on a telephone is far above it, and the decoder finds words in anything.
_SILENT_PEAK = 32768 * 10 ** (-60 / 20)
# A pause of this length starts a new segment.
_SEGMENT_PAUSE_S = 0.5


async def create_transcription(request: Request) -> Response:
    """Answer with the words in an uploaded file (English only, at most 60 s)."""
    recogniser: Recogniser = request.app.state.recogniser
    if int(request.headers.get("content-length", 0)) > MAX_BYTES + 65536:
        raise ApiError(
            413, f"The file is larger than {MAX_BYTES} bytes.", param="file", code="file_too_large"
        )
    async with request.form(max_files=1, max_fields=32) as form:
        known_model(form.get("model"), MODELS)
        response_format = _checked_format(form)
        _check_language(form)
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise invalid("`file` is missing.", "file")
        data = await file.read()
        granularities = form.getlist("timestamp_granularities[]")
    samples = await asyncio.to_thread(read_audio, data)
    words: list[HeardWord] = []
    if np.abs(samples.astype(np.int32)).max() >= _SILENT_PEAK:
        words = await until_disconnect(request, recogniser.recognise(samples.astype("<i2").tobytes()))
    text = " ".join(word.word for word in words)
    if response_format == "text":
        return PlainTextResponse(text + "\n")
    seconds = round(len(samples) / HEARD_HZ, 3)
    usage = {"type": "duration", "seconds": math.ceil(seconds)}
    if response_format == "json":
        return JSONResponse({"text": text, "usage": usage})
    verbose: dict[str, Any] = {
        "task": "transcribe",
        "language": "english",
        "duration": seconds,
        "text": text,
        "segments": segments(words, samples),
        "usage": usage,
    }
    if "word" in granularities:
        verbose["words"] = [{"word": w.word, "start": w.start, "end": w.end} for w in words]
    return JSONResponse(verbose)


def _checked_format(form: FormData) -> str:
    response_format = form.get("response_format") or "json"
    if response_format not in _FORMATS:
        raise invalid(f"`response_format` must be one of {', '.join(_FORMATS)}.", "response_format")
    return str(response_format)


def _check_language(form: FormData) -> None:
    language = form.get("language") or "en"
    if str(language).lower().replace("_", "-").split("-")[0] not in ("en", "english"):
        message = (
            f"This recogniser hears English only, not '{language}'; "
            "for another language set up a provider that has it."
        )
        raise invalid(message, "language", "language_not_supported")


def segments(words: list[HeardWord], samples: Samples) -> list[dict[str, Any]]:
    """Return the words in segments between pauses, in the shape of Whisper's.

    The decoder has no tokens, no temperature and no silence model of Whisper's kind, so `tokens` is empty,
    and two figures come from its word posteriors: `avg_logprob` is their mean natural logarithm,
    `no_speech_prob` the probability that not one of the words was spoken. Silence has one segment without
    words, with a `no_speech_prob` of 1.
    """
    groups: list[list[HeardWord]] = []
    for word in words:
        if groups and word.start - groups[-1][-1].end < _SEGMENT_PAUSE_S:
            groups[-1].append(word)
        else:
            groups.append([word])
    if not groups:
        return [_segment(0, "", 0.0, len(samples) / HEARD_HZ, 0.0, 1.0)]
    return [
        _segment(
            number,
            " " + " ".join(word.word for word in group),
            group[0].start,
            group[-1].end,
            sum(word.log_prob for word in group) / len(group),
            math.prod(1 - math.exp(min(word.log_prob, 0.0)) for word in group),
        )
        for number, group in enumerate(groups)
    ]


def _segment(
    number: int, text: str, start: float, end: float, log_prob: float, no_speech: float
) -> dict[str, Any]:
    return {
        "id": number,
        "seek": 0,
        "start": round(start, 2),
        "end": round(end, 2),
        "text": text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": round(log_prob, 4),
        "compression_ratio": round(_compression(text), 4),
        "no_speech_prob": round(no_speech, 4),
    }


def _compression(text: str) -> float:
    """Return how much a text repeats itself, as Whisper measures it."""
    data = text.encode()
    return len(data) / len(zlib.compress(data))
