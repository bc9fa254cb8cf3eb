"""Make the cassettes of the sample calls: what providers would answer to what is said in them.

Run it only to change them: `python samples/make_cassettes.py [NAME...]` (needs flite and espeak-ng). Each
sample is replayed with a recogniser that hears what was really said, the answers of its file, and a voice.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from make_samples import RATE_HZ, speak

from voicegw.providers.cassette import CassettePlayer, Take, key_of, write_cassette
from voicegw.providers.http import ByteStreams, HttpRequest, HttpResponse
from voicegw.replay.sample import Sample, find_samples, read_sample
from voicegw.replay.virtual import Options, replay_virtual

SAMPLES = Path(__file__).parent
SPEECH_HZ = 24_000
FIRST_S, CHUNK_S = 0.11, 0.2
VOICES: dict[str, dict[str, Any]] = {
    "en": {"by": "flite", "voice": "slt"},
    "vi": {"by": "espeak-ng", "voice": "vi", "speed": 165},
}


class Spoken:
    """Speaks what the other provider would only hum."""

    def __init__(self, inner: ByteStreams, language: str) -> None:
        self._inner = inner
        self._language = language

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Answer a request for speech with a voice; pass the others on."""
        route, key, _ = key_of(request)
        if route != "tts":
            return await self._inner.send(request)
        vietnamese = self._language == "vi" or any(ord(letter) > 0x1EA0 for letter in key)
        sound = soxr.resample(speak(VOICES["vi" if vietnamese else "en"], key), RATE_HZ, SPEECH_HZ)
        pcm = np.rint(sound * 32767).astype("<i2").tobytes()
        size = int(SPEECH_HZ * CHUNK_S) * 2
        chunks = [(0.02, pcm[at : at + size]) for at in range(0, len(pcm), size)]
        chunks[0] = (FIRST_S, chunks[0][1])
        take = Take("tts", key, 200, {"content-type": "audio/pcm"}, chunks)
        return await CassettePlayer([take]).send(request)

    async def aclose(self) -> None:
        """Nothing is open."""


def record(sample: Sample) -> None:
    """Record one sample's cassette beside it."""
    options = Options(providers="script", recording=True)
    run = replay_virtual(sample, options, wrap=lambda inner: Spoken(inner, sample.file.language))
    heard = {s.text for x in run.timeline.exchanges for s in x.sentences}
    takes = [take for take in run.takes if take.route != "tts" or take.key in heard]
    path = sample.path.with_suffix(".cassette.jsonl")
    write_cassette(path, takes, compact=True)
    print(path.name, path.stat().st_size // 1000, "kB")


def main(names: list[str]) -> None:
    """Record the cassettes of the named samples, or of all."""
    for path in find_samples([SAMPLES]):
        if not names or path.stem in names:
            record(read_sample(path))


if __name__ == "__main__":
    main(sys.argv[1:])
