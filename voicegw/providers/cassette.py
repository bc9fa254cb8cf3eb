"""Cassettes: provider answers with their latencies, what each answers, and the file of them.

A request is found again by what it means, not by its bytes: STT by the frames of audio in it (also when they
are cut elsewhere), the model by the caller's last words and the tools behind them, TTS by its text. So a
cassette still answers after a change of prompt, voice or turn-taking. `cassette_recorder.py` makes them,
`cassette_player.py` answers from them.
"""

import base64
import hashlib
import io
import itertools
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import numpy as np

from voicegw.audio.pcm import FRAME_BYTES, FRAME_SAMPLES
from voicegw.errors import ConfigError
from voicegw.providers.http import HttpRequest

FORMAT = 1
Route = Literal["stt", "llm", "tts", "other"]
_ROUTES: dict[str, Route] = {
    "/audio/transcriptions": "stt", "/chat/completions": "llm", "/audio/speech": "tts",
}  # fmt: skip
# Speech on a cassette is pcm at the rate in which providers send it.
SPEECH_HZ = 24_000


@dataclass(slots=True)
class Take:
    """One answer. `chunks`: seconds to wait before each piece, and the piece; the first waits for the head.

    `key` is what it answers; `frames` for STT the hashes of the audio's frames. `broken`: how the connection
    failed, if it did, and `code` the word for it.
    """

    route: Route
    key: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    chunks: list[tuple[float, bytes]] = field(default_factory=list)
    frames: tuple[int, ...] = ()
    broken: str = ""
    code: str = "connection"


def route_of(request: HttpRequest) -> Route:
    """Return which service a request is for."""
    path = urlsplit(request.url).path.rstrip("/")
    return next((route for end, route in _ROUTES.items() if path.endswith(end)), "other")


def key_of(request: HttpRequest) -> tuple[Route, str, tuple[int, ...]]:
    """Return a request's service, what it asks, and for STT the frames in it."""
    route = route_of(request)
    if route == "stt":
        frames = frame_hashes(_audio(request.body))
        digest = hashlib.sha256(np.asarray(frames, np.uint32).tobytes()).hexdigest()[:16]
        return route, digest, frames
    if route == "other":
        return route, f"{request.method} {urlsplit(request.url).path}", ()
    try:
        fields = json.loads(request.body)
        return route, _question(fields["messages"]) if route == "llm" else str(fields["input"]), ()
    except (KeyError, TypeError, ValueError):
        return route, "", ()


def _question(messages: Sequence[Mapping[str, Any]]) -> str:
    """The caller's last words, and behind them the tools that ran since."""
    tools: list[str] = []
    for message in reversed(messages):
        if message.get("role") == "user":
            said = message.get("content")
            if not isinstance(said, str):
                texts = (part.get("text", "") for part in said or () if isinstance(part, dict))
                said = " ".join(text for text in texts if text)
            return " | ".join([said, *reversed(tools)])
        if message.get("role") == "tool":
            tools.append("tool")
    return " | ".join(["", *tools])


def _audio(form: bytes) -> bytes:
    """The samples of the WAV in an upload."""
    at = form.find(b"data", max(0, form.find(b"RIFF")))
    if at < 0:
        return b""
    size = int.from_bytes(form[at + 4 : at + 8], "little")
    return form[at + 8 : at + 8 + size]


def frame_hashes(pcm: bytes) -> tuple[int, ...]:
    """Return a hash of each frame that is not all zero, in order.

    Of the samples' signs: quiet audio may be made louder on its way to the recogniser.
    """
    whole = len(pcm) - len(pcm) % FRAME_BYTES
    samples = np.frombuffer(pcm[:whole], "<i2").reshape(-1, FRAME_SAMPLES)
    sounding = np.count_nonzero(samples, axis=1).tolist()
    signs = np.packbits(samples > 0, axis=1)
    return tuple(zlib.crc32(row) for row, sounds in zip(signs, sounding, strict=True) if sounds)


# The first line of a cassette.
HEAD = json.dumps({"cassette": FORMAT})


def write_cassette(path: Path, takes: Sequence[Take], *, compact: bool = False) -> None:
    """Write a cassette: a line of JSON a take. `compact` keeps speech as Opus, a tenth in size and lossy.

    Raises OSError.
    """
    lines = [HEAD, *(take_line(take, compact=compact) for take in takes)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def take_line(take: Take, *, compact: bool = False) -> str:
    """Return a take as its line of a cassette. `compact` takes 10 ms a second of speech."""
    return json.dumps(_line(take, compact), ensure_ascii=False)


def read_cassette(path: Path) -> list[Take]:
    """Read a cassette. Raises ConfigError naming file and line."""
    number = 1
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        if json.loads(lines[0]).get("cassette") != FORMAT:
            raise ConfigError(f"{path}: not a cassette of format {FORMAT}")
        takes = []
        for line in lines[1:]:
            number += 1
            if line:
                takes.append(_take(json.loads(line)))
        return takes
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: line {number} is no take of a cassette") from error


def _line(take: Take, compact: bool) -> dict[str, Any]:
    line: dict[str, Any] = {"route": take.route, "key": take.key, "status": take.status}
    if take.headers:
        line["headers"] = take.headers
    if take.broken:
        line["broken"] = take.broken
        line["code"] = take.code
    if take.frames:
        line["frames"] = base64.b64encode(np.asarray(take.frames, "<u4").tobytes()).decode()
    delays = [round(delay * 1000, 1) for delay, _ in take.chunks]
    data = [piece for _, piece in take.chunks]
    if take.route == "tts" and "audio/pcm" in take.headers.get("content-type", "") and compact:
        body = b"".join(data)
        line |= {"opus": base64.b64encode(_opus(body)).decode(), "bytes": len(body)}
        line["chunks"] = [[delay, len(piece)] for delay, piece in zip(delays, data, strict=True)]
        return line
    try:
        line["chunks"] = [[d, piece.decode()] for d, piece in zip(delays, data, strict=True)]
    except UnicodeDecodeError:
        line["base64"] = base64.b64encode(b"".join(data)).decode()
        line["chunks"] = [[delay, len(piece)] for delay, piece in zip(delays, data, strict=True)]
    return line


def _take(line: dict[str, Any]) -> Take:
    frames = tuple(np.frombuffer(base64.b64decode(line.get("frames", "")), "<u4").tolist())
    chunks = line["chunks"]
    if "opus" in line or "base64" in line:
        body = _pcm(base64.b64decode(line["opus"])) if "opus" in line else base64.b64decode(line["base64"])
        body = body[: line.get("bytes", len(body))].ljust(line.get("bytes", 0), b"\0")
        ends = list(itertools.accumulate(size for _, size in chunks))
        starts = [0, *ends[:-1]]
        pieces = [(delay / 1000, body[a:b]) for (delay, _), a, b in zip(chunks, starts, ends, strict=True)]
    else:
        pieces = [(delay / 1000, text.encode()) for delay, text in chunks]
    headers = dict(line.get("headers", {}))
    broken, code = line.get("broken", ""), line.get("code", "connection")
    return Take(line["route"], line["key"], line["status"], headers, pieces, frames, broken, code)


def _opus(pcm24k: bytes) -> bytes:
    import soundfile

    file = io.BytesIO()
    samples = np.frombuffer(pcm24k[: len(pcm24k) // 2 * 2], "<i2")
    soundfile.write(file, samples, SPEECH_HZ, format="OGG", subtype="OPUS", compression_level=0.96)
    return file.getvalue()


def _pcm(opus: bytes) -> bytes:
    import soundfile

    samples, _ = soundfile.read(io.BytesIO(opus), dtype="int16")
    return bytes(np.asarray(samples, "<i2").tobytes())
