"""Audio files of any kind that libsndfile knows: read for recognition, written for speech."""

import io
import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from voicegw.embedded.errors import ApiError, invalid

HEARD_HZ = 16000
MAX_SECONDS = 60.0
# OpenAI's own limits: 25 MB, and no audio shorter than 0.1 s.
MAX_BYTES = 25 * 1024 * 1024
MIN_SECONDS = 0.1

Samples = npt.NDArray[np.int16]

# Response format -> libsndfile's container and coding.
_WHOLE = {"flac": ("FLAC", "PCM_16"), "opus": ("OGG", "OPUS"), "mp3": ("MP3", "MPEG_LAYER_III")}


def read_audio(data: bytes) -> Samples:
    """Return an audio file as mono 16-bit samples at `HEARD_HZ`; channels are averaged.

    Blocks for some milliseconds per second of audio: call it in a thread. Raises `ApiError` 400 for
    anything that libsndfile cannot read, and for audio too long or too short.
    """
    if len(data) > MAX_BYTES:
        raise ApiError(
            413, f"The file is larger than {MAX_BYTES} bytes.", param="file", code="file_too_large"
        )
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            rate: int = file.samplerate
            # Read no further than the limit: the header's own length is not to be trusted.
            most = int(MAX_SECONDS * rate) + 1
            sound: npt.NDArray[np.float32] = file.read(most, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, ValueError) as error:
        message = "The file is not audio that can be read here (wav, flac, mp3, ogg, opus; not m4a or webm)."
        raise invalid(message, "file", "invalid_audio") from error
    if len(sound) == most:
        raise invalid(f"The audio is longer than {MAX_SECONDS:g} s.", "file", "audio_too_long")
    if len(sound) < MIN_SECONDS * rate:
        raise invalid(f"The audio is shorter than {MIN_SECONDS:g} s.", "file", "audio_too_short")
    mono = sound.mean(axis=1)
    if rate != HEARD_HZ:
        mono = soxr.resample(mono, rate, HEARD_HZ)
    heard: Samples = np.clip(np.rint(mono * 32768), -32768, 32767).astype(np.int16)
    return heard


def write_audio(pcm: bytes, rate_hz: int, response_format: str) -> bytes:
    """Return 16-bit mono pcm as a whole file ("flac", "opus", "mp3"); blocks, call it in a thread."""
    container, coding = _WHOLE[response_format]
    file: Any = io.BytesIO()
    soundfile.write(file, np.frombuffer(pcm, dtype="<i2"), rate_hz, format=container, subtype=coding)
    written: bytes = file.getvalue()
    return written


def endless_wav_header(rate_hz: int) -> bytes:
    """Return the header of a 16-bit mono WAV whose length is not known yet.

    Both sizes are 0xFFFFFFFF, as in the WAV streams of OpenAI: readers take all that comes.
    """
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        0xFFFFFFFF,
        b"WAVE",
        b"fmt ",
        16,
        1,
        1,
        rate_hz,
        rate_hz * 2,
        2,
        16,
        b"data",
        0xFFFFFFFF,
    )
