"""Answers requests from a cassette at the byte-stream seam, at the pace at which the answers once came.

What is not on it word for word is answered by its neighbours; how well is counted in `Matches`.
"""

import asyncio
import functools
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2
import numpy as np

from voicegw.providers.cassette import SPEECH_HZ, Route, Take, key_of
from voicegw.providers.http import ConnectionFailed, HttpRequest, HttpResponse

# From this share of common frames on, two utterances are the same one, cut a little differently.
_SAME = 0.85
# An utterance of which at least so much was heard before is put together from what was understood then.
_KNOWN = 0.6
# Below this likeness of the caller's last words an answer belongs to another question.
_LIKE = 0.5
# Of speech that is on no cassette only the length is known: about 15 characters a second.
_CHAR_S = 1 / 15
_WORD = re.compile(r"\w+")


@dataclass(slots=True)
class Matches:
    """How the requests of a call were answered: `near` by a neighbour, `missed` not at all."""

    exact: int = 0
    near: int = 0
    missed: int = 0
    details: list[str] = field(default_factory=list)


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
            raise ConnectionFailed(take.broken, take.code)
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
    n = round(max(1, len(text)) * _CHAR_S * SPEECH_HZ)
    tone = 5000 * np.sin(np.arange(n) * (2 * np.pi * 180 / SPEECH_HZ))
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
            raise ConnectionFailed(take.broken, take.code)
