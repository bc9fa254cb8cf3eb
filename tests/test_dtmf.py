"""Keys in the caller's audio: heard as keys, not as words, and never found in a voice."""

import numpy as np
import pytest
from rehearsed import GO_FORWARD, ONE_TWO_THREE, WHEN

from voicegw.audio.dtmf import COLUMNS_HZ, KEYS, ROWS_HZ, KeyDetector
from voicegw.audio.pcm import FRAME_BYTES, SAMPLE_RATE_HZ
from voicegw.call.ear import Ear
from voicegw.call.events import Dtmf, Event


def tone(key: str, ms: int, twist_db: float = 0.0, offset: float = 1.0, noise: float = 0.0) -> bytes:
    """The tones of a key, as a telephone sends them; `offset` scales both frequencies."""
    row = next(n for n, keys in enumerate(KEYS) if key in keys)
    low, high = ROWS_HZ[row] * offset, COLUMNS_HZ[KEYS[row].index(key)] * offset
    time = np.arange(ms * SAMPLE_RATE_HZ // 1000) / SAMPLE_RATE_HZ
    sound = np.sin(2 * np.pi * low * time) + 10 ** (-twist_db / 20) * np.sin(2 * np.pi * high * time)
    sound += noise * np.random.default_rng(1).standard_normal(len(time))
    return (sound * 4000).astype("<i2").tobytes()


def keys_heard(pcm: bytes) -> str:
    detector = KeyDetector()
    return "".join(detector.hear(pcm[at : at + FRAME_BYTES]) for at in range(0, len(pcm), FRAME_BYTES))


@pytest.mark.parametrize(
    "given", [{}, {"twist_db": 6.0}, {"twist_db": -6.0}, {"offset": 1.01}, {"offset": 0.99}, {"noise": 0.1}]
)
def test_every_key_is_heard_once(given: dict[str, float]) -> None:
    """Also from a telephone whose tones are a little off, unequal or noisy."""
    gap = bytes(FRAME_BYTES * 3)
    everything = "".join(KEYS)
    assert keys_heard(b"".join(tone(key, 100, **given) + gap for key in everything)) == everything


def heard(ear: Ear, sound: bytes) -> list[Event]:
    frames = [sound[at : at + FRAME_BYTES] for at in range(0, len(sound), FRAME_BYTES)]
    return [event for frame in frames for event in ear.hear(frame, 0)]


@pytest.mark.parametrize("offset_ms", range(20))
def test_the_shortest_key_is_heard_wherever_it_falls(offset_ms: int) -> None:
    """Q.24 wants 40 ms; telephones with memory send such keys, and no frame begins with them."""
    sound = bytes(2 * 16 * (100 + offset_ms)) + tone("5", 40) + bytes(FRAME_BYTES * 4)
    assert keys_heard(sound) == "5"
    assert keys_heard(bytes(FRAME_BYTES) + sound) == "5"


@pytest.mark.parametrize("offset_ms", range(20))
def test_a_blip_is_no_key(offset_ms: int) -> None:
    """Q.24: up to about 20 ms nobody has pressed anything."""
    sound = bytes(2 * 16 * (100 + offset_ms)) + tone("5", 18) + bytes(FRAME_BYTES * 4)
    assert keys_heard(sound) == keys_heard(bytes(FRAME_BYTES) + sound) == ""


def test_a_number_dialled_at_full_speed_is_heard_whole() -> None:
    """50 ms of tone and 50 of silence: the pace of a telephone that dials by itself."""
    number = "0912345678#"
    sound = bytes(333) + bytes(1) + b"".join(tone(key, 50) + bytes(2 * 16 * 50) for key in number)
    assert keys_heard(sound[: len(sound) - len(sound) % FRAME_BYTES]) == number


@pytest.mark.parametrize("voice", [GO_FORWARD, ONE_TWO_THREE, WHEN])
def test_a_voice_is_no_key(voice: bytes) -> None:
    whole = len(voice) - len(voice) % FRAME_BYTES
    assert keys_heard(voice[:whole]) == ""


def test_the_ear_tells_a_key_and_keeps_its_sound_from_whisper() -> None:
    ear = Ear()
    sound = tone("7", 200)
    assert heard(ear, sound) == [Dtmf("7")]
    assert not any(ear.audio(0, ear.position)), "not one sample of it"


def test_a_key_that_the_carrier_tells_counts_once() -> None:
    ear = Ear()
    ear.keys_told = True
    sound = tone("7", 200)
    assert heard(ear, sound) == []
