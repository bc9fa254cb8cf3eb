"""Making the providers of a process from its settings: a row for each stage, a quota for each key."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from voicegw.config import ProviderSettings, Settings
from voicegw.errors import Stage
from voicegw.providers.http import ByteStreams
from voicegw.providers.llm import ChatModel
from voicegw.providers.policy import Backend, MeteredStreams, Row
from voicegw.providers.prices import Prices
from voicegw.providers.quota import Bucket, limits_of
from voicegw.providers.steady import SteadyChat, SteadyStt, SteadyTts
from voicegw.providers.stt import SpeechToText
from voicegw.providers.tts import TextToSpeech

S = TypeVar("S")
STAGES: tuple[Stage, ...] = ("stt", "llm", "tts")


def _clock() -> float:
    """The running loop's time, which may be virtual."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return time.monotonic()


@dataclass(frozen=True, slots=True)
class Providers:
    """What a call needs from outside; shared by all calls of the process."""

    stt: SteadyStt
    llm: SteadyChat
    tts: SteadyTts
    streams: ByteStreams
    prices: Prices
    quotas: tuple[Bucket, ...] = ()

    def room_for_call(self, calls: int) -> float:
        """Seconds until one more call beside `calls` finds room in the quotas of all first providers."""
        return max((quota.room_for_call(calls) for quota in self.quotas), default=0.0)

    async def aclose(self) -> None:
        """Close the connections. Requests still running fail with ProviderError."""
        await self.streams.aclose()


def build_providers(
    settings: Settings, streams: ByteStreams, rng: Callable[[], float] = random.random
) -> Providers:
    """Make the providers that `settings` name, all over `streams`; `rng` spreads their repetitions.

    Raises ConfigError for a wrong file of prices.
    """
    # One key has one allowance at one provider, whatever it is asked for: the smallest that any stage names.
    limits: dict[tuple[str, str], dict[str, int]] = {}
    for stage in STAGES:
        for each in settings.row(stage):
            known = limits.setdefault((each.base_url, each.api_key), {})
            for name, most in limits_of(each).items():
                known[name] = min(filter(None, (known.get(name, 0), most)), default=0)
    buckets = {key: Bucket(**most, clock=_clock) for key, most in limits.items()}

    def bucket(of: ProviderSettings) -> Bucket:
        return buckets[of.base_url, of.api_key]

    def row(stage: Stage, make: Callable[[ProviderSettings, ByteStreams], S]) -> Row[S]:
        found = settings.row(stage)
        backends = []
        for each in found:
            quota = bucket(each)
            backends.append(Backend(make(each, MeteredStreams(streams, quota)), each, quota))
        return Row(stage, backends, hedge=found[0].hedge, rng=rng)

    stt = SteadyStt(row("stt", SpeechToText))
    llm = SteadyChat(row("llm", ChatModel))
    cache_bytes = int(settings.speech_cache.most_mb * 2**20)
    tts = SteadyTts(row("tts", lambda of, seam: TextToSpeech(of, seam, cache_bytes)))
    firsts = dict.fromkeys(bucket(settings.resolved(stage)) for stage in STAGES)
    return Providers(stt, llm, tts, streams, Prices.load(settings.costs.prices), tuple(firsts))
