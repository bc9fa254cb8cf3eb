"""Whole calls on virtual time: a real gateway, a scripted caller, a scripted provider, and real voices."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec

import soundfile
from gateways import settings_for

from voicegw.agents.personas import load_personas
from voicegw.audio.pcm import SAMPLE_BYTES, SAMPLES_PER_MS
from voicegw.providers.build import build_providers
from voicegw.rehearsal.clock import run_virtual
from voicegw.rehearsal.provider import ScriptedProvider
from voicegw.rehearsal.script import Script
from voicegw.server.gateway import Gateway

P = ParamSpec("P")
ROOT = Path(__file__).parent.parent


@functools.cache
def _recording(path: str) -> bytes:
    samples, rate = soundfile.read(ROOT / path, dtype="int16")
    assert rate == 16_000
    return bytes(samples.tobytes())


def voice(path: str, from_s: float, to_s: float) -> bytes:
    """Cut a stretch out of a recording (pcm)."""
    rate = SAMPLES_PER_MS * 1000
    return _recording(path)[round(from_s * rate) * SAMPLE_BYTES : round(to_s * rate) * SAMPLE_BYTES]


# "go forward ten meters": one person, 1.8 s of unbroken voice.
GO_FORWARD = voice("tests/data/goforward.flac", 0.4, 2.3)
# "one ... two ... three", with half a second between the words.
ONE_TWO_THREE = voice("tests/data/one-two-three.flac", 0.0, 2.6)
# "When will it arrive?"
WHEN = voice("samples/order-status.wav", 14.25, 15.2)
# A sixth of a second of voice: as long as an "uh" or a cough.
COUGH = voice("samples/order-status.wav", 0.9, 1.06)


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """A gateway on virtual time and the provider below it."""

    gateway: Gateway
    provider: ScriptedProvider


@contextlib.asynccontextmanager
async def rehearsed(
    folder: Path,
    script: Script | None = None,
    *,
    provider: ScriptedProvider | None = None,
    **overrides: str,
) -> AsyncIterator[Rehearsed]:
    """A gateway whose personas' clips are made, if the provider's speech works."""
    scripted = provider or ScriptedProvider(script)
    settings = settings_for(folder, **overrides)
    gateway = Gateway(settings, load_personas(settings), build_providers(settings, scripted))
    gateway.start()
    # Longer than any scripted delay of the clips: they come before the first call.
    await asyncio.sleep(60.0)
    try:
        yield Rehearsed(gateway, scripted)
    finally:
        await gateway.close()


def on_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async test on virtual time."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        run_virtual(test(*args, **kwargs))

    return run
