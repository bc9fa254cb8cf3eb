"""The personas' fixed sentences as audio: synthesised once by voice and text, kept on disk and in memory.

A clip answers at once and needs no provider. Where none could be made, a phrase of the package stands in
(`stand_ins/`), and where even that is missing a tone.
"""

import asyncio
import contextlib
import functools
import hashlib
import io
import logging
import math
import os
import random
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from voicegw.agents.personas import Persona
from voicegw.audio.pcm import SAMPLE_RATE_HZ
from voicegw.call.commands import Role
from voicegw.call.settings import Phrases
from voicegw.call.spoken_form import SpokenForm
from voicegw.errors import ProviderError
from voicegw.providers.policy import background
from voicegw.providers.steady import SteadyTts
from voicegw.server.stand_ins import stand_in

log = logging.getLogger(__name__)

# Two short falling tones: heard as "something went wrong" in any language.
TONES_HZ = (480, 380)
TONE_S = 0.25
LEVEL = 6000
# Missing clips are tried again after so long, doubled each time up to the second: nobody waits for them.
AGAIN_S, MOST_AGAIN_S = 1.0, 32.0


@functools.cache
def tone() -> bytes:
    """The last resort, as pcm."""
    n = int(TONE_S * SAMPLE_RATE_HZ)
    # Faded in and out over 10 ms, so that it does not click.
    fade = SAMPLE_RATE_HZ // 100
    samples = [
        int(LEVEL * min(1.0, i / fade, (n - i) / fade) * math.sin(2 * math.pi * hz * i / SAMPLE_RATE_HZ))
        for hz in TONES_HZ
        for i in range(n)
    ]
    return struct.pack(f"<{len(samples)}h", *samples)


@dataclass(frozen=True, slots=True)
class Clip:
    """A prepared phrase: its words ("" for a tone) and its pcm."""

    text: str
    pcm: bytes


class Clips:
    """Fixed sentences by voice, speed and text. `folder` keeps them from one start to the next."""

    def __init__(self, folder: Path | None = None, provider: str = "") -> None:
        """`provider` tells the voices of one provider and model from those of another."""
        self._folder = folder
        self._provider = provider
        self._clips: dict[tuple[str, float, str], bytes] = {}
        self._tone = tone()
        self._stood_in = 0

    def get(self, persona: Persona, text: str) -> bytes | None:
        """The sentence as pcm, if it was made."""
        return self._clips.get((persona.voice, persona.speed, text))

    def phrase(self, persona: Persona, role: Role, text: str) -> Clip:
        """Return the sentence, else one of the package for the same purpose, else a tone."""
        if (pcm := self.get(persona, text)) is not None:
            return Clip(text, pcm)
        try:
            self._stood_in += 1
            return Clip(*stand_in(role, persona.call.language, self._stood_in))
        except (OSError, KeyError, IndexError, ZeroDivisionError, soundfile.LibsndfileError) as error:
            log.error("the packaged phrase for %s cannot be read: %s", role, type(error).__name__)
            return Clip("", self._tone)

    async def make(self, tts: SteadyTts, personas: Iterable[Persona]) -> None:
        """Read or synthesise what is missing, and try again until all is there. Live calls go first."""
        missing = [(persona, text) for persona in personas for text in sentences(persona.call.phrases)]
        wait_s = AGAIN_S
        while missing := [wanted for wanted in missing if not await self._make(tts, *wanted)]:
            # Between half and the whole of it, so that many processes do not come back together.
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))
            wait_s = min(2 * wait_s, MOST_AGAIN_S)

    async def _make(self, tts: SteadyTts, persona: Persona, text: str) -> bool:
        key = (persona.voice, persona.speed, text)
        if key in self._clips:
            return True
        path = self._path(persona, text)
        pcm = _read(path)
        if pcm is None:
            spoken = SpokenForm.of(persona.call.language, persona.call.speech).say(text).spoken
            try:
                pcm = b""
                async with contextlib.aclosing(
                    tts.speak(spoken, patience=background, voice=persona.voice, speed=persona.speed)
                ) as chunks:
                    async for chunk in chunks:
                        pcm += chunk
            except ProviderError as error:
                log.warning(
                    "no clip for persona %s: %s; a packaged phrase stands in", persona.name, error.code
                )
                # 4xx comes again for every sentence: one warning a round is enough to read.
                return not error.retryable
            _write(path, pcm)
        self._clips[key] = pcm
        # One at a time and behind live calls: this is not urgent.
        await asyncio.sleep(0)
        return True

    def _path(self, persona: Persona, text: str) -> Path | None:
        if self._folder is None:
            return None
        named = "\n".join((self._provider, persona.voice, f"{persona.speed:g}", text))
        return self._folder / f"{hashlib.sha256(named.encode()).hexdigest()[:32]}.flac"


def sentences(phrases: Phrases) -> list[str]:
    """Return all fixed sentences of a persona, the most urgent ones first."""
    fixed = (
        phrases.greeting, phrases.apology, *phrases.fillers, phrases.not_understood, phrases.goodbye,
        phrases.offer, phrases.callback, phrases.check_in, phrases.transferring, phrases.over_limit,
    )  # fmt: skip
    return [text for text in dict.fromkeys(fixed) if text]


def _read(path: Path | None) -> bytes | None:
    if path is None or not path.exists():
        return None
    try:
        samples, rate = soundfile.read(io.BytesIO(path.read_bytes()), dtype="int16")
    except (OSError, soundfile.LibsndfileError):
        return None  # torn by a full disk or a kill: it is made anew
    pcm: bytes = samples.astype("<i2").tobytes()
    return pcm if rate == SAMPLE_RATE_HZ else None


def _write(path: Path | None, pcm: bytes) -> None:
    """Keep a clip; one that cannot be kept is made again at the next start."""
    if path is None:
        return
    sound = io.BytesIO()
    samples = np.frombuffer(pcm, "<i2")
    soundfile.write(sound, samples, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torn = path.with_suffix(f".{os.getpid()}")
        torn.write_bytes(sound.getvalue())
        torn.replace(path)
    except OSError as error:
        log.warning("a clip cannot be kept in %s: %s", path.parent, error.strerror)
