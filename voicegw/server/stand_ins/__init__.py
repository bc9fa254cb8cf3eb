"""Phrases of the package, spoken by synthetic voices, for the day when no TTS answers at start.

`samples/make_stand_ins.py` makes the sound files from `phrases.toml`.
"""

import functools
import io
import tomllib
from importlib.resources import files

import soundfile

from voicegw.audio.pcm import SAMPLE_RATE_HZ
from voicegw.call.commands import Role

_FALLBACK = "en"


@functools.cache
def _phrases() -> dict[str, dict[str, str]]:
    return tomllib.loads((files(__name__) / "phrases.toml").read_text(encoding="utf-8"))


def stand_in(role: Role, language: str, number: int = 0) -> tuple[str, bytes]:
    """Return text and pcm of the phrase for `role`; English where the language is not in the package.

    `number` chooses among several of one role, in turn.
    """
    code = language.partition("-")[0].lower()
    code = code if code in _phrases() else _FALLBACK
    names = [name for name in _phrases()[code] if name.rstrip("23456789") == role]
    name = names[number % len(names)]
    return _phrases()[code][name], _sound(f"{name}.{code}.flac")


@functools.cache
def _sound(name: str) -> bytes:
    samples, rate = soundfile.read(io.BytesIO((files(__name__) / name).read_bytes()), dtype="int16")
    if rate != SAMPLE_RATE_HZ:
        raise ValueError(f"{name} has {rate} Hz, expected {SAMPLE_RATE_HZ}")
    pcm: bytes = samples.astype("<i2").tobytes()
    return pcm
