"""Recorded provider answers with their latencies: a recorder and a player at the byte-stream seam.

A request is found again by what it means, not by its bytes: STT by the frames of audio in it (also when they
are cut elsewhere), the model by the caller's last words and the tools behind them, TTS by its text. So a
cassette still answers after a change of prompt, voice or turn-taking; how well is counted in `Matches`.
"""

import asyncio
import base64
import functools
import hashlib
import io
import itertools
import json
import re
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

import httpx2
import numpy as np

from voicegw.audio.pcm import FRAME_BYTES, FRAME_SAMPLES
from voicegw.errors import ConfigError
from voicegw.providers.http import ByteStreams, ConnectionFailed, HttpRequest, HttpResponse

FORMAT = 1
Route = Literal["stt", "llm", "tts", "other"]
_ROUTES: dict[str, Route] = {
    "/audio/transcriptions": "stt", "/chat/completions": "llm", "/audio/speech": "tts",
}  # fmt: skip
# From this share of common frames on, two utterances are the same one, cut a little differently.
_SAME = 0.85
# An utterance of which at least so much was heard before is put together from what was understood then.
_KNOWN = 0.6
# Below this likeness of the caller's last words an answer belongs to another question.
_LIKE = 0.5
_HEADERS = ("content-type", "retry-after", "x-request-id")
# Of speech that is on no cassette only the length is known: about 15 characters a second.
_CHAR_S = 1 / 15
_SPEECH_HZ = 24_000
_WORD = re.compile(r"\w+")


@dataclass(slots=True)
class Take:
    """One answer. `chunks`: seconds to wait before each piece, and the piece; the first waits for the head.

    `key` is what it answers; `frames` for STT the hashes of the audio's frames. `broken`: how the connection
    failed, if it did.
    """

    route: Route
    key: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    chunks: list[tuple[float, bytes]] = field(default_factory=list)
    frames: tuple[int, ...] = ()
    broken: str = ""


@dataclass(slots=True)
class Matches:
    """How the requests of a call were answered: `near` by a neighbour, `missed` not at all."""

    exact: int = 0
    near: int = 0
    missed: int = 0
    details: list[str] = field(default_factory=list)


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


class CassettePlayer:
    """Answers requests from takes, at the recorded pace, on whatever clock the loop has."""

    def __init__(self, takes: Sequence[Take]) -> None:
        self.matches = Matches()
        self._takes: dict[tuple[Route, str], list[Take]] = {}
        self._used: dict[tuple[Route, str], int] = {}
        self._order = list(takes)
        for take in takes:
            self._takes.setdefault((take.route, take.key), []).append(take)

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Answer from the cassette; see `ByteStreams.send`."""
        take = self.find(request)
        delay = take.chunks[0][0] if take.chunks else 0.0
        if delay:
            await asyncio.sleep(delay)
        if take.broken and not take.chunks:
            raise ConnectionFailed(take.broken)
        return _Playing(take)

    async def aclose(self) -> None:
        """Do nothing: there is no connection."""

    def find(self, request: HttpRequest) -> Take:
        """Return the answer to a request: the recorded one, a neighbour's, or one that says it is missing."""
        route, key, frames = key_of(request)
        exact = self._next(route, key)
        if exact is not None:
            self.matches.exact += 1
            return exact
        near = self._near(route, key, frames)
        if near is not None:
            self.matches.near += 1
            return near
        if route == "other":
            return _json_take(route, key, 404, {"error": {"message": "not on the cassette"}})
        if route == "tts":
            # Its length is about known: that does for all but the ear.
            self.matches.near += 1
            return Take(route, key, 200, {"content-type": "audio/pcm"}, [(0.2, _stand_in(key))])
        self.matches.missed += 1
        if len(self.matches.details) < 20:
            self.matches.details.append(f"{route}: {key[:80]}")
        if route == "stt":
            return _json_take(route, key, 200, {"text": ""})
        return _json_take(route, key, 404, {"error": {"message": "not on the cassette", "code": "no_take"}})

    def _next(self, route: Route, key: str) -> Take | None:
        """The answers to a question that was asked again come in their order; the last one stays."""
        takes = self._takes.get((route, key))
        if not takes:
            return None
        used = self._used.get((route, key), 0)
        self._used[route, key] = used + 1
        return takes[min(used, len(takes) - 1)]

    def _near(self, route: Route, key: str, frames: tuple[int, ...]) -> Take | None:
        if route == "stt":
            return _heard_near(key, frames, [take for take in self._order if take.route == "stt"])
        if route != "llm":
            return None
        tools = key.count(" | ")
        same_place = [take for take in self._order if take.route == "llm" and take.key.count(" | ") == tools]
        best = max(same_place, key=lambda take: _likeness(take.key, key), default=None)
        if best is None or _likeness(best.key, key) < _LIKE:
            return None
        return self._next("llm", best.key)


def _likeness(left: str, right: str) -> float:
    """Share of common words."""
    ours, theirs = set(_WORD.findall(left.lower())), set(_WORD.findall(right.lower()))
    return len(ours & theirs) / max(1, len(ours | theirs))


def _heard_near(key: str, frames: tuple[int, ...], takes: Sequence[Take]) -> Take | None:
    """Put a transcript together for audio that was cut elsewhere: the words whose frames are in it."""
    ours = set(frames)
    usable = [take for take in takes if take.frames and take.status == 200 and not take.broken]
    best = max(
        usable, key=lambda take: len(ours & set(take.frames)) / len(ours | set(take.frames)), default=None
    )
    if best is None or not ours:
        return None
    theirs = set(best.frames)
    if len(ours & theirs) >= _SAME * len(ours | theirs):
        return best
    places, known = _word_places(usable)
    if len(ours & known) < _KNOWN * len(ours):
        return None
    said = [word for frame in frames for word in places.get(frame, ())]
    return _json_take("stt", key, 200, {"text": " ".join(said)}, best)


def _word_places(takes: Sequence[Take]) -> tuple[dict[int, list[str]], set[int]]:
    """Lay each transcript's words evenly over its frames. Returns the words by frame, and all known frames.

    Of takes over the same audio the longest counts: its recogniser knew most of the context.
    """
    places: dict[int, list[str]] = {}
    known: set[int] = set()
    for take in sorted(takes, key=lambda take: -len(take.frames)):
        said = _text(take).split()
        for number, word in enumerate(said):
            frame = take.frames[int((number + 0.5) * len(take.frames) / len(said))]
            if frame not in known:
                places.setdefault(frame, []).append(word)
        known.update(take.frames)
    return places, known


def _text(take: Take) -> str:
    try:
        return str(json.loads(b"".join(data for _, data in take.chunks))["text"])
    except (KeyError, TypeError, ValueError):
        return ""


def _json_take(
    route: Route, key: str, status: int, body: Mapping[str, Any], like: Take | None = None
) -> Take:
    delay = like.chunks[0][0] if like is not None and like.chunks else 0.0
    data = json.dumps(body, ensure_ascii=False).encode()
    return Take(route, key, status, {"content-type": "application/json"}, [(delay, data)])


@functools.lru_cache(maxsize=64)
def _stand_in(text: str) -> bytes:
    """A low tone as long as the text would take to say."""
    n = round(max(1, len(text)) * _CHAR_S * _SPEECH_HZ)
    tone = 5000 * np.sin(np.arange(n) * (2 * np.pi * 180 / _SPEECH_HZ))
    return bytes(np.rint(tone).astype("<i2").tobytes())


class _Playing:
    """A take as the seam's response."""

    def __init__(self, take: Take) -> None:
        self.status = take.status
        self.headers: Mapping[str, str] = httpx2.Headers(take.headers)
        self._chunks = self._play(take)

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        return self._chunks

    async def aclose(self) -> None:
        await self._chunks.aclose()

    async def _play(self, take: Take) -> AsyncGenerator[bytes, None]:
        # `send` has waited for the first piece.
        for number, (delay, data) in enumerate(take.chunks):
            if number and delay:
                await asyncio.sleep(delay)
            if data:
                yield data
        if take.broken:
            raise ConnectionFailed(take.broken)


class CassetteRecorder:
    """Passes requests on, and keeps the answers with their times in `takes`."""

    def __init__(self, inner: ByteStreams) -> None:
        self.takes: list[Take] = []
        self._inner = inner

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send a request on; see `ByteStreams.send`."""
        return await _recorded(self._inner, request, self.takes.append)

    async def aclose(self) -> None:
        """Close what it records."""
        await self._inner.aclose()


class TakeKeeper(Protocol):
    """Who keeps the answers that one call was given."""

    @property
    def wanted(self) -> bool:
        """Whether answers to what is asked now are to be kept."""
        ...

    def keep(self, take: Take) -> None:
        """Take an answer that has come, or failed. Must not block."""
        ...


# Set in a call's own context: its requests, and no other's, are recorded for it.
KEEPER: ContextVar[TakeKeeper | None] = ContextVar("voicegw_takes", default=None)


class CallsRecorder:
    """Passes the requests of a process on; the answers of a call that has a KEEPER are kept for it."""

    def __init__(self, inner: ByteStreams) -> None:
        self._inner = inner

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send a request on; see `ByteStreams.send`."""
        keeper = KEEPER.get()
        if keeper is None or not keeper.wanted:
            return await self._inner.send(request)
        return await _recorded(self._inner, request, keeper.keep)

    async def aclose(self) -> None:
        """Close what it records."""
        await self._inner.aclose()


async def _recorded(inner: ByteStreams, request: HttpRequest, keep: Callable[[Take], None]) -> HttpResponse:
    route, key, frames = key_of(request)
    began = asyncio.get_running_loop().time()
    take = Take(route, key, frames=frames)
    try:
        response = await inner.send(request)
    except ConnectionFailed as error:
        take.broken = str(error)
        keep(take)
        raise
    take.status = response.status
    take.headers = {name: response.headers[name] for name in _HEADERS if name in response.headers}
    return _Recording(response, take, began, keep)


class _Recording:
    """A response that is noted as it is read. One that nobody reads to its end is kept as far as it came."""

    def __init__(
        self, response: HttpResponse, take: Take, began: float, keep: Callable[[Take], None]
    ) -> None:
        self.status = response.status
        self.headers = response.headers
        self._response = response
        self._take = take
        self._at = began
        self._keep_take = keep
        self._kept = False

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        return self

    def __aiter__(self) -> "_Recording":
        return self

    async def __anext__(self) -> bytes:
        try:
            data = await anext(self._response.chunks)
        except StopAsyncIteration:
            self._keep()
            raise
        except ConnectionFailed as error:
            self._take.broken = str(error)
            self._keep()
            raise
        now = asyncio.get_running_loop().time()
        self._take.chunks.append((now - self._at, data))
        self._at = now
        return data

    async def aclose(self) -> None:
        self._keep()
        await self._response.aclose()

    def _keep(self) -> None:
        if not self._kept:
            self._kept = True
            if self._take.chunks or self._take.broken:
                self._keep_take(self._take)


# Files

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
    return Take(line["route"], line["key"], line["status"], headers, pieces, frames, line.get("broken", ""))


def _opus(pcm24k: bytes) -> bytes:
    import soundfile

    file = io.BytesIO()
    samples = np.frombuffer(pcm24k[: len(pcm24k) // 2 * 2], "<i2")
    soundfile.write(file, samples, _SPEECH_HZ, format="OGG", subtype="OPUS", compression_level=0.96)
    return file.getvalue()


def _pcm(opus: bytes) -> bytes:
    import soundfile

    samples, _ = soundfile.read(io.BytesIO(opus), dtype="int16")
    return bytes(np.asarray(samples, "<i2").tobytes())
