"""A recognition process: pcm in on stdin, words out on stdout, one utterance after the other.

pocketsphinx holds the interpreter lock while it decodes, so it gets processes of its own
(`recogniser.py` starts them). Protocol: the parent writes a 4-byte little-endian length and that many
bytes of pcm (16-bit mono, 16 kHz); the worker writes one JSON line, `{"ready": true}` first and then a
`Recognition` for each utterance. It ends when stdin closes, so it never outlives its parent.
"""

import json
import math
import struct
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pocketsphinx

from voicegw.embedded.language_model import language_model

_FRAME_S = 0.01
# Digital silence upsets the decoder's normalisation; a floor at about -70 dBFS avoids it.
_FLOOR = 32768 * 10 ** (-70 / 20)
# Mean log posterior of the words below which the agent's own model is doubted: on short clips it was above
# -0.3 for sentences of the agent's domain and below -0.7 for nearly all others.
_DOUBT = -0.7
# The general model must be surer by this much, because it easily hears "one two three" as "want to three".
_MARGIN = 0.3
_LEAST_LOG = math.log(1e-4)


@dataclass(frozen=True)
class Word:
    """A word with its place in seconds and the natural logarithm of its posterior probability."""

    word: str
    start: float
    end: float
    log_prob: float


@dataclass(frozen=True)
class Recognition:
    """What was heard in one utterance; no words when only silence or noise was."""

    words: list[Word]

    @property
    def confidence(self) -> float:
        """Mean log posterior per word; the least there is without words."""
        return sum(w.log_prob for w in self.words) / len(self.words) if self.words else _LEAST_LOG


class Decoder:
    """English recognition with two language models: the agent's own phrases, and general English.

    Deterministic: equal pcm gives equal words, whatever was decoded before.
    """

    def __init__(self) -> None:
        with language_model() as path:
            self._decoder = pocketsphinx.Decoder(lm=str(path), loglevel="FATAL")
        self._agent: str = self._decoder.current_search()
        general = Path(pocketsphinx.get_model_path("en-us")) / "en-us.lm.bin"
        self._decoder.add_lm_file("general", str(general))
        # The normalisation adapts to each speaker; every utterance starts from the same state.
        self._start_state: str = self._decoder.get_cmn()

    def recognise(self, pcm: bytes) -> Recognition:
        """Return the words in `pcm` (16-bit mono, 16 kHz), by whichever model is surer.

        The general model, which costs as much again, is asked only where the agent's own is in doubt.
        """
        audio = _with_floor(pcm)
        own = self._decode(audio, self._agent)
        if own.confidence >= _DOUBT:
            return own
        general = self._decode(audio, "general")
        return general if general.confidence > own.confidence + _MARGIN else own

    def _decode(self, audio: bytes, search: str) -> Recognition:
        decoder: Any = self._decoder
        decoder.activate_search(search)
        decoder.set_cmn(self._start_state)
        decoder.start_utt()
        decoder.process_raw(audio, full_utt=True)
        decoder.end_utt()
        if decoder.hyp() is None:
            return Recognition([])
        return Recognition(
            [
                Word(
                    segment.word.split("(")[0],  # "hello(2)" is the second pronunciation of "hello"
                    round(segment.start_frame * _FRAME_S, 2),
                    round((segment.end_frame + 1) * _FRAME_S, 2),
                    round(max(math.log(segment.prob), _LEAST_LOG) if segment.prob > 0 else _LEAST_LOG, 4),
                )
                for segment in decoder.seg()
                if segment.word[0] not in "<[+"  # silence, breath and noise
            ]
        )


def _with_floor(pcm: bytes) -> bytes:
    samples = np.frombuffer(pcm, dtype="<i2")
    noise = np.random.default_rng(0).standard_normal(len(samples)) * _FLOOR
    return np.clip(samples + noise, -32768, 32767).astype("<i2").tobytes()


def main(stdin: BinaryIO, stdout: BinaryIO) -> None:
    """Answer utterances until `stdin` ends."""
    decoder = Decoder()
    _say(stdout, {"ready": True})
    while len(header := stdin.read(4)) == 4:
        (length,) = struct.unpack("<I", header)
        pcm = stdin.read(length)
        if len(pcm) < length:
            return
        _say(stdout, asdict(decoder.recognise(pcm)))


def _say(stdout: BinaryIO, message: dict[str, Any]) -> None:
    stdout.write(json.dumps(message).encode() + b"\n")
    stdout.flush()


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
