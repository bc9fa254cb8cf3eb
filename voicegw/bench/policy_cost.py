"""What the request policy costs on a good request: the same requests with and without it, CPU time only.

The answers lie ready in memory, so that nothing but the gateway's own work is measured. Both ways take turns;
the middle of the differences counts.
"""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from statistics import median
from typing import Any

import httpx2

from voicegw.bench.figures import PolicyCost
from voicegw.config import load_settings
from voicegw.providers.attempts import Attempts
from voicegw.providers.build import build_providers
from voicegw.providers.http import HttpRequest, HttpResponse
from voicegw.providers.llm import ChatModel
from voicegw.providers.stt import SpeechToText
from voicegw.providers.tts import TextToSpeech
from voicegw.rehearsal.script import ScriptedReply, bench_script, chat_events, spoken

# As many as give a figure to a few microseconds.
ROUNDS, REQUESTS = 9, 150
_HEADERS = {"x-ratelimit-remaining-requests": "4000", "x-ratelimit-reset-requests": "10ms"}
_UTTERANCE = bytes(32_000)
_SENTENCE = "It is on its way to you now."


class _Ready:
    """A `ByteStreams` whose answers are there at once."""

    def __init__(self) -> None:
        reply = str(bench_script().llm[0])  # type: ignore[index]
        model = "gemini-2.5-flash"
        self._answers: dict[str, tuple[str, Sequence[bytes]]] = {
            "/audio/transcriptions": ("application/json", [b'{"text": "where is my order"}']),
            "/chat/completions": (
                "text/event-stream",
                chat_events(ScriptedReply(reply), model, usage=True, crlf=False, done=True),
            ),
            "/audio/speech": ("audio/pcm", [spoken(_SENTENCE, 400.0, 24_000)]),
        }

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Answer by the path."""
        path = next(path for path in self._answers if request.url.endswith(path))
        kind, pieces = self._answers[path]
        return _Answer(kind, pieces)

    async def aclose(self) -> None:
        """Nothing is open."""


class _Answer:
    status = 200

    def __init__(self, kind: str, pieces: Sequence[bytes]) -> None:
        self.headers: Mapping[str, str] = httpx2.Headers({"content-type": kind, **_HEADERS})
        self._pieces = pieces

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        return self._play()

    async def _play(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece

    async def aclose(self) -> None:
        """Nothing is open."""


def policy_costs() -> list[PolicyCost]:
    """Measure the three stages; about two seconds."""
    return asyncio.run(_measured())


async def _measured() -> list[PolicyCost]:
    settings = load_settings(
        {},
        None,
        {
            "provider.base_url": "http://ready.invalid/v1",
            "provider.api_key": "bench",
            # A quota that counts, and is never used up.
            "provider.requests_a_minute": "10000000",
            "provider.tokens_a_minute": "1000000000",
            "speech_cache.most_mb": "0",
        },
    )
    streams = _Ready()
    steady = build_providers(settings, streams)
    stt = SpeechToText(settings.resolved("stt"), streams)
    llm = ChatModel(settings.resolved("llm"), streams)
    tts = TextToSpeech(settings.resolved("tts"), streams)

    def patience() -> float:
        return 8.0

    async def hear(policy: bool) -> None:
        if policy:
            await steady.stt.transcribe(_UTTERANCE, patience=patience, attempts=Attempts(), language="en")
        else:
            await stt.transcribe(_UTTERANCE, language="en")

    async def think(policy: bool) -> None:
        given: dict[str, Any] = {"max_tokens": 256, "temperature": 0.8}
        asked = [{"role": "user", "content": "Where is my order?"}]
        stream = (
            steady.llm.reply(asked, patience=patience, attempts=Attempts(), **given)
            if policy
            else llm.reply(asked, **given)
        )
        async for _ in stream:
            pass

    async def speak(policy: bool) -> None:
        stream = (
            steady.tts.speak(_SENTENCE, patience=patience, attempts=Attempts(), voice="alloy")
            if policy
            else tts.speak(_SENTENCE, voice="alloy")
        )
        async for _ in stream:
            pass

    return [await _compared(stage, ask) for stage, ask in (("stt", hear), ("llm", think), ("tts", speak))]


async def _compared(stage: str, ask: Callable[[bool], Awaitable[None]]) -> PolicyCost:
    for policy in (True, False):
        await ask(policy)  # the first request of each makes what the others use
    without, more = [], []
    gc.disable()
    try:
        for _ in range(ROUNDS):
            plain = await _cpu_ms(ask, policy=False)
            without.append(plain)
            more.append(await _cpu_ms(ask, policy=True) - plain)
    finally:
        gc.enable()
    return PolicyCost(stage, median(without), median(more))


async def _cpu_ms(ask: Callable[[bool], Awaitable[None]], *, policy: bool) -> float:
    began = time.process_time()
    for _ in range(REQUESTS):
        await ask(policy)
    return (time.process_time() - began) * 1000 / REQUESTS
