"""The personas' fixed sentences as audio, synthesised once per process and kept in memory.

A clip answers at once and needs no provider; where none could be made, a tone stands in for it.
"""

import asyncio
import contextlib
import logging
import math
import struct
from collections.abc import Iterable

from voicegw.agents.personas import Persona
from voicegw.audio.pcm import SAMPLE_RATE_HZ
from voicegw.call.spoken_form import SpokenForm
from voicegw.errors import ProviderError
from voicegw.providers.tts import TextToSpeech

log = logging.getLogger(__name__)

# Two short falling tones: heard as "something went wrong" in any language.
TONES_HZ = (480, 380)
TONE_S = 0.25
LEVEL = 6000


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


class Clips:
    """Fixed sentences by voice, speed and text."""

    def __init__(self) -> None:
        self._clips: dict[tuple[str, float, str], bytes] = {}
        self._tone = tone()

    def get(self, persona: Persona, text: str) -> bytes | None:
        """The sentence as pcm, if it was made."""
        return self._clips.get((persona.voice, persona.speed, text))

    def get_or_tone(self, persona: Persona, text: str) -> bytes:
        """The sentence as pcm, else a tone."""
        return self.get(persona, text) or self._tone

    async def make(self, tts: TextToSpeech, personas: Iterable[Persona]) -> None:
        """Synthesise what is missing. A failure is logged and leaves the tone; the next start tries again."""
        wanted = [
            (persona, text)
            for persona in personas
            for text in _sentences(persona)
            if self.get(persona, text) is None
        ]
        for persona, text in wanted:
            spoken = SpokenForm.of(persona.call.language, persona.call.speech).say(text).spoken
            try:
                pcm = b""
                async with contextlib.aclosing(
                    tts.speak(spoken, voice=persona.voice, speed=persona.speed)
                ) as chunks:
                    async for chunk in chunks:
                        pcm += chunk
            except ProviderError as error:
                log.warning("no clip for persona %s: %s; a tone stands in", persona.name, error.code)
                continue
            self._clips[persona.voice, persona.speed, text] = pcm
            # One at a time and behind live calls: this is not urgent.
            await asyncio.sleep(0)


def _sentences(persona: Persona) -> list[str]:
    phrases = persona.call.phrases
    fixed = (phrases.greeting, phrases.apology, phrases.not_understood, phrases.check_in, phrases.goodbye)
    return [text for text in fixed if text]
